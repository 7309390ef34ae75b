package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
	"tributary/processor/load"
)

// reasons say each rule as a person would.
var reasons = map[string]string{
	"manual":            "somebody decided it by hand",
	"click_id":          "the sale itself names the click",
	"subscription":      "its subscription began with this click",
	"external_customer": "the seller's own id of the buyer is tied to this click",
	"stripe_customer":   "the Stripe customer is tied to this click",
	"affiliate":         "an affiliate is named, and no single click is known",
	"promotion_code":    "the promotion code belongs to an affiliate",
	"email":             "the buyer's e-mail address was seen with this click",
	"sale":              "it belongs to a sale, and is credited like it",
}

// Print tells the story for people.
func (s *Story) Print(w io.Writer) error {
	p := &printer{w: w}
	for i, sale := range s.Sales {
		if i > 0 {
			p.say("\n%s\n", strings.Repeat("─", 72))
		}
		p.sale(sale)
	}
	return p.err
}

// printer remembers the first error, so that the story reads as one.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) say(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) table(rows [][]string) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if p.err == nil {
			_, p.err = fmt.Fprintln(t, "  "+strings.Join(r, "\t"))
		}
	}
	if err := t.Flush(); p.err == nil {
		p.err = err
	}
}

func (p *printer) sale(s Sale) {
	p.say("Objects of this sale: %s", strings.Join(s.Objects, ", "))
	if len(s.Events) > 0 {
		p.say("\nWhat Stripe said about money")
		rows := make([][]string, 0, len(s.Events))
		for _, e := range s.Events {
			rows = append(rows, []string{clock(e.At), e.ID, e.Kind + " " + e.Object, money(e.Amount, e.Currency), "told by the " + strings.ReplaceAll(e.Source, "_", " "),
				"reached us after " + e.Received.Sub(e.At).Round(time.Second).String()})
		}
		p.table(rows)
	}
	if len(s.Names) > 0 {
		p.say("\nWhich names belong together")
		rows := make([][]string, 0, len(s.Names))
		for _, n := range s.Names {
			rows = append(rows, []string{clock(n.At), n.From, "= " + n.To, "by " + n.Source})
		}
		p.table(rows)
	}
	for _, e := range s.Entries {
		p.entry(e)
	}
}

func (p *printer) entry(e Entry) {
	now := e.Versions[len(e.Versions)-1]
	p.say("\n%s %s, entry %s", strings.ToUpper(e.Kind[:1])+strings.ReplaceAll(e.Kind[1:], "_", " "), e.Object, e.ID)
	switch now.Status {
	case "superseded":
		p.say("  superseded: the money is booked under %s", now.SupersededBy)
		return
	case "held":
		p.say("  held: it may be the payment of an invoice that nobody has named yet; not summed")
	}
	p.say("  %s moved on %s", money(now.Amount, now.Currency), clock(now.OccurredAt))
	switch now.FXSource {
	case "":
		p.say("  no exchange rate is known for that day; not in any sum in USD")
	case "usd":
	default:
		provisional := ""
		if !now.FXFinal {
			provisional = ", provisional"
		}
		p.say("  %s USD by the rate %s of %s (%s%s)", now.AmountUSD, now.FXRate, now.FXDate.Format(time.DateOnly), now.FXSource, provisional)
	}
	if reason := reasons[now.MatchRule]; reason != "" {
		p.say("  credited by %s: %s (%s)", now.MatchRule, reason, now.MatchKey)
		if now.ClickedAt != nil {
			p.say("  click %s of %s, %s before; affiliate %q, link %q, campaign %q", now.ClickID, clock(*now.ClickedAt),
				now.OccurredAt.Sub(*now.ClickedAt).Round(time.Second), now.AffiliateID, now.LinkID, now.UTMCampaign)
		} else {
			p.say("  affiliate %q", now.AffiliateID)
		}
	} else if now.MatchKey != "" {
		p.say("  not attributed: nothing known answers to %s yet", now.MatchKey)
	} else {
		p.say("  not attributed: nothing in the sale leads to a click")
	}
	for _, c := range now.MatchCandidates {
		p.say("  it could also have been %s", c)
	}
	if len(e.Versions) > 1 {
		p.say("  How it became so")
		rows := make([][]string, 0, len(e.Versions))
		for i, v := range e.Versions {
			change := "first booked: " + v.MatchRule
			if i > 0 {
				change = difference(e.Versions[i-1], v)
			}
			rows = append(rows, []string{fmt.Sprintf("  %d.", i+1), change})
		}
		p.table(rows)
	}
}

// difference says what a version changed.
func difference(a, b load.VersionRow) string {
	var changes []string
	note := func(what, from, to string) {
		if from != to {
			changes = append(changes, fmt.Sprintf("%s %s → %s", what, orNothing(from), orNothing(to)))
		}
	}
	note("status", a.Status, b.Status)
	note("amount", money(a.Amount, a.Currency), money(b.Amount, b.Currency))
	note("sale", a.SaleID, b.SaleID)
	note("rule", a.MatchRule, b.MatchRule)
	note("key", a.MatchKey, b.MatchKey)
	note("click", a.ClickID, b.ClickID)
	note("affiliate", a.AffiliateID, b.AffiliateID)
	note("moved on", clock(a.OccurredAt), clock(b.OccurredAt))
	note("rate", a.FXSource+" "+a.FXRate, b.FXSource+" "+b.FXRate)
	note("candidates", strings.Join(a.MatchCandidates, " "), strings.Join(b.MatchCandidates, " "))
	if len(changes) == 0 {
		return "confirmed: more was known, and it changed nothing"
	}
	return strings.Join(changes, "; ")
}

func orNothing(s string) string {
	if strings.TrimSpace(s) == "" {
		return "nothing"
	}
	return s
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// money renders minor units by Stripe's exponent.
func money(minor int64, currency string) string {
	exponent, known := fx.Exponent(currency)
	if !known {
		return fmt.Sprintf("%d minor units of %s", minor, currency)
	}
	return decimal.New(minor, int32(-exponent)).StringFixed(int32(exponent)) + " " + strings.ToUpper(currency)
}
