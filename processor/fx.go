package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
)

// fxCommand shows which exchange rates there are, which are not used, and what is booked without
// one.
type fxCommand struct {
	clickhouseSettings
	rateSettings
	Fetch    bool   `help:"Read the sources now and store what is new; the running processors complete what waits for it within their --sweep."`
	On       string `help:"With --currency: which rate converts a movement of this UTC day." placeholder:"2006-01-02"`
	Currency string `help:"Show this currency only." placeholder:"EUR"`
	JSON     bool   `name:"json" help:"Print as JSON."`
}

// Help is shown under --help.
func (c *fxCommand) Help() string {
	return `Rates are USD per major unit. A movement is converted by the rate of its own UTC day, or by the
last one before it, at most seven days old; a rate that is fixed for a period holds for all of it. A
rate that moved by more than a fifth against the one before is held back until the third day in a row
confirms it; then its days are converted by it, the first ones too. A value that cannot be a rate is
left out, and the source's other values are used. --fetch fails if it could not read a source as a
whole; the others are read and stored all the same. After a source has corrected a rate, or given it
late, what was booked before is converted again.

    processor fx                                  every currency, what is not used, what has no rate
    processor fx --currency JPY --on 2026-03-01   which rate converts that day
    processor fx --fetch --fx-source ecb:https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip`
}

// fxReport is what the command shows; rates are USD per major unit.
type fxReport struct {
	Rates       []fxRate         `json:"rates"`
	HeldBack    []fxHeldBack     `json:"held_back"`
	Unconverted []fx.Unconverted `json:"unconverted"`
	Answer      *fxAnswer        `json:"answer,omitempty"`

	currency string // all that is asked about; empty: every one
	stored   int    // usable rates that are stored
}

type fxRate struct {
	Currency  string          `json:"currency"`
	USD       decimal.Decimal `json:"usd"`
	Day       string          `json:"day"`
	AgeDays   int             `json:"age_days"`
	Source    string          `json:"source"`
	FetchedAt time.Time       `json:"fetched_at"`
	ValidTo   string          `json:"valid_to,omitempty"`

	ended bool // ValidTo is over
}

type fxHeldBack struct {
	fxRate
	Reason      string          `json:"reason"`       // in a sentence
	PreviousUSD decimal.Decimal `json:"previous_usd"` // 0: it was measured against none
	PreviousDay string          `json:"previous_day,omitempty"`
	Change      decimal.Decimal `json:"change"`
}

type fxAnswer struct {
	Day      string  `json:"day"`
	Currency string  `json:"currency"`
	Exponent int     `json:"exponent"`
	Known    bool    `json:"known"` // to Stripe
	Rate     *fxRate `json:"rate"`  // null: none
	Final    bool    `json:"final"`
}

func (c *fxCommand) Run(ctx context.Context, log *slog.Logger) error {
	sources, err := c.fxSources()
	if err != nil {
		return err
	}
	c.Currency = strings.ToLower(c.Currency)
	var day fx.Date
	if c.On != "" {
		if day, err = fx.ParseDate(c.On); err != nil {
			return fmt.Errorf("--on: %q is not a day (hint: give one like 2026-03-31)", c.On)
		}
		if c.Currency == "" {
			return errors.New("--on asks for one currency (hint: name it with --currency)")
		}
	}
	if c.Fetch && len(c.FXSource) == 0 {
		return errors.New("--fetch has nothing to read (hint: name a source with --fx-source)")
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	rates := fx.NewLive(store, sources, fx.StripeExponents().WithUGX(c.UGXExponent), log, nil)
	if c.Fetch {
		_, err = rates.Load(ctx)
	} else {
		err = rates.LoadStored(ctx)
	}
	if err != nil {
		return err
	}
	report, err := c.report(ctx, store, rates, fx.DateOf(time.Now()), day)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.print(os.Stdout)
	}
	return errors.Join(err, rates.Unread())
}

