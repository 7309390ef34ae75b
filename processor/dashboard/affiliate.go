package dashboard

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/access"
	"tributary/processor/explain"
	"tributary/processor/query"
)

//go:embed affiliate.html
var affiliatePage string

// affiliateTemplate escapes all values: links and campaigns come from whoever sends a click.
var affiliateTemplate = template.Must(template.New("affiliate").
	Funcs(template.FuncMap{"cents": cents, "grouped": grouped}).Parse(affiliatePage))

// affiliateDays is how many days an affiliate's page shows, today among them.
const affiliateDays = 90

// affiliateView is what an affiliate sees: its own days, statements and sales.
type affiliateView struct {
	Affiliate string
	From      time.Time
	LogOut    bool // a browser is logged in, or keeps a link's cookie
	Fault     string
	Days      []affiliateDay // the latest first
	Sales     []affiliateSale
	// Months are the affiliate's statements, newest first; none where nothing was earned, or where
	// the workspace has no rules.
	Months        []affiliateMonth
	EarningsFault string
}

// Name is the month in words.
func (m affiliateMonth) Name() string {
	first, err := time.Parse(time.DateOnly, m.Month)
	if err != nil {
		return m.Month
	}
	return first.Format("January 2006")
}

type affiliateDay struct {
	Day, Clicks, Leads, Sales, Refunds string
	NetUSD                             decimal.Decimal `json:"net_usd"`
}

// affiliateMonth is a statement, closed or as it would be stated now. Amounts are US dollars.
type affiliateMonth struct {
	Month    string          // its first day
	Closed   bool            // stated for good
	Carried  decimal.Decimal `json:"carried_usd"`
	Earned   decimal.Decimal `json:"earned_usd"`
	Returned decimal.Decimal `json:"returned_usd"`
	Restated decimal.Decimal `json:"restated_usd"`
	Payable  decimal.Decimal `json:"payable_usd"`
	CarryOn  decimal.Decimal `json:"carry_forward_usd"`
}

type affiliateSale struct {
	OccurredAt     string `json:"occurred_at"`
	Kind, Currency string
	Amount         int64            `json:",string"` // minor units
	NetUSD         *decimal.Decimal `json:"net_usd"` // nil: there is no rate
	LinkID         string           `json:"link_id"`
	Campaign       string           `json:"utm_campaign"`
}

// Money is the amount in major units.
func (s affiliateSale) Money() string {
	return grouped(explain.FormatMinor(s.Amount, s.Currency))
}

// When is the time up to the minute, which is UTC as all times of an answer.
func (s affiliateSale) When() string {
	at, err := time.Parse("2006-01-02 15:04:05.999", s.OccurredAt)
	if err != nil {
		return s.OccurredAt
	}
	return at.Format("2 Jan 2006, 15:04")
}

// What says in words what moved, as the page for owners does.
func (s affiliateSale) What() string {
	if word := map[string]string{"payment": "sale", "refund_reversal": "refund failed",
		"dispute_reversal": "dispute won"}[s.Kind]; word != "" {
		return word
	}
	return s.Kind
}

// cents rounds US dollars to cents, half to even.
func cents(usd decimal.Decimal) string { return grouped(usd.RoundBank(2).StringFixed(2)) }

// grouped writes a decimal number, which text may follow, with a comma before each three digits and
// a minus sign, as the page for owners does.
func grouped(number string) string {
	digits, negative := strings.CutPrefix(number, "-")
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(digits)
	}
	for at := end - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	if negative {
		return "−" + digits
	}
	return digits
}

// serveIndex shows the page, or to an affiliate its own.
func (d *Dashboard) serveIndex(w http.ResponseWriter, r *http.Request, caller *access.Caller) {
	if caller.Role != access.Affiliate {
		d.serveFile(w, r, "index.html")
		return
	}
	now := d.now().UTC()
	to := now.Truncate(time.Hour).Add(time.Hour)
	view := affiliateView{Affiliate: caller.Affiliate, LogOut: caller.Session,
		From: to.Add(-time.Hour).Truncate(24*time.Hour).AddDate(0, 0, 1-affiliateDays)}
	given := map[string][]string{"from": {view.From.Format(time.DateTime)}, "to": {to.Format(time.DateTime)}}
	err := errors.Join(d.rows(r.Context(), caller, "affiliate_by_day", given, &view.Days),
		d.rows(r.Context(), caller, "affiliate_sales", given, &view.Sales))
	slices.Reverse(view.Days)
	// What is earned takes longer than the rest, which is shown without it.
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	earned := d.rows(r.Context(), caller, "affiliate_statements", map[string][]string{"month": {month}}, &view.Months)
	if r.Context().Err() != nil {
		return
	}
	status := http.StatusOK
	if err != nil {
		status, view.Fault = d.affiliateFault(caller, err)
	}
	if earned != nil {
		_, view.EarningsFault = d.affiliateFault(caller, earned)
	}
	var page bytes.Buffer
	if err := affiliateTemplate.Execute(&page, view); err != nil {
		d.writeFault(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the client may have gone
}

// affiliateFault returns the status and the text by which an affiliate learns that a question
// failed.
func (d *Dashboard) affiliateFault(caller *access.Caller, err error) (status int, text string) {
	if f, ok := errors.AsType[*query.Fault](err); ok {
		return f.Status, f.Message
	}
	d.log.Error("an affiliate's page failed", "affiliate", caller.Affiliate, "error", err)
	return http.StatusInternalServerError, "The figures cannot be shown at this moment."
}

// rows asks a question and reads its rows.
func (d *Dashboard) rows(ctx context.Context, caller *access.Caller, name string, given map[string][]string,
	into any,
) error {
	q, values, err := d.resolve(caller, name, given)
	if err != nil {
		return err
	}
	body, err := d.asker.Ask(ctx, caller.Key, q, values, query.JSON)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &struct{ Data any }{into})
}
