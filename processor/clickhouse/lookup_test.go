package clickhouse

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/identity"
	"tributary/processor/stripe"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

// Each click that is looked up costs one granule, however many clicks are stored: the engine
// refuses the lookup if it would read more.
func TestLookupOfClicksReadsTheirGranules(t *testing.T) {
	const stored, looked, granule = 50_000, 20, 1024
	dsn, db := sqltest.Open(t)
	first := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	id := func(n int) schemas.ClickID {
		var id schemas.ClickID
		at, random := uint64(first.UnixMilli()+int64(n))<<16|0x7000, uint64(n)|1<<63
		for i := range 8 {
			id[i], id[8+i] = byte(at>>(56-8*i)), byte(random>>(56-8*i))
		}
		return id
	}
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO clicks (workspace, click_id, clicked_at, received_at)
SELECT 'shop', reinterpretAsFixedString(byteSwap(toUInt128(toUInt64((%d + number) * 65536 + 0x7000)) * pow2
    + toUInt128(bitOr(number, 0x8000000000000000)))), now64(3), now64(3)
FROM (SELECT number, toUInt128(18446744073709551616) AS pow2 FROM numbers(%d))`, first.UnixMilli(), stored)); err != nil {
		t.Fatal(err)
	}
	limit := map[string]string{"max_rows_to_read": strconv.Itoa(looked * granule)}
	store, err := OpenCommand(chdbtest.WithProfile(t, dsn, limit), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var nodes []identity.Node
	for n := range looked {
		nodes = append(nodes, identity.New(identity.Click, id(n*stored/looked).String()))
	}
	if found, err := store.Clicks(t.Context(), "shop", nodes); err != nil || len(found) != looked {
		t.Errorf("%d clicks of %d: %v", len(found), looked, err)
	}
}

// What is looked up without FINAL is what FINAL finds: of facts that were received several times, at
// other times or at one time and read otherwise.
func TestFactsStandAsByFinal(t *testing.T) {
	store, _ := testStore(t)
	ctx := t.Context()
	if err := store.conn.Exec(ctx, "SYSTEM STOP MERGES facts"); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	objects := make([]string, 30)
	for i := range objects {
		objects[i] = fmt.Sprintf("pi_%d", i)
	}
	for range 5 {
		rows := make([]FactRow, 100)
		for i := range rows {
			rows[i] = FactRow{Workspace: "w", Fact: stripe.Fact{
				ObjectID: pick(objects...), Kind: "dispute", Source: pick("dispute", "charge"), EventID: "evt_1",
				TransactionID: pick("", "txn_1"), CreatedAt: begin, OccurredAt: begin, Currency: "usd", Amount: -100,
				ReceivedAt: begin.Add(time.Duration(random.IntN(20)) * time.Second), CustomerID: pick("", "cus_1"),
			}}
			if random.IntN(2) == 0 {
				rows[i].Lines = []stripe.Line{{ID: "il_1", Product: pick("prod_1", "prod_2"), Net: -100}}
			}
		}
		if err := store.InsertFacts(ctx, rows); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Facts(ctx, "w", objects)
	if err != nil {
		t.Fatal(err)
	}
	final, err := store.factRows(ctx, "w", objects, "FINAL")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.factRows(ctx, "w", objects, "")
	if err != nil {
		t.Fatal(err)
	}
	if sure, unsure := standingFacts(rows); len(sure) < 5 || len(unsure) < 5 {
		t.Errorf("%d objects are sure and %d are not, want some of each", len(sure), len(unsure))
	}
	want := make(map[string][]stripe.Fact)
	for _, f := range final {
		want[f.ObjectID] = append(want[f.ObjectID], f.Fact)
	}
	for _, object := range objects {
		if !reflect.DeepEqual(got[object], want[object]) {
			t.Errorf("%s: %+v, want %+v", object, got[object], want[object])
		}
	}
}
