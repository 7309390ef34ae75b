package clickhouse

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/deploy/race"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// manyClicks returns clicks that make every kind of column long and short: dictionaries of one
// value, of more than 256 and of more than 65,536, and maps with and without pairs.
func manyClicks(n int) []ClickRow {
	rows := make([]ClickRow, n)
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for i := range rows {
		moment := at.Add(time.Duration(i) * time.Millisecond)
		id := schemas.NewClickID(moment)
		c := &schemas.Click{
			Workspace: "default", ClickId: id[:], ClickedAt: moment.UnixMilli(), ReceivedAt: moment.UnixMilli() + 20,
			AffiliateId: fmt.Sprint("aff_", i%200), Url: "https://shop.example/" + strings.Repeat("ä", i%200),
			UserAgent: fmt.Sprint("agent ", i), City: fmt.Sprint("city ", i%300), Vouched: i%2 == 0,
			Consent: []string{"", "granted", "denied"}[i%3],
		}
		if i%5 == 0 {
			c.IdentityHash = id[8:]
			c.Properties = map[string]string{"plan": "pro", fmt.Sprint("seats ", i%7): fmt.Sprint(i)}
		}
		if i%11 == 0 {
			c.Trigger = triggerPageView
		}
		rows[i] = ClickRow{Click: c, Channel: "email"}
		rows[i].Agent.Bot = i%3 == 0
	}
	return rows
}

// manyPairs are as many that nearly never are two tries to insert them in the same order by chance.
var manyPairs = func() map[string]string {
	pairs := make(map[string]string)
	for i := range 100 {
		pairs[fmt.Sprint("key ", i)] = fmt.Sprint(i)
	}
	return pairs
}()

// What is encoded here and what the driver encodes are the same rows, with the pairs of maps in the
// same order.
func TestNativeBlockEqualsDriver(t *testing.T) {
	encoded, _ := testStore(t)
	driven, database := testStore(t)
	driven.encodes = false
	if !encoded.encodes {
		t.Fatal("blocks are not encoded over HTTP")
	}
	many := 73_000
	if race.Enabled {
		many = 4_000 // more than 256 values, and make proof has more than 65,536
	}
	rows := manyClicks(many)
	events, facts, edges := manyEvents(3 * encodedTogether)
	leads, letters := []ledger.Lead{{Metadata: manyPairs}}, []DeadLetterRow{{Headers: manyPairs}}
	for _, s := range []*Store{encoded, driven} {
		for _, err := range []error{
			s.InsertClicks(t.Context(), rows), s.InsertEvents(t.Context(), events), s.InsertFacts(t.Context(), facts),
			s.InsertEdges(t.Context(), edges), s.InsertLeads(t.Context(), leads), s.InsertDeadLetters(t.Context(), letters),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, table := range []struct {
		name  string
		least uint64
	}{
		{"clicks", uint64(many / 12)}, {"page_views", uint64(many / 12)},
		{"stripe_events", 3 * encodedTogether}, {"facts", 3 * encodedTogether}, {"identities", 5 * encodedTogether},
		{"leads", 1}, {"dead_letters", 1},
	} {
		var n uint64
		var same bool
		const hash = "(SELECT sum(cityHash64(toString(tuple(*)))) FROM "
		query := "SELECT count(), toBool(" + hash + table.name + ") = " + hash + database + "." + table.name + ")) FROM " +
			table.name
		if err := encoded.conn.QueryRow(t.Context(), query).Scan(&n, &same); err != nil {
			t.Fatal(err)
		}
		if n < table.least || !same {
			t.Errorf("%s: %d rows are not the same", table.name, n)
		}
	}
}

// manyEvents returns events, facts and edges with times that are there or not, amounts of both
// signs, lines or none, and edges that are stored in one direction and in both.
func manyEvents(n int) (events []EventRow, facts []FactRow, edges []EdgeRow) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 123_456_789, time.UTC)
	for i := range n {
		when := at.Add(time.Duration(i) * 1001 * time.Millisecond)
		created := when
		if i%7 == 0 {
			created = time.Time{}
		}
		id := fmt.Sprint("evt_", i)
		events = append(events, EventRow{Workspace: "default", Created: created, StripeEvent: &schemas.StripeEvent{
			ID: id, Type: fmt.Sprint("type", i%5), Account: fmt.Sprint("acct_", i%2), Livemode: i%2 == 0,
			APIVersion: "2025-09-30", ReceivedAt: when, Body: []byte(strings.Repeat("ö", i)),
		}})
		facts = append(facts, FactRow{Workspace: "default", Fact: stripe.Fact{
			ObjectID: fmt.Sprint("pi_", i), Kind: stripe.Payment, Source: stripe.FromInvoice, EventID: id,
			Account: fmt.Sprint("acct_", i%2), Livemode: i%3 == 0, CreatedAt: created, ReceivedAt: when,
			OccurredAt: created, ParentID: fmt.Sprint("ch_", i), InvoiceID: fmt.Sprint("in_", i), TransactionID: id,
			Certain: i%4 == 0, Currency: []string{"usd", "jpy"}[i%2], Amount: int64(i-150) << 40, Tax: int64(-i),
			Shipping: 1, Discount: 2, Total: 3, Due: 4, Noted: 5, Captured: stripe.UnknownAmount,
			CustomerID: fmt.Sprint("cus_", i),
			ExternalID: "user 🧶", SubscriptionID: fmt.Sprint("sub_", i), BillingReason: "subscription_cycle",
			Lines: slices.Repeat([]stripe.Line{{ID: fmt.Sprint("il_", i), Net: int64(-i)}}, i%3),
		}})
		edges = append(edges, EdgeRow{Workspace: "default", OneWay: i%6 == 0, Edge: identity.Edge{
			A: identity.New(identity.Customer, fmt.Sprint("cus_", i)), B: identity.New(identity.External, fmt.Sprint(i)),
			Source: fmt.Sprint("source ", i%9), At: created, Carried: i%5 == 0,
		}})
	}
	return events, facts, edges
}
