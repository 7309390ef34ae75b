package clickhouse

import (
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/identity"
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
