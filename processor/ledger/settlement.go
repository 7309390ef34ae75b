package ledger

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
	"tributary/processor/stripe"
)

// maxDisagreement is how far Stripe's own rate may lie from the published one, as a fraction.
// Beyond it the settlement is not this movement's alone (an invoice paid by two charges of which
// only one is known), and the published rate stands.
var maxDisagreement = decimal.New(2, -1)

// ratePlaces of a rate, as of the column fx_rate.
const ratePlaces = 18

// settlement finds what Stripe's balance was really moved by in USD for one movement: what it
// settled wins over any published rate (https://docs.stripe.com/api/balance_transactions/object:
// amount and currency are the balance's), and the first fact that says so; nil if none does. A
// payment has one where its charge is known, and is the only one that did not fail.
//
// An export lists each transaction, and several may be of one movement: each capture is one, and so
// is the release of what was not captured. An event holds one, which may be the last of them.
func (b *books) settlement(e *Entry) (amount int64, first *stripe.Fact) {
	for _, g := range b.groups {
		objects := []string{e.ObjectID}
		if e.Kind == stripe.Payment {
			p := g.payments[e.ObjectID]
			if i := g.invoices[e.ObjectID]; i != nil && len(i.payments) == 1 && i.payments[0].source == nil {
				p = i.payments[0] // no event states its amount: it paid the whole remainder
			}
			if p == nil {
				continue
			}
			switch {
			case e.charge != "":
				objects = []string{e.charge}
			case len(p.charges) != 1 || len(p.tried) > 0:
				return 0, nil
			default:
				objects = append(slices.Clone(p.charges), p.id)
			}
		}
		var listed []*stripe.Fact // by an export
		var held *stripe.Fact     // by an event
		for _, id := range objects {
			for _, f := range g.settled[id] {
				switch {
				case f.Kind != stripe.SettlementOf(e.Kind) || f.Currency != "usd":
				case f.TransactionID != "" && f.TransactionID != e.transaction:
				case strings.HasPrefix(f.EventID, "txn_"):
					listed, amount = append(listed, f), amount+f.Amount
				case held == nil || compareFacts(f, held) < 0:
					held = f
				}
			}
		}
		switch {
		case len(listed) > 0:
			return amount, slices.MinFunc(listed, compareFacts)
		case held != nil:
			return held.Amount, held
		}
	}
	return 0, nil
}

// stripesRate returns the rate that Stripe's settlement implies, USD per major unit. It is exact to
// the last place of the column: the entry's amount times the rate is the settled amount again.
func (b *books) stripesRate(e *Entry, exponent int, published *fx.Quote) (fx.Quote, bool) {
	if e.Currency == "usd" || e.Amount == 0 {
		return fx.Quote{}, false
	}
	amount, f := b.settlement(e)
	if f == nil || (amount < 0) != (e.Amount < 0) {
		return fx.Quote{}, false
	}
	settled, moved := decimal.New(amount, -2), decimal.New(e.Amount, -int32(exponent))
	rate := settled.DivRound(moved, ratePlaces)
	if rate.Sign() <= 0 ||
		published != nil && rate.Sub(published.USD).Abs().GreaterThan(published.USD.Mul(maxDisagreement)) {
		return fx.Quote{}, false
	}
	return fx.Quote{
		Rate: fx.Rate{
			Currency:  e.Currency,
			Date:      fx.DateOf(f.OccurredAt),
			USD:       rate,
			Source:    "stripe",
			FetchedAt: f.ReceivedAt,
		},
		Final: true,
	}, true
}

func isSettlement(kind string) bool { return strings.HasPrefix(kind, stripe.Settlement) }
