package dashboard

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"time"

	"tributary/processor/access"
	"tributary/processor/explain"
	"tributary/processor/query"
)

//go:embed affiliate.html
var affiliatePage string

// affiliateTemplate escapes all values: links and campaigns come from whoever sends a click.
var affiliateTemplate = template.Must(template.New("affiliate").Parse(affiliatePage))

// affiliateDays is how many days an affiliate's page shows, today among them.
const affiliateDays = 90

// affiliateView is what an affiliate sees: its own days and sales.
type affiliateView struct {
	Affiliate string
	From      time.Time
	Fault     string
	Days      []struct {
		Day, Clicks, Leads, Sales, Refunds string
		NetUSD                             string `json:"net_usd"`
	}
	Sales []affiliateSale
}

type affiliateSale struct {
	OccurredAt     string `json:"occurred_at"`
	Kind, Currency string
	Amount         int64   `json:",string"` // minor units
	NetUSD         *string `json:"net_usd"`
	LinkID         string  `json:"link_id"`
	Campaign       string  `json:"utm_campaign"`
}

// Money is the amount in major units.
func (s affiliateSale) Money() string {
	return explain.FormatMinor(s.Amount, s.Currency)
}

// serveIndex shows the page, or to an affiliate its own.
func (d *Dashboard) serveIndex(w http.ResponseWriter, r *http.Request, caller *access.Caller) {
	if caller.Role != access.Affiliate {
		d.serveFile(w, r, "index.html")
		return
	}
	now := d.now().UTC()
	to := now.Truncate(time.Hour).Add(time.Hour)
	view := affiliateView{Affiliate: caller.Affiliate, From: to.Truncate(24*time.Hour).AddDate(0, 0, 1-affiliateDays)}
	given := map[string][]string{"from": {view.From.Format(time.DateTime)}, "to": {to.Format(time.DateTime)}}
	status := http.StatusOK
	err := errors.Join(d.rows(r.Context(), caller, "affiliate_by_day", given, &view.Days),
		d.rows(r.Context(), caller, "affiliate_sales", given, &view.Sales))
	var f *query.Fault
	switch {
	case r.Context().Err() != nil:
		return
	case errors.As(err, &f):
		status, view.Fault = f.Status, f.Message
	case err != nil:
		d.log.Error("an affiliate's page failed", "affiliate", caller.Affiliate, "error", err)
		status, view.Fault = http.StatusInternalServerError, "The figures cannot be shown at this moment."
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
