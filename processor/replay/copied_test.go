package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/processor/replay"
)

// An operator's index on a raw table makes it one whose parts cannot be linked into the shadow's: a
// rebuild copies its rows, says so, and has all of them, also when it is interrupted and runs
// again.
func TestRebuildCopiesWhatCannotBeLinked(t *testing.T) {
	dsn := chdbtest.Start(t)
	live, liveDB := openDatabase(t, dsn, "")
	shadow, shadowDB := openDatabase(t, dsn, "_replay")
	must := func(s *clickhouse.Store, statement string) {
		t.Helper()
		if err := s.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	must(live, "ALTER TABLE clicks ADD INDEX url_words url TYPE tokenbf_v1(256, 2, 0)")
	for month := range 2 { // two partitions
		at := time.Date(2026, time.Month(9+month), 10, 9, 0, 0, 0, time.UTC)
		must(live, fmt.Sprintf(`INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, version)
			SELECT 'shop', unhex(leftPad(hex(%d), 12, '0') || '7000800000000000000' || toString(number)),
				'%[2]s', '%[2]s', 'v1', 1 FROM numbers(5)`, at.UnixMilli(), at.Format(time.DateTime)))
	}
	must(live, "INSERT INTO page_views (workspace, page_view_id, viewed_at, received_at, version) VALUES "+
		"('shop', unhex('01980000000070008000000000000001'), '2026-09-10 09:00:00', '2026-09-10 09:00:00', 1)")

	var said bytes.Buffer
	b := &replay.Rebuild{Live: live, Shadow: shadow, LiveDB: liveDB, ShadowDB: shadowDB, Batch: 100,
		Log: slog.New(slog.NewTextHandler(&said, nil)),
		Handlers: func(_ context.Context, s *clickhouse.Store) (*replay.Handlers, error) {
			r := recompute.New(recompute.Config{Store: s, Rates: clickhousetest.FixedRates{"usd": "1"},
				Log: slog.New(slog.DiscardHandler)})
			return &replay.Handlers{Recomputer: r, Clicks: &consume.Clicks{Store: s, Recomputer: r},
				Payments: &consume.Payments{Store: s, Recomputer: r, Events: consume.NewEventsMetric()}}, nil
		}}
	for run := range 2 {
		if run == 1 { // killed between a copy and the note of it
			must(shadow, "DELETE FROM replay_progress WHERE step LIKE 'copy clicks%'")
		}
		result, err := b.Run(t.Context())
		if err != nil || !result.Equal() {
			t.Fatalf("run %d differs: %+v, %v", run, result, err)
		}
		for query, want := range map[string]uint64{
			"SELECT count() FROM clicks FINAL": 10, "SELECT count() FROM page_views FINAL": 1,
		} {
			var got uint64
			if err := shadow.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&got) }, query); err != nil ||
				got != want {
				t.Errorf("run %d: %s gives %d, want %d (%v)", run, query, got, want, err)
			}
		}
		if n := strings.Count(said.String(), "cannot be linked, and is copied"); n != 2*(run+1) {
			t.Errorf("run %d: the log says %d times that clicks are copied, want once for each partition:\n%s", run, n, &said)
		}
		if strings.Contains(said.String(), "cannot be linked, and is copied\" table=page_views") {
			t.Errorf("page views can be linked:\n%s", &said)
		}
	}
}
