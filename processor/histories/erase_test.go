package histories

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/race"
	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/processor/replay"
)

// Whoever is erased is in no table any more, and in none that is built again; every amount,
// affiliate and total stays.
func TestErase(t *testing.T) {
	t.Parallel()
	opts := options(2)
	opts.Clicks, opts.Channels, opts.Scenarios = 8, []traffic.Channel{traffic.PimmsCustomer, traffic.DubCustomer},
		[]traffic.Scenario{traffic.Subscription, traffic.OneTime}
	world := traffic.New(2, opts)
	w := newWarehouse(t, time.Now())
	w.storeRates(opts.Start, opts.Start.AddDate(0, 0, 2))
	var all []*kgo.Record
	for _, item := range records(t, world) {
		all = append(all, item.record)
	}
	topics := w.kafka(3, all)
	topics.DeadLetter = replay.DeadLetterTable(w.store)
	handle := func() {
		t.Helper()
		h, err := w.erasing(t.Context(), w.store)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := topics.Range(t.Context(), h, time.Time{}, time.Time{}, 200); err != nil {
			t.Fatal(err)
		}
	}
	handle()
	commitAll(t, topics)

	// Somebody who clicked, signed up, and paid.
	i := slices.IndexFunc(world.Movements, func(m traffic.Movement) bool {
		return m.Kind == traffic.Payment && m.Customer != "" && m.Rule == "external_customer"
	})
	if i < 0 {
		t.Fatal("nobody in this World clicked, signed up, and paid")
	}
	customer := identity.New(identity.Customer, world.Movements[i].Customer)
	person, err := erase.Find(t.Context(), w.store, "default", []identity.Node{customer}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range person.Names {
		names = append(names, n.Value())
	}
	names = append(names, person.Visitors...)
	if len(person.Names) < 2 || len(person.Visitors) == 0 || len(person.Clicks) == 0 {
		t.Fatalf("the person is %+v", person)
	}
	if mentions(w, names) == 0 {
		t.Fatal("the names were nowhere before")
	}

	const money = "SELECT groupBitXor(cityHash64(object_id, kind, currency, amount, tax, toString(amount_usd), " +
		"affiliate_id, link_id, toString(match_rule), status, hex(click_id), version)) FROM ledger FINAL"
	before, dashboards := w.count(money), w.count("SELECT groupBitXor(cityHash64(object_id, amount, "+
		"toString(net_usd), affiliate_id, version)) FROM revenue FINAL")
	rebuild := func(suffix string, source *replay.Topics) *replay.Rebuild {
		t.Helper()
		database, shadow := w.shadow(suffix)
		b := &replay.Rebuild{Live: w.store, Shadow: shadow, LiveDB: w.name, ShadowDB: database, Handlers: w.erasing,
			Topics: source, Batch: 100, Log: w.log}
		result, err := b.Run(t.Context())
		if err != nil || !result.Equal() {
			t.Errorf("rebuilt%s: %+v %v", suffix, result, err)
		}
		return b
	}
	check := func(when string) {
		t.Helper()
		database, shadow := w.shadow("_audit_" + when)
		checked := &audit.Audit{
			Live: w.store, Shadow: shadow, ShadowDB: database, Topics: topics, Batch: 300, Log: w.log,
			Handlers: func(ctx context.Context, store recompute.Store, now func() time.Time) (*replay.Handlers, error) {
				return w.erasingOver(ctx, store, now)
			},
		}
		if report, err := checked.Run(t.Context(), time.Time{}); err != nil || len(report.Findings) > 0 {
			t.Errorf("%s the audit finds %v %v", when, report, err)
		}
	}
	earlier := rebuild("_earlier", &replay.Topics{Seeds: topics.Seeds, Log: w.log})

	list := new(erase.List)
	for range 2 { // the second time there is nothing left to do
		if err := erase.Run(t.Context(), w.store, list, person, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(when string) {
		t.Helper()
		if n := mentions(w, names); n > 0 {
			t.Errorf("%s %d rows still have one of %v", when, n, names)
		}
		if w.count(money) != before || w.count("SELECT groupBitXor(cityHash64(object_id, amount, toString(net_usd), "+
			"affiliate_id, version)) FROM revenue FINAL") != dashboards {
			t.Errorf("%s the money is not what it was", when)
		}
	}
	gone("after the erasure")
	check("after_erasure")
	handle()
	gone("after all records were handled again")

	sources := map[string]*replay.Topics{"_kafka": {Seeds: topics.Seeds, Log: w.log}}
	if !race.Enabled {
		sources["_tables"] = nil
	}
	for suffix, source := range sources {
		b := rebuild(suffix, source)
		if n := mentionsIn(w, b.ShadowDB, names); n > 0 {
			t.Errorf("rebuilt%s: %d rows have one of the names", suffix, n)
		}
	}
	if mentionsIn(w, earlier.ShadowDB, names) == 0 {
		t.Error("what was rebuilt before the erasure has none of the names")
	}
	if err := earlier.Exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone("after the exchange with what was rebuilt before the erasure")
	if !race.Enabled {
		check("after_exchange")
	}
	if _, err := erase.Find(t.Context(), w.store, "default", []identity.Node{"object:pi_1"}, nil); err == nil {
		t.Error("a payment is taken for a person")
	}
}

// erasing handlers know who was erased.
func (w *warehouse) erasing(ctx context.Context, store *clickhouse.Store) (*replay.Handlers, error) {
	return w.erasingOver(ctx, store, w.clock)
}

func (w *warehouse) erasingOver(ctx context.Context, store recompute.Store,
	now func() time.Time,
) (*replay.Handlers, error) {
	h, erased := w.handlersOver(store, now), new(erase.List)
	h.Payments.Erased, h.Clicks.Erased = erased, erased
	return h, erased.Load(ctx, w.store)
}

func mentions(w *warehouse, names []string) uint64 { return mentionsIn(w, w.name, names) }

// mentionsIn counts the rows of all tables in which a name stands, once for each name.
func mentionsIn(w *warehouse, database string, names []string) uint64 {
	w.t.Helper()
	columns := make(map[string][]string) // by table
	for _, c := range rowsOf(w, "SELECT table, name FROM system.columns WHERE database = '"+database+"' AND table IN "+
		"(SELECT name FROM system.tables WHERE database = '"+database+"' AND engine LIKE '%MergeTree') AND NOT "+
		"startsWith(type, 'AggregateFunction')") {
		columns[c[0]] = append(columns[c[0]], "`"+c[1]+"`")
	}
	var counts []string
	for table, list := range columns {
		counts = append(counts, fmt.Sprintf("SELECT sum(arrayCount(x -> position(toString(tuple(%s)), x) > 0, ['%s'])) AS n "+
			"FROM `%s`.`%s`", strings.Join(list, ", "), strings.Join(names, "', '"), database, table))
	}
	return w.count("SELECT toUInt64(sum(n)) FROM (" + strings.Join(counts, " UNION ALL ") + ")")
}

func rowsOf(w *warehouse, query string) (list [][2]string) {
	w.t.Helper()
	rows, err := w.conn.Query(w.t.Context(), query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func(rows driver.Rows) { _ = rows.Close() }(rows) // read to its end below
	for rows.Next() {
		var pair [2]string
		if err := rows.Scan(&pair[0], &pair[1]); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, pair)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return list
}
