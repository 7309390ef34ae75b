package histories

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/race"
	"tributary/processor/clickhouse"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/replay"
	"tributary/schemas"
	"tributary/sql"
	"tributary/sql/sqltest"
)

// warehouse is a real ClickHouse with the records of a World.
type warehouse struct {
	t     *testing.T
	dsn   string
	name  string
	conn  driver.Conn
	store *clickhouse.Store
	log   *slog.Logger
	end   time.Time
}

func open(t testing.TB, dsn string) *clickhouse.Store {
	t.Helper()
	sqltest.Fill(t, dsn)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func newWarehouse(t *testing.T, end time.Time) *warehouse {
	t.Helper()
	dsn, _ := sqltest.Open(t)
	w := &warehouse{t: t, dsn: dsn, log: slog.New(slog.DiscardHandler), end: end}
	w.store = open(t, w.dsn)
	options, err := clickhousego.ParseDSN(w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	w.name = options.Auth.Database
	if w.conn, err = clickhousego.Open(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	return w
}

// shadow is a new database beside it.
func (w *warehouse) shadow(suffix string) (string, *clickhouse.Store) {
	u, err := url.Parse(w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	u.Path += suffix
	w.t.Cleanup(func() { w.exec("DROP DATABASE IF EXISTS " + w.name + suffix) })
	return w.name + suffix, open(w.t, u.String())
}

func (w *warehouse) exec(statement string) {
	w.t.Helper()
	ctx := clickhousego.Context(context.WithoutCancel(w.t.Context()),
		clickhousego.WithSettings(clickhousego.Settings{"mutations_sync": 2, "wait_end_of_query": 1}))
	if err := w.conn.Exec(ctx, statement); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}

func (w *warehouse) count(query string) uint64 {
	w.t.Helper()
	var n uint64
	if err := w.conn.QueryRow(w.t.Context(), query).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// storeRates writes the rates that traffic settles at for every day.
func (w *warehouse) storeRates(from, to time.Time) {
	w.t.Helper()
	var list []fx.Rate
	for currency, usd := range rates() {
		for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
			list = append(list, fx.Rate{Currency: currency, Date: fx.DateOf(day), USD: decimal.RequireFromString(usd),
				Source: "test", FetchedAt: from})
		}
	}
	if err := w.store.InsertRates(w.t.Context(), list); err != nil {
		w.t.Fatal(err)
	}
}

// A rebuild from the raw tables and one from Kafka, with other batches, partitions and
// interruptions, are the same tables as the live ones; what was damaged is found, and whole again
// after the exchange.
func TestRebuild(t *testing.T) {
	t.Parallel()
	const seed = 2
	opts := options(seed)
	opts.Clicks = 8
	opts = fewer(opts)
	world := traffic.New(seed, opts)
	truth := truthOf(world, opts)
	w := newWarehouse(t, world.End().AddDate(1, 0, 0))
	w.storeRates(opts.Start, opts.Start.AddDate(0, 0, 3))

	r := rand.New(rand.NewPCG(seed, 1))
	sequence := order{"delayed", 6 * time.Hour, .1}.arrange(r, records(t, world))
	live, err := w.handlers(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	var all []*kgo.Record
	for _, item := range sequence {
		all = append(all, item.record)
	}
	broken := &kgo.Record{Topic: schemas.TopicClicks, Key: []byte("k"), Value: []byte("not a click")}
	aside := replay.DeadLetterTable(w.store)
	for batch := range slices.Chunk(append(all, broken), 400) {
		var clicks, money []*kgo.Record
		for _, record := range batch {
			if record.Topic == schemas.TopicClicks {
				clicks = append(clicks, record)
			} else {
				money = append(money, record)
			}
		}
		if err := live.Clicks.Handle(t.Context(), clicks, aside); err != nil {
			t.Fatal(err)
		}
		if err := live.Payments.Handle(t.Context(), money, aside); err != nil {
			t.Fatal(err)
		}
	}

	// Each statement of a batch has its price, whatever it holds; make proof has small ones.
	batch := 10
	if race.Enabled {
		batch = len(all)/4 + 1
	}
	retentionDays, interruptions := 0, 3
	if race.Enabled {
		interruptions = 1
	}
	rebuild := func(suffix string, batch int, topics *replay.Topics) (*replay.Rebuild, *replay.Result) {
		t.Helper()
		database, shadow := w.shadow(suffix)
		b := &replay.Rebuild{Live: w.store, Shadow: shadow, LiveDB: w.name, ShadowDB: database, Handlers: w.handlers,
			Topics: topics, Batch: batch, RetentionDays: retentionDays, Log: w.log}
		// Interrupted at any moment, it continues where it stopped.
		for range interruptions {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(50+r.IntN(300))*time.Millisecond)
			_, _ = b.Run(ctx)
			cancel()
		}
		result, err := b.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return b, result
	}
	earlier, same := rebuild("_tables", batch+27, nil)
	if !same.Equal() || len(same.Differences) != 7 {
		t.Fatalf("rebuilt from the tables: %+v", same.Differences)
	}
	// Compared once more, it has what operators decided meanwhile.
	link := identity.Edge{A: identity.New(identity.Link, "unused"), B: identity.New(identity.Affiliate, "ann"),
		Source: identity.CatalogueSource, At: time.Now().UTC()}
	if err := live.Recomputer.Catalogue(t.Context(), "default", []identity.Edge{link}); err != nil {
		t.Fatal(err)
	}
	if same, err := earlier.Run(t.Context()); err != nil || !same.Equal() {
		t.Errorf("rebuilt before a catalogue, compared behind it: %+v %v", same, err)
	}
	partitioned := []int32{5, 1}
	if race.Enabled {
		partitioned = nil // it is rebuilt from Kafka once, after the retention
	}
	for _, partitions := range partitioned {
		topics := w.kafka(partitions, append(all, broken))
		suffix := "_kafka" + string('0'+partitions)
		topics.DeadLetter = nil
		// clicks and page views too
		if _, same := rebuild(suffix, batch+7*int(partitions), topics); !same.Equal() || len(same.Differences) != 9 {
			t.Fatalf("rebuilt from Kafka with %d partitions: %+v", partitions, same.Differences)
		}
	}

	// What clicks have lost to the retention is no difference: the clicks are years old.
	w.exec("ALTER TABLE clicks UPDATE visitor_id = '', utm_term = '', url = '', city = '', properties = map() WHERE true")
	retentionDays = 90
	emptied := map[string]*replay.Topics{"_emptied_kafka": w.kafka(5, append(all, broken))}
	if !race.Enabled {
		emptied["_emptied"] = nil // from the tables clicks are not rebuilt
	}
	for suffix, topics := range emptied {
		if _, same := rebuild(suffix, 1000, topics); !same.Equal() {
			t.Errorf("after the retention, %s: %+v", suffix, same.Differences)
		}
	}

	if race.Enabled {
		interruptions = 0 // what follows is about the tables that are compared, not about a rebuild's steps
	}
	before := w.count("SELECT count() FROM ledger FINAL")
	w.exec("ALTER TABLE ledger DELETE WHERE entry_id = (SELECT min(entry_id) FROM ledger WHERE status = 'booked')")
	w.exec("ALTER TABLE ledger UPDATE amount = amount + 1 WHERE entry_id = (SELECT max(entry_id) FROM ledger WHERE " +
		"status = 'booked')")
	w.exec("ALTER TABLE facts DELETE WHERE object_id = (SELECT min(object_id) FROM facts WHERE kind = 'payment')")
	damaged, found := rebuild("_damaged", 500, nil)
	if found.Equal() {
		t.Fatal("three faults are found by nobody")
	}
	differing := map[string]bool{}
	for _, d := range found.Differences {
		differing[d.Table] = d.Here+d.There > 0
		if differing[d.Table] && len(d.Some) == 0 {
			t.Errorf("%s differs, and no row is named", d.Table)
		}
	}
	if !differing["ledger"] || !differing["facts"] || differing["identities"] || differing["leads"] {
		t.Errorf("faults are found in %v", differing)
	}
	w.exec("TRUNCATE TABLE ledger_rules") // as if the ledger were from before there were numbers
	if err := damaged.Exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rules := w.count("SELECT toUInt64(max(rules)) FROM ledger_rules"); rules != sql.LedgerRules {
		t.Errorf("after the exchange the ledger is booked by rules %d, want %d", rules, sql.LedgerRules)
	}
	if after := w.count("SELECT count() FROM ledger FINAL"); after != before {
		t.Errorf("%d entries after the exchange, %d before the damage", after, before)
	}
	if !race.Enabled {
		if _, same := rebuild("_again", 1000, nil); !same.Equal() {
			t.Errorf("after the exchange: %+v", same.Differences)
		}
	}
	entries := w.count("SELECT count() FROM ledger_current")
	if entries != uint64(len(truth.movements)) {
		t.Errorf("%d entries, in truth %d movements", entries, len(truth.movements))
	}
	// What is delivered after the exchange goes to the exchanged tables, and to their views.
	w.exec("INSERT INTO ledger (workspace, entry_id, kind, object_id, occurred_at, day, received_at, status, " +
		"version) SELECT 'default', unhex('00000000000000000000000000000001'), 'payment', 'pi_last', now64(3), " +
		"today(), now64(3), 'booked', 1")
	if w.count("SELECT count() FROM revenue FINAL WHERE object_id = 'pi_last'") != 1 {
		t.Error("the dashboards' table does not follow the ledger after the exchange")
	}
}

// kafka is a cluster with the records.
func (w *warehouse) kafka(partitions int32, all []*kgo.Record) *replay.Topics {
	w.t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, schemas.TopicClicks,
		schemas.TopicLeads, schemas.TopicStripe, schemas.TopicDeadLetters))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	for _, r := range all {
		again := *r
		if err := client.ProduceSync(w.t.Context(), &again).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
	return &replay.Topics{Seeds: cluster.ListenAddrs(), Log: w.log}
}

// A dead letter is handled once it can be read, and what was lost from the live tables comes back
// from Kafka.
func TestReplayInPlace(t *testing.T) {
	t.Parallel()
	opts := options(4)
	opts.Clicks = 3
	world := traffic.New(4, opts)
	w := newWarehouse(t, world.End().AddDate(1, 0, 0))
	h, err := w.handlers(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	var all []*kgo.Record
	for _, item := range records(t, world) {
		all = append(all, item.record)
	}
	topics := w.kafka(3, all)
	topics.DeadLetter = replay.DeadLetterTable(w.store)
	if result, err := topics.Range(t.Context(), h, time.Time{}, time.Time{}, 100); err != nil ||
		result.Records != len(all) {
		t.Fatalf("%+v %v", result, err)
	}
	before := w.count("SELECT groupBitXor(cityHash64(*)) FROM ledger FINAL")
	for _, table := range []string{"clicks", "facts", "identities", "ledger", "leads", "stripe_events", "revenue"} {
		w.exec("TRUNCATE TABLE " + table)
	}
	h, err = w.handlers(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	middle := all[len(all)/2].Timestamp
	if _, err := topics.Range(t.Context(), h, time.Time{}, middle, 50); err != nil {
		t.Fatal(err)
	}
	if _, err := topics.Range(t.Context(), h, middle, time.Time{}, 70); err != nil {
		t.Fatal(err)
	}
	if after := w.count("SELECT groupBitXor(cityHash64(*)) FROM ledger FINAL"); after != before {
		t.Errorf("the ledger is another one after all records of two halves were handled again")
	}

	// A record that was set aside by a program that could not read it, and one that nobody can.
	i := slices.IndexFunc(all, func(r *kgo.Record) bool {
		return r.Topic == schemas.TopicStripe && strings.Contains(string(r.Value), `"charge.succeeded"`)
	})
	letter := *all[i]
	letter.Offset = 1 << 40
	w.exec("ALTER TABLE stripe_events DELETE WHERE event_id = '" + schemas.Header(&letter, schemas.HeaderEventID) + "'")
	if err := topics.DeadLetter(t.Context(), &letter, "facts", "unknown_shape", nil); err != nil {
		t.Fatal(err)
	}
	if err := topics.DeadLetter(t.Context(), &kgo.Record{Topic: schemas.TopicLeads, Value: []byte("x"),
		Headers: letter.Headers}, "decode", "unreadable", nil); err != nil {
		t.Fatal(err)
	}
	result, err := replay.HandleDeadLetters(t.Context(), w.store, h, time.Time{}, "", 10, w.log)
	if err != nil || result.Tried != 2 || result.Refused["unreadable"] != 1 || result.NoHeaders != 0 {
		t.Fatalf("%+v %v", result, err)
	}
	if w.count("SELECT count() FROM stripe_events WHERE event_id = '"+schemas.Header(&letter,
		schemas.HeaderEventID)+"'") != 1 {
		t.Error("the dead letter's event is not stored")
	}
	if after := w.count("SELECT groupBitXor(cityHash64(*)) FROM ledger FINAL"); after != before {
		t.Error("handling a dead letter changed what was booked")
	}
}
