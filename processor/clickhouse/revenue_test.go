package clickhouse_test

import (
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"tributary/processor/clickhouse"
	"tributary/processor/ledger"
	"tributary/sql/sqltest"
)

// version is what one writer knew of an entry: with more known, the day, the buyer, the credit and
// the amount may be others.
func version(rng *rand.Rand, entry, known int) ledger.Entry {
	object := fmt.Sprint("pi_", entry)
	net := decimal.New(rng.Int64N(1e6), -6)
	e := ledger.Entry{
		Workspace: "shop", ID: ledger.NewEntryID("shop", true, object, "payment", ""), Livemode: true,
		Kind: "payment", ObjectID: object, SaleID: object,
		OccurredAt: time.Date(2026, 11, 1+rng.IntN(3), 23, 59, 0, 0, time.UTC),
		Currency:   "usd", Amount: rng.Int64N(1000), NetUSD: &net, AmountUSD: &net, MatchCandidates: []string{},
		Status: ledger.Booked, Version: ledger.VersionOf(big.NewInt(int64(1 + known))),
	}
	switch rng.IntN(3) { // else a guest
	case 0:
		e.CustomerID = fmt.Sprint("cus_", rng.IntN(4))
	case 1:
		e.CustomerID, e.ExternalCustomerID = fmt.Sprint("cus_", rng.IntN(4)), fmt.Sprint("buyer-", rng.IntN(4))
	}
	e.Click.AffiliateID = fmt.Sprint("affiliate-", rng.IntN(4))
	return e
}

// Whatever becomes known of entries, in whatever order it is written, how often, and by how many
// writers at once: revenue has each entry once, under its last day and with its last buyer, as
// FINAL over the ledger has it.
func TestRevenueEqualsLedger(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const entries, versions, writers = 20, 4, 3
	rng := rand.New(rand.NewPCG(1, 2))
	var delivered []ledger.Entry
	for entry := range entries {
		for known := range versions {
			delivered = append(delivered, version(rng, entry, known))
		}
	}
	delivered = append(delivered, delivered...) // delivered twice
	rng.Shuffle(len(delivered), func(i, j int) { delivered[i], delivered[j] = delivered[j], delivered[i] })

	var group errgroup.Group
	for writer := range writers {
		group.Go(func() error {
			for at := writer; at < len(delivered); at += 9 * writers {
				batch := []ledger.Entry{}
				for i := at; i < min(at+9*writers, len(delivered)); i += writers {
					batch = append(batch, delivered[i])
				}
				if err := store.InsertLedger(t.Context(), batch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	const sums = "SELECT toString(arraySort(groupArray((day, affiliate, buyer, entries, amount, net)))) " +
		"FROM (SELECT day, affiliate_id AS affiliate, %s AS buyer, count() AS entries, sum(amount) AS amount, " +
		"sum(net_usd) AS net FROM %s FINAL GROUP BY day, affiliate, buyer)"
	buyers := map[string]string{
		"ledger":  "sipHash64(coalesce(nullIf(external_customer_id, ''), nullIf(customer_id, ''), sale_id))",
		"revenue": "buyer",
	}
	same := func(when string) {
		t.Helper()
		var booked, shown string
		for table, text := range map[string]*string{"ledger": &booked, "revenue": &shown} {
			scan := func(rows driver.Rows) error { return rows.Scan(text) }
			if err := store.Each(t.Context(), scan, fmt.Sprintf(sums, buyers[table], table)); err != nil {
				t.Fatal(err)
			}
		}
		if booked != shown {
			t.Errorf("%s: the ledger has\n%s\nand revenue\n%s", when, booked, shown)
		}
	}
	same("written")
	if err := clickhouse.RebuildDerived(t.Context(), store, "revenue"); err != nil {
		t.Fatal(err)
	}
	same("rebuilt")
	// An old version that comes again does not come back.
	if err := store.InsertLedger(t.Context(), delivered); err != nil {
		t.Fatal(err)
	}
	same("delivered again")
	if err := store.Exec(t.Context(), "OPTIMIZE TABLE revenue FINAL"); err != nil {
		t.Fatal(err)
	}
	same("merged")
}
