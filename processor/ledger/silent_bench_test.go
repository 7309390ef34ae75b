package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// known is all that some events say.
type known struct {
	facts map[string][]stripe.Fact
	edges map[identity.Node][]identity.Edge
}

func (k known) Facts(_ context.Context, _ string, objects []string) (map[string][]stripe.Fact, error) {
	found := map[string][]stripe.Fact{}
	for _, id := range objects {
		if facts := k.facts[id]; facts != nil {
			found[id] = slices.Clone(facts)
		}
	}
	return found, nil
}

func (known) OfCatalogue(context.Context, string, []identity.Node) ([]identity.Edge, error) {
	return nil, nil
}

func (k known) Clicks(context.Context, string, []identity.Node) (map[identity.Node]*join.Click, error) {
	return nil, nil
}

func (k known) names(_ context.Context, _ string, nodes []identity.Node) ([]identity.Edge, error) {
	var found []identity.Edge
	for _, n := range nodes {
		found = append(found, k.edges[n]...)
	}
	return found, nil
}

// BenchmarkManySilent books a buyer with the largest number of refunds and invoices that are still
// compared with each other. All are of one hour, nothing else reports the refunded charges, and no
// payment explains the invoices. No charge has the amount of an invoice, nor of several together.
func BenchmarkManySilent(b *testing.B) {
	k := known{map[string][]stripe.Fact{}, map[identity.Node][]identity.Edge{}}
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	read := func(typ, object string) {
		at = at.Add(time.Second)
		facts, err := stripe.Read(&schemas.StripeEvent{ID: fmt.Sprint("evt_", at.Unix()), Livemode: true, ReceivedAt: at,
			Body: fmt.Appendf(nil, `{"id":"evt_%[1]d","object":"event","api_version":"2026-10-28.endive","created":%[1]d,`+
				`"livemode":true,"type":%q,"data":{"object":%s}}`, at.Unix(), typ, object)})
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range facts.Money {
			k.facts[f.ObjectID] = append(k.facts[f.ObjectID], f)
		}
		for _, e := range facts.Names {
			k.edges[e.A] = append(k.edges[e.A], e)
			if e.B.Belongs() || e.B.IsHour() {
				k.edges[e.B] = append(k.edges[e.B], identity.Edge{A: e.B, B: e.A, Source: e.Source, At: e.At})
			}
		}
	}
	const of = ledger.MostNear / 2
	for n := range of {
		read("invoice.paid", fmt.Sprintf(`{"id":"in_%02d","object":"invoice","amount_due":%[2]d,"amount_paid":%[2]d,`+
			`"total":%[2]d,"currency":"usd","customer":"cus_1","status":"paid","status_transitions":{"paid_at":%[3]d}}`,
			n, 2000+2*n, at.Unix()))
		read("charge.refunded", fmt.Sprintf(`{"id":"ch_%02d","object":"charge","amount":%[2]d,"amount_captured":%[2]d,`+
			`"captured":true,"amount_refunded":%[2]d,"currency":"usd","customer":"cus_1","payment_intent":"pi_%02[1]d",`+
			`"created":%[3]d}`, n, 6001+2*n, at.Unix()))
	}
	sale := identity.New(identity.Object, "in_00")
	evidence, err := recompute.Load(b.Context(), k, "default", k.names, []identity.Node{sale})
	if err != nil {
		b.Fatal(err)
	}
	evidence.Rates, evidence.Policies = rates{fx.NewTable(nil, fx.Options{})}, nil
	b.ReportAllocs()
	for b.Loop() {
		if entries, _ := evidence.Book(nil, sale); len(entries) != 3*of {
			b.Fatalf("%d entries", len(entries))
		}
	}
}
