package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tributary/processor/stripe"
)

// failures takes away the two transactions of a payment that failed after Stripe had counted it:
// they add up to nothing, and the ledger may rightly have neither.
// https://docs.stripe.com/reports/reporting-categories (charge_failure)
func (c *comparison) failures() {
	gone := make(map[string]bool) // ids of transactions
	for _, sameCharge := range []bool{true, false} {
		for i := range c.open {
			failed := &c.open[i]
			if failed.Category != chargeFailure || gone[failed.ID] {
				continue
			}
			for j := len(c.open) - 1; j >= 0; j-- { // the latest: an intent may be paid again
				paid := &c.open[j]
				if gone[paid.ID] || !paid.failedAs(failed, sameCharge) {
					continue
				}
				c.report.add(Difference{
					Finding: Failed, Day: dayOf(failed.Created), Kind: stripe.Payment, Object: paid.Source, Stripe: paid.ID,
					Currency: paid.Currency, Expected: paid.Amount,
					Cause: "the payment failed after Stripe had counted it; " + failed.ID + " takes it back",
				})
				gone[paid.ID], gone[failed.ID] = true, true
				break
			}
		}
	}
	c.open = slices.DeleteFunc(c.open, func(m movement) bool { return gone[m.ID] })
}

// failedAs reports whether a failure takes back the payment: by its charge, or, where the export
// does not name that, by its payment intent, and then only a payment that is not later.
func (m *movement) failedAs(failed *movement, sameCharge bool) bool {
	if m.Kind() != stripe.Payment || m.Currency != failed.Currency || m.Amount != -failed.Amount {
		return false
	}
	if sameCharge {
		return m.Source == failed.Source || m.Source == failed.ChargeID
	}
	return m.IntentID != "" && m.IntentID == failed.IntentID && failed.charge() == "" && !m.Created.After(failed.Created)
}

// transfers takes away what a platform passed on to the connected account that is compared, or took
// back, as events say: the reports give it the categories of a payment and its refund.
func (c *comparison) transfers() {
	c.open = slices.DeleteFunc(c.open, func(m movement) bool {
		if !c.events.passedOn[m.charge()] {
			return false
		}
		c.report.Transactions--
		c.report.LeftOut[passedOn]++
		return true
	})
}

// releases gives a payment the balance transaction that took back what was authorised and not
// captured: older versions of the API charge the whole authorisation and refund the rest, and the
// ledger books what was captured. An export that has no reporting_category calls it a refund; that
// it is none must then be said by an event, because a payment that is booked too low and a refund
// that is not booked add up to the same.
// https://support.stripe.com/questions/changes-to-balance-transaction-behavior-for-partial-capture-and-payment-cancellation-flows
func (c *comparison) releases() {
	c.open = slices.DeleteFunc(c.open, func(m movement) bool {
		if m.Kind() != stripe.Refund {
			return false
		}
		for _, id := range slices.Sorted(maps.Keys(m.names)) {
			if m.another(id) {
				continue
			}
			for _, r := range c.under[entryKey{stripe.Payment, id}] {
				currency, amount, ok := m.presented(r.Currency)
				if ok && r.booked() && len(r.answers) > 0 && currency == r.Currency && amount != 0 &&
					r.sum+amount == r.Amount && (m.Category == notCaptured || c.released(r) == r.sum-r.Amount) {
					r.answer(m.Transaction)
					return true
				}
			}
		}
		return false
	})
}

// released returns how much of a payment was authorised and not captured, as events say.
func (c *comparison) released(r *row) int64 {
	for _, id := range append([]string{r.ObjectID}, r.aliases...) {
		if amount := c.events.released[id]; amount > 0 {
			return amount
		}
	}
	return 0
}