func (c *fxCommand) report(
	ctx context.Context, store fx.Store, rates *fx.Live, today, day fx.Date,
) (*fxReport, error) {
	table := rates.Table()
	r := &fxReport{Rates: []fxRate{}, HeldBack: []fxHeldBack{}, Unconverted: []fx.Unconverted{},
		currency: c.Currency, stored: table.Len()}
	wanted := func(currency string) bool { return c.Currency == "" || c.Currency == currency }
	for _, currency := range table.Currencies() {
		if rate, ok := table.Newest(currency, today); ok && wanted(currency) {
			r.Rates = append(r.Rates, rateRow(rate, today))
		}
	}
	for _, h := range table.HeldBack() {
		if wanted(h.Rate.Currency) {
			row := fxHeldBack{fxRate: rateRow(h.Rate, today), Reason: h.String(), PreviousUSD: h.Previous.USD,
				Change: h.Change()}
			if h.Previous.Source != "" {
				row.PreviousDay = h.Previous.Date.String()
			}
			r.HeldBack = append(r.HeldBack, row)
		}
	}
	unconverted, err := store.Unconverted(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range unconverted {
		if wanted(u.Currency) {
			r.Unconverted = append(r.Unconverted, u)
		}
	}
	if c.On != "" {
		a := &fxAnswer{Day: day.String(), Currency: c.Currency}
		a.Exponent, a.Known = rates.Exponents().Of(c.Currency)
		if quote, ok := table.Lookup(c.Currency, day); ok {
			rate := rateRow(quote.Rate, day)
			a.Rate, a.Final = &rate, quote.Final
		}
		r.Answer = a
	}
	return r, nil
}

func rateRow(r fx.Rate, today fx.Date) fxRate {
	row := fxRate{
		Currency: r.Currency, USD: r.USD, Day: r.Date.String(), AgeDays: int(today - r.Date),
		Source: r.Source, FetchedAt: r.FetchedAt,
	}
	if r.ValidTo != 0 {
		row.ValidTo, row.ended = r.ValidTo.String(), r.ValidTo < today
	}
	return row
}

func (r *fxReport) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if a := r.Answer; a != nil {
		fmt.Fprintln(t, a.sentence())
		return t.Flush()
	}
	if r.stored == 0 {
		fmt.Fprintln(t,
			"No exchange rate is stored. Give the processor a source with --fx-source, or read one now with --fetch.")
	}
	if r.stored > 0 && r.currency != "" && len(r.Rates)+len(r.HeldBack) == 0 {
		fmt.Fprintf(t, "There is no rate for %s.\n", strings.ToUpper(r.currency))
	}
	if len(r.Rates) > 0 {
		fmt.Fprintln(t, "CURRENCY\tUSD PER UNIT\tDAY\tAGE\tSOURCE")
	}
	for _, rate := range r.Rates {
		note := ""
		switch {
		case rate.ended:
			note = "\tended on " + rate.ValidTo
		case rate.ValidTo == "" && rate.AgeDays > 7:
			note = "\ttoo old for today"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d d\t%s%s\n", rate.Currency, trimmed(rate.USD), rate.Day, rate.AgeDays,
			rate.Source, note)
	}
	if len(r.HeldBack) > 0 {
		fmt.Fprintln(t,
			"\nNot used; a move of more than a fifth is used from its first day when the third in a row confirms it")
	}
	for _, h := range r.HeldBack {
		fmt.Fprintln(t, h.Reason)
	}
	if len(r.Unconverted) > 0 {
		fmt.Fprintln(t, "\nBooked without a rate, and so in no sum in USD")
	}
	for _, u := range r.Unconverted {
		noun := "entries"
		if u.Entries == 1 {
			noun = "entry"
		}
		fmt.Fprintf(t, "%s\t%d %s\t%s to %s\n", u.Currency, u.Entries, noun, u.Oldest.Format(time.DateOnly),
			u.Newest.Format(time.DateOnly))
	}
	return t.Flush()
}

func trimmed(d decimal.Decimal) string {
	s := d.String()
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func (a *fxAnswer) sentence() string {
	currency := strings.ToUpper(a.Currency)
	if a.Rate == nil {
		return fmt.Sprintf("There is no rate for %s on %s or in the seven days before it: such a movement is booked, "+
			"has no USD, and is completed when a rate arrives.", currency, a.Day)
	}
	s := fmt.Sprintf("A movement in %s on %s is converted by %s USD per unit (%s, of %s",
		currency, a.Day, trimmed(a.Rate.USD), a.Rate.Source, a.Rate.Day)
	if a.Rate.AgeDays > 0 && a.Rate.ValidTo == "" {
		s += fmt.Sprintf(", the last one published before it, %d days earlier", a.Rate.AgeDays)
	}
	s += ")"
	if !a.Final {
		s += "; provisional, a later rate may replace it"
	}
	if !a.Known {
		return s + ". Stripe does not list this currency, so that nothing is known of its minor units."
	}
	return s + fmt.Sprintf(". Stripe's amounts in %s have %d decimals.", currency, a.Exponent)
}
