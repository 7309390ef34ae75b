package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tributary/processor/stripe"
)

// searches bounds for how many findings the raw events are searched one by one: each search reads
// every body.
const searches = 100

// judge writes the sums, the findings and the verdict.
func (c *comparison) judge(ctx context.Context) error {
	for i, m := range c.open {
		d := Difference{Finding: Missing, Day: dayOf(m.Created), Kind: m.Kind(), Object: m.Source, Stripe: m.ID}
		d.Currency, d.Expected = m.Currency, m.Amount
		if m.Presented != "" {
			d.Currency, d.Expected = m.Presented, m.PresentedAmount
		}
		c.line(d.Day, d.Currency).Stripe += d.Expected
		if m.Unnamed {
			d.Finding = Unnamed
		}
		var err error
		if d.Cause, err = c.whyMissing(ctx, m, i < searches); err != nil {
			return err
		}
		c.report.add(d)
	}
	for _, r := range c.rows {
		c.judgeRow(r)
	}
	for _, l := range c.lines {
		c.report.Lines = append(c.report.Lines, *l)
	}
	slices.SortFunc(c.report.Lines, func(x, y Line) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Currency, y.Currency))
	})
	slices.SortFunc(c.report.Differences, func(x, y Difference) int {
		return cmp.Or(
			cmp.Compare(x.Day, y.Day), cmp.Compare(x.Finding, y.Finding), cmp.Compare(x.Object, y.Object),
			cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Stripe, y.Stripe), cmp.Compare(x.Currency, y.Currency),
			cmp.Compare(x.Booked, y.Booked), cmp.Compare(x.Expected, y.Expected), cmp.Compare(x.Cause, y.Cause),
		)
	})
	c.report.Verdict = c.report.verdict()
	return nil
}

// answered says how far an entry can be compared with its balance transactions.
type answered struct {
	inPeriod                          bool // the entry, or one of them, is in the period
	comparable, sameCurrency, sameDay bool
}

// sums adds an entry and its transactions to the sums of their days.
func (c *comparison) sums(r *row) answered {
	day := dayOf(r.OccurredAt)
	if r.inPeriod {
		c.report.Entries++
		c.line(day, r.Currency).Ledger += r.Amount - r.outside
	}
	a := answered{inPeriod: r.inPeriod, comparable: true, sameCurrency: true, sameDay: true}
	for _, t := range r.answers {
		in := c.scope.Period.contains(t.Created)
		a.inPeriod = a.inPeriod || in
		a.sameDay = a.sameDay && dayOf(t.Created) == day
		currency, amount, ok := t.presented(r.Currency)
		if !ok {
			a.comparable = false
			continue
		}
		if in {
			c.line(dayOf(t.Created), currency).Stripe += amount
		}
		a.sameCurrency = a.sameCurrency && currency == r.Currency
	}
	return a
}

func (c *comparison) judgeRow(r *row) {
	if !r.booked() {
		return
	}
	a := c.sums(r)
	if !a.inPeriod {
		return
	}
	d := Difference{
		Day: dayOf(r.OccurredAt), Kind: r.Kind, Object: r.ObjectID, Currency: r.Currency, Expected: r.sum, Booked: r.Amount,
	}
	if r.outside != 0 {
		beside := d
		beside.Finding, beside.Booked, beside.Expected = Outside, r.outside, 0
		beside.Cause = "an event says that it was paid or given back outside Stripe"
		c.report.add(beside)
		d.Booked -= r.outside
		if len(r.answers) == 0 && r.covered() {
			return
		}
	}
	if len(r.answers) == 0 {
		d.Finding, d.Cause = Unproven, c.whyUnproven(r)
		c.report.add(d)
		return
	}
	d.Stripe = r.answers[0].ID
	if !a.sameDay { // beside whatever else differs, which must not hide it
		other := d
		other.Finding, other.Cause = Day, r.whyDay()
		c.report.add(other)
	}
	if d.Finding, d.Cause = c.finding(r, a); d.Finding == "" {
		return
	}
	if d.Finding == Uncomparable {
		d.Expected = 0
		if r.inPeriod { // take it out of the sums again: the other side cannot be summed
			c.line(d.Day, r.Currency).Ledger -= r.Amount - r.outside
		}
	}
	c.report.add(d)
}

// whyDay says why one of the row's transactions may have moved the balance on another day.
func (r *row) whyDay() string {
	i := slices.IndexFunc(r.answers, func(t Transaction) bool { return dayOf(t.Created) != dayOf(r.OccurredAt) })
	cause := fmt.Sprintf("booked at %s, Stripe's balance moved at %s: an event that came late, or midnight between them",
		r.OccurredAt.UTC().Format(time.DateTime), r.answers[i].Created.UTC().Format(time.DateTime))
	if r.answers[i].Zoneless {
		cause += "; or the report's column created is in another time zone than UTC: export created_utc"
	}
	return cause
}

// finding returns what differs between an entry and its transactions beside the day, and the likely
// cause; empty if nothing does.
func (c *comparison) finding(r *row, a answered) (Finding, string) {
	first := &r.answers[0]
	switch {
	case !a.comparable:
		return Uncomparable, "the export does not say what the customer saw; export customer_facing_amount and " +
			"customer_facing_currency, or read the API with expanded sources"
	case !a.sameCurrency:
		return Currency, fmt.Sprintf("Stripe's movement is in %s: ask processor explain %s which event says %s",
			first.Presented, r.ObjectID, r.Currency)
	case !r.covered():
		return Amount, c.whyAmount(r)
	case r.byAmount:
		return Paired, fmt.Sprintf("no name ties %s and %s, only currency, amount and time: %s",
			first.Source, r.ObjectID, tie(r))
	}
	return "", ""
}

// tie says how the two sides of a pair would name each other.
func tie(r *row) string {
	if r.answers[0].Unnamed {
		return needsNames
	}
	if r.Kind == stripe.Payment {
		return "subscribe the endpoint to invoice_payment.paid and payment_intent.succeeded"
	}
	return "subscribe the endpoint to refund.created"
}
