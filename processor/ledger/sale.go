package ledger

import (
	"cmp"

	"tributary/processor/stripe"
)

// sale is what the refunds and disputes of a sale take from it.
type sale struct {
	customer, external, subscription string
	paid                             map[pool]*paid
	sold                             map[pool]parts // of its payments
	known                            parts          // of a payment that is only known by its refunds
	named                            bool           // some product is
	out                              []moneyOut
	applied                          map[int][]applied // by the entry's place: to which credit notes it applies
}

// pool is what the money that goes back is taken from, in one currency: a payment that the failure
// of its charge took back whole, else all of the sale that did not fail.
type pool struct{ currency, failed string }

func (p pool) compare(q pool) int {
	return cmp.Or(cmp.Compare(p.currency, q.currency), cmp.Compare(p.failed, q.failed))
}

// paid is how much of a currency a sale consists of, and its tax.
type paid struct {
	amount, tax, beyond int64
	presented           bool // it is what the buyer saw; the seller's own currency is another
}

func (b *books) sale(id string) *sale {
	s := b.sales[id]
	if s == nil {
		s = &sale{paid: map[pool]*paid{}, sold: map[pool]parts{}}
		b.sales[id] = s
	}
	return s
}

// add counts a payment of the sale; failed is the charge whose failure took it back, "" if none
// did.
func (s *sale) add(e *Entry, failed string) {
	s.customer, s.external = cmp.Or(s.customer, e.CustomerID), cmp.Or(s.external, e.ExternalCustomerID)
	s.subscription = cmp.Or(s.subscription, e.SubscriptionID)
	of := pool{e.Currency, failed}
	p := s.paid[of]
	if p == nil || p.presented {
		p = &paid{}
		s.paid[of] = p
	}
	p.amount, p.tax, p.beyond = p.amount+e.Amount, p.tax+e.Tax, p.beyond+e.beyond
	s.sold[of] = s.sold[of].plus(e.parts())
	s.named = s.named || len(e.Products) > 0
}

// present counts what the buyer saw of a payment, as facts about it tell: it may be given back in
// the buyer's currency.
func (s *sale) present(e *Entry, failed string, facts []*stripe.Fact) {
	for _, f := range facts {
		of := pool{f.Currency, failed}
		if f.Kind != stripe.Presented || s.paid[of] != nil {
			continue
		}
		tax := f.Tax
		if tax == 0 {
			tax = stripe.Share(e.Tax, f.Amount, e.Amount)
		}
		s.paid[of] = &paid{f.Amount, tax, stripe.Share(e.beyond, f.Amount, e.Amount), true}
	}
}
