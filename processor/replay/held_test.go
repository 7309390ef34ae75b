package replay_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/workspace"
	"tributary/schemas"
	"tributary/sql"
	"tributary/sql/sqltest"
)

// openDatabase makes a database beside the engine's own and opens it.
func openDatabase(t *testing.T, dsn, suffix string) (*clickhouse.Store, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path += suffix
	sqltest.Fill(t, u.String())
	store, err := clickhouse.Open(u.String(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, strings.TrimPrefix(u.Path, "/")
}

func workspaces(t *testing.T, text string) *workspace.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "workspaces.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := workspace.Read(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Money that was held and is booked now, and money that still is held, are the same after an audit
// and a rebuild.
func TestHeldMoney(t *testing.T) {
	const secret, stranger = "whsec_fedcba9876543210", "whsec_0123456789abcdef"
	dsn := chdbtest.Start(t)
	live, liveDB := openDatabase(t, dsn, "")
	shadow, shadowDB := openDatabase(t, dsn, "_replay")
	checked, checkedDB := openDatabase(t, dsn, "_audit")
	file := workspaces(t, `[{"id":"other","stripe":[{"accounts":["acct_other"],"secrets":["`+stranger+`"]}]}]`)
	log := slog.New(slog.DiscardHandler)
	over := func(store recompute.Store) *replay.Handlers {
		r := recompute.New(recompute.Config{Store: store, Rates: clickhousetest.FixedRates{"usd": "1"}, Log: log,
			Released: file.Released})
		return &replay.Handlers{
			Recomputer: r, Clicks: &consume.Clicks{Store: store, Recomputer: r},
			Payments: &consume.Payments{Store: store, Recomputer: r, Workspace: file.OfEvent, Events: consume.NewEventsMetric()},
		}
	}
	money := over(live).Payments
	received := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	for n, e := range []schemas.StripeEvent{
		{Account: "acct_new", Unlisted: schemas.SecretDigest(secret)},
		{Account: "acct_new", Unlisted: schemas.SecretDigest(stranger)},
		{Account: "acct_never", Unlisted: schemas.SecretDigest(secret)},
	} {
		e.ID, e.Type, e.Livemode, e.ReceivedAt = fmt.Sprint("evt_", n), "payment_intent.succeeded", true, received
		e.Body = fmt.Appendf(nil, `{"id":%q,"object":"event","type":%q,"created":%d,"livemode":true,"data":{"object":
			{"id":"pi_%d","object":"payment_intent","currency":"usd","amount":100,"amount_received":100}}}`,
			e.ID, e.Type, received.Unix(), n)
		if err := money.Handle(t.Context(), []*kgo.Record{schemas.StripeRecord(&e, "")}, nil); err != nil {
			t.Fatal(err)
		}
	}
	file.Replace(workspaces(t, `[{"id":"new","stripe":[{"accounts":["acct_new"],"secrets":["`+secret+`"]}]}]`))
	held := consume.NewHeld(live, money, file.Released, prometheus.NewRegistry(), log)
	if err := held.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := func(when string) {
		t.Helper()
		var booked, held uint64
		err := live.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&booked, &held) },
			"SELECT countIf(workspace = 'new' AND status = 'booked'), countIf(status = 'held') FROM ledger FINAL")
		if err != nil || booked != 1 || held != 2 {
			t.Errorf("%s %d entries are booked and %d held, want 1 and 2 (%v)", when, booked, held, err)
		}
	}
	want("at first")

	a := &audit.Audit{Live: live, Shadow: checked, ShadowDB: checkedDB, Batch: 100, Log: log,
		Handlers: func(_ context.Context, store recompute.Store, _ func() time.Time) (*replay.Handlers, error) {
			return over(store), nil
		}}
	report, err := a.Run(t.Context(), time.Time{})
	if err != nil || len(report.Findings) > 0 {
		t.Errorf("the audit finds %v, %v", report.Findings, err)
	}
	b := &replay.Rebuild{Live: live, Shadow: shadow, LiveDB: liveDB, ShadowDB: shadowDB, Batch: 100, Log: log,
		Handlers: func(_ context.Context, store *clickhouse.Store) (*replay.Handlers, error) { return over(store), nil }}
	result, err := b.Run(t.Context())
	if err != nil || !result.Equal() {
		t.Fatalf("the rebuild differs: %+v, %v", result, err)
	}
	var stored, copied uint64 // raw events
	if err := live.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&stored, &copied) },
		"SELECT (SELECT count() FROM stripe_events), (SELECT count() FROM "+clickhouse.Table(shadowDB, "stripe_events")+
			")"); err != nil || stored != copied {
		t.Errorf("of %d raw events the rebuild has %d rows (%v)", stored, copied, err)
	}
	older := uint32(sql.LedgerRules - 1) // as before an upgrade
	if err := live.Exec(t.Context(), "INSERT INTO ledger_rules VALUES (?, now64(3))", older); err != nil {
		t.Fatal(err)
	}
	if err := b.Exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stopped bool
	if err := live.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&stopped) },
		"SELECT count() > 0 FROM ledger_rules WHERE rules = 0"); err != nil || !stopped {
		t.Errorf("the exchange has begun while processors of other rules book (%v)", err)
	}
	if rules, _, err := live.LedgerRules(t.Context()); err != nil || rules != sql.LedgerRules {
		t.Errorf("after the exchange the ledger is booked by rules %d, %v", rules, err)
	}
	want("after the exchange")
	// Each version counts from its event's arrival, also those that only the rebuild wrote.
	var entries, dated uint64
	if err := live.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&entries, &dated) },
		`SELECT count(), countIf(written = received_at) FROM ledger_log AS l FINAL
		LEFT JOIN (SELECT entry_id, version, min(written_at) AS written FROM ledger_written GROUP BY entry_id, version) AS w
		ON w.entry_id = l.entry_id AND w.version = l.version`); err != nil || entries == 0 || dated != entries {
		t.Errorf("of %d versions %d count from the arrival of their event (%v)", entries, dated, err)
	}
	if err := held.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("looked at again")
}
