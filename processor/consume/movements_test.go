package consume

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// Money that Stripe does not know stands in the same ledger, under the same rules: it is credited,
// its refunds take their share of its tax, a dispute may be won in part, and what is sent again, in
// any order, changes nothing.
func TestMovementsAreBooked(t *testing.T) {
	at := func(hours int) time.Time { return epoch.Add(time.Duration(hours) * time.Hour) }
	var records []*kgo.Record
	for i, m := range []schemas.Movement{
		{Kind: "payment", ID: "order_1", Amount: 4900, Tax: 900, Currency: "jpy", At: at(0),
			AffiliateID: "ann", ExternalID: "u1"},
		{Kind: "refund", ID: "back_1", Parent: "order_1", Amount: 4900, Currency: "jpy", At: at(1)},
		{Kind: "payment", ID: "order_2", Amount: 1000, Currency: "jpy", At: at(2), ExternalID: "u1"},
		{Kind: "dispute", ID: "claim_1", Parent: "order_2", Amount: 1000, Currency: "jpy", At: at(3)},
		{Kind: "dispute_reversal", ID: "claim_1", Parent: "order_2", Amount: 400, Currency: "jpy", At: at(4)},
		{Kind: "payment", ID: "order_3", Amount: 700, Currency: "jpy", At: at(5)},
		{Kind: "refund", ID: "back_3", Parent: "order_3", Amount: 300, Currency: "jpy", At: at(6)},
		{Kind: "refund_reversal", ID: "back_3", Parent: "order_3", Amount: 300, Currency: "jpy", At: at(7)},
		{Kind: "payment", ID: "order_4", Amount: 4900, Currency: "jpy", At: at(0), Test: true},
	} {
		r, err := schemas.MovementRecord(&m, "default", at(10).Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	backwards := make([]*kgo.Record, 0, 2*len(records))
	for i := range records {
		backwards = append(backwards, records[len(records)-1-i], records[len(records)-1-i])
	}
	const live = " FROM ledger FINAL WHERE livemode AND status = 'booked' AND account = 'movements/default'"
	for name, sent := range map[string][]*kgo.Record{"in order": records, "backwards and twice": backwards} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t)
			stop := p.start(0)
			p.send(sent...)
			p.until(8, "SELECT countIf(amount != 0)"+live)
			p.until(1, "SELECT count() FROM ledger FINAL WHERE NOT livemode AND amount = 4900")
			for query, want := range map[string]uint64{
				"SELECT toUInt64(sum(amount))" + live + " AND sale_id = 'order_1'":                                   0,
				"SELECT toUInt64(abs(sum(tax)))" + live + " AND sale_id = 'order_1'":                                 0,
				"SELECT toUInt64(sum(amount))" + live + " AND sale_id = 'order_2'":                                   400,
				"SELECT toUInt64(sum(amount))" + live + " AND sale_id = 'order_3'":                                   700,
				"SELECT count()" + live + " AND sale_id = 'order_1' AND affiliate_id = 'ann'":                        2,
				"SELECT count()" + live + " AND kind = 'dispute' AND amount = -1000":                                 1,
				"SELECT count()" + live + " AND kind = 'dispute_reversal' AND amount = 400":                          1,
				"SELECT count()" + live + " AND object_id = 'order_1' AND tax = 900 AND external_customer_id = 'u1'": 1,
			} {
				p.until(want, query)
			}
			stop()
		})
	}
}