// uncovered returns the booked rows of the period, and of the day before and after it, whose amount
// is not yet the sum of the transactions matched with them.
func (c *comparison) uncovered() []*row {
	var list []*row
	for _, r := range c.rows {
		if r.booked() && !r.covered() {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, (*row).before)
	return list
}

// pair matches the entries that name no charge with the transactions of the same amount that name
// no entry. Since API version 2025-03-31.basil a charge does not name its invoice, and some exports
// name nothing. Such a match is likely but not proved, so it is reported.
//
// The likeliest pairs of all are made first: those of one customer, then those that are nearest in
// time. Otherwise an entry would take the transaction of the next one.
func (c *comparison) pair() {
	type couple struct {
		r    *row
		open int // index of the transaction
	}
	var couples []couple
	for _, r := range c.uncovered() {
		if len(r.answers) > 0 || r.outside != 0 {
			continue
		}
		doubled := len(c.sameMoney(r, (*row).belongsTo)) > 0
		for i := range c.open {
			m := &c.open[i]
			currency, amount, ok := m.presented(r.Currency)
			if ok && m.Kind() == r.Kind && currency == r.Currency && amount == r.Amount &&
				m.Created.Sub(r.OccurredAt).Abs() <= nearby && m.mayBe(r, doubled) {
				couples = append(couples, couple{r, i})
			}
		}
	}
	likeliness := func(p couple) (stranger int, span time.Duration) {
		if m := &c.open[p.open]; !m.ownedBy(p.r) {
			stranger = 1
		}
		return stranger, c.open[p.open].Created.Sub(p.r.OccurredAt).Abs()
	}
	slices.SortStableFunc(couples, func(x, y couple) int {
		s1, t1 := likeliness(x)
		s2, t2 := likeliness(y)
		return cmp.Or(cmp.Compare(s1, s2), cmp.Compare(t1, t2))
	})
	paired := make(map[string]bool) // ids of transactions
	for _, p := range couples {
		if m := &c.open[p.open]; !paired[m.ID] && !p.r.byAmount {
			p.r.byAmount, paired[m.ID] = true, true
			p.r.answer(m.Transaction)
		}
	}
	c.open = slices.DeleteFunc(c.open, func(m movement) bool { return paired[m.ID] })
}

// ownedBy reports whether the transaction and the entry are of one customer, as both say.
func (m *movement) ownedBy(r *row) bool {
	return r.CustomerID != "" && slices.Contains(m.customers, r.CustomerID)
}

// mayBe reports whether nothing contradicts that the transaction moved the money of an entry of the
// same amount. doubled says that another entry is likely the same money: then only the same
// customer is reason enough.
func (m *movement) mayBe(r *row, doubled bool) bool {
	same := m.ownedBy(r)
	if len(m.customers) > 0 && r.CustomerID != "" && !same || doubled && !same {
		return false
	}
	nameless := strings.HasPrefix(r.ObjectID, "in_") || strings.HasPrefix(r.ObjectID, "cs_")
	if !nameless && !m.Unnamed {
		return false
	}
	for _, id := range append(r.aliases, r.ObjectID) {
		switch {
		case strings.HasPrefix(id, "pi_") && !m.Unnamed,
			r.Kind == stripe.Payment && isCharge(id) && id != m.Source:
			return false
		}
	}
	return r.Kind == stripe.Payment || isCharge(r.ObjectID)
}

// sameMoney returns up to three entries that are likely the money of r once more: of the same kind
// and currency, near in time, with the same sum, and tied to it.
func (c *comparison) sameMoney(r *row, tied func(r, o *row) bool) []*row {
	var near []*row
	for _, o := range c.rows {
		if o != r && o.booked() && o.Kind == r.Kind && o.Currency == r.Currency && len(o.answers) > 0 && !o.byAmount &&
			o.OccurredAt.Sub(r.OccurredAt).Abs() <= nearby && tied(r, o) {
			near = append(near, o)
		}
	}
	slices.SortFunc(near, func(x, y *row) int {
		return cmp.Or(
			cmp.Compare(x.OccurredAt.Sub(r.OccurredAt).Abs(), y.OccurredAt.Sub(r.OccurredAt).Abs()), x.before(y),
		)
	})
	if one := choose(near, r.Amount, 1); one != nil {
		return one
	}
	return sumTo(near[:min(len(near), 20)], r.Amount, 3) // the combinations of more are too many
}

// belongsTo reports whether a customer or a name ties two entries.
func (r *row) belongsTo(o *row) bool {
	return r.CustomerID != "" && r.CustomerID == o.CustomerID || r.SaleID == o.SaleID ||
		slices.Contains(r.aliases, o.ObjectID)
}

// mayBeOneBuyer reports whether one of two entries is of a customer and the other of an account,
// which may be the same buyer (Accounts v2).
func (r *row) mayBeOneBuyer(o *row) bool {
	account := strings.HasPrefix(r.CustomerID, "acct_")
	return r.CustomerID != "" && o.CustomerID != "" && account != strings.HasPrefix(o.CustomerID, "acct_")
}

// sumTo returns the first at most n rows whose amounts add up to amount, the fewest first.
func sumTo(rows []*row, amount int64, n int) []*row {
	for size := 1; size <= n; size++ {
		if found := choose(rows, amount, size); found != nil {
			return found
		}
	}
	return nil
}

func choose(rows []*row, amount int64, size int) []*row {
	for i, r := range rows {
		if size == 1 {
			if r.Amount == amount {
				return []*row{r}
			}
			continue
		}
		if rest := choose(rows[i+1:], amount-r.Amount, size-1); rest != nil {
			return append([]*row{r}, rest...)
		}
	}
	return nil
}
