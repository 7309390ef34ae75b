//go:build proof

package histories

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/rollup/rolluptest"
)

var everyStatement = flag.Bool("every-statement", false, "kill commands after each of their statements, not after some")

// place is a warehouse with a limited way to it, and a processor that books a World's records.
type place struct {
	*warehouse
	limit   *chdbtest.Limit
	all     []*kgo.Record
	handled int // so many of them are booked, or under way
	rand    *rand.Rand
}

func newPlace(t *testing.T, seed uint64, now func(*traffic.World) time.Time) *place {
	t.Helper()
	opts := options(seed)
	opts.Clicks = 3
	world := traffic.New(seed, opts)
	p := &place{warehouse: newWarehouse(t, now(world)), rand: rand.New(rand.NewPCG(seed, 7))}
	p.storeRates(opts.Start, opts.Start.AddDate(0, 0, 2))
	p.limit = chdbtest.NewLimit(t, p.dsn)
	for _, item := range records(t, world) {
		p.all = append(p.all, item.record)
	}
	return p
}

// book handles a share of all records, once.
func (p *place) book(share float64) {
	p.t.Helper()
	p.handled = int(share * float64(len(p.all)))
	h := p.handlersOver(p.store, p.clock)
	if err := h.Handle(p.t.Context(), p.all[:p.handled], noDeadLetter, p.log); err != nil {
		p.t.Fatal(err)
	}
}

func noDeadLetter(context.Context, *kgo.Record, string, string, error) error {
	return errors.New("a dead letter")
}

// keepBooking lets a processor handle some new records and all earlier ones, in an order by chance,
// and then again and again until the returned function is called.
func (p *place) keepBooking() (stop func()) {
	p.handled = min(p.handled+5, len(p.all))
	order := slices.Clone(p.all[:p.handled])
	p.rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	h := p.handlersOver(p.store, p.clock)
	stopping, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for ; ; time.Sleep(50 * time.Millisecond) { // the test's other half needs the machine, too
			for batch := range slices.Chunk(order, 15) {
				if err := h.Handle(p.t.Context(), batch, noDeadLetter, p.log); err != nil {
					ended <- err
					return
				}
			}
			select {
			case <-stopping:
				ended <- nil
				return
			default:
			}
		}
	}()
	return func() {
		p.t.Helper()
		close(stopping)
		if err := <-ended; err != nil {
			p.t.Fatal(err)
		}
	}
}

// killed runs a command that is killed after n statements that change something, and then to its
// end. It reports whether the command had ended before.
func (p *place) killed(n int, command func(context.Context) error) (ended bool) {
	p.t.Helper()
	ctx, survived := p.limit.Allow(p.t.Context(), n)
	err := command(ctx)
	ended = survived()
	p.limit.Allow(p.t.Context(), chdbtest.Unlimited)
	if !ended {
		err = command(p.t.Context())
	}
	if err != nil {
		p.t.Fatalf("killed after %d statements and run again: %v", n, err)
	}
	if ended && n <= 6 {
		p.t.Fatalf("the command needed %d statements at most: nobody was killed", n)
	}
	return ended
}

// rounds calls round with the numbers of statements after which a command is killed, until it
// reports that the command had ended before.
func rounds(round func(n int) (ended bool)) {
	if *everyStatement {
		for n := 1; !round(n); n++ {
		}
		return
	}
	for n := 6; !round(n); n *= 12 {
	}
}

// connect opens a database on the limited way.
func (p *place) connect(suffix string) *clickhouse.Store {
	p.t.Helper()
	u, err := url.Parse(p.limit.DSN)
	if err != nil {
		p.t.Fatal(err)
	}
	u.Path += suffix
	return open(p.t, u.String())
}

// figures are the rows that must be the same after whatever happened.
func (p *place) figures() string {
	p.t.Helper()
	var b strings.Builder
	for _, query := range []string{
		"SELECT groupBitXor(cityHash64(*)) FROM ledger FINAL", "SELECT groupBitXor(cityHash64(*)) FROM facts FINAL",
		"SELECT groupBitXor(cityHash64(*)) FROM leads FINAL", "SELECT groupBitXor(cityHash64(*)) FROM clicks FINAL",
		"SELECT groupBitXor(cityHash64(* EXCEPT moved)) FROM revenue FINAL", "SELECT count() FROM ledger_current",
		// Of several events that report an edge at one time either may be its source.
		"SELECT groupBitXor(cityHash64(workspace, key, target)) FROM identities FINAL",
	} {
		fmt.Fprintf(&b, "%s: %d\n", query, p.count(query))
	}
	return b.String()
}

// wholeFigures are the figures of a World that was booked without anything happening.
func wholeFigures(t *testing.T, seed uint64, now func(*traffic.World) time.Time) string {
	t.Helper()
	p := newPlace(t, seed, now)
	p.book(1)
	return p.figures()
}

// An exchange of rebuilt tables is killed while a processor books, and run again: a rebuild then
// finds no difference, and in the end the tables are as if nothing had happened.
func TestExchangeKilled(t *testing.T) {
	const seed = 2
	now := func(w *traffic.World) time.Time { return w.End().AddDate(1, 0, 0) }
	want := wholeFigures(t, seed, now)
	for _, oneDatabase := range []bool{false, true} {
		t.Run(fmt.Sprintf("one database %t", oneDatabase), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, seed, now)
			p.book(.6)
			rebuild := &replay.Rebuild{Live: p.connect(""), LiveDB: p.name, ShadowDB: p.name + "_replay",
				Handlers: p.handlers, Batch: 50, Log: p.log, OneDatabase: oneDatabase}
			build := func() {
				t.Helper()
				rebuild.Shadow = p.connect("_replay")
				if result, err := rebuild.Run(t.Context()); err != nil || !result.Equal() {
					t.Fatalf("with %d records: %+v %v", p.handled, result, err)
				}
			}
			drop := func() {
				t.Helper()
				if err := replay.Drop(t.Context(), rebuild.Live, rebuild.ShadowDB); err != nil {
					t.Fatal(err)
				}
			}
			rounds(func(n int) (ended bool) {
				build()
				stop := p.keepBooking()
				ended = p.killed(n, rebuild.Exchange)
				stop()
				drop()
				return ended
			})
			build()
			p.book(1)
			if got := p.figures(); got != want {
				t.Errorf("the tables are\n%s\nand should be\n%s", got, want)
			}
		})
	}
}

// A repair is killed while a processor books, and run again: an audit then finds nothing, and the
// tables are as they were before the faults.
func TestRepairKilled(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 4, func(*traffic.World) time.Time { return time.Now() })
	p.book(1)
	rolluptest.Refresh(t, p.store)
	want := p.figures()
	checks := &audit.Audit{
		Live: p.connect(""), Shadow: p.connect("_audit"), ShadowDB: p.name + "_audit", Batch: 100, Log: p.log,
		Handlers: func(_ context.Context, store recompute.Store, now func() time.Time) (*replay.Handlers, error) {
			return p.handlersOver(store, now), nil
		},
	}
	t.Cleanup(func() { p.exec("DROP DATABASE " + checks.ShadowDB) })
	const entry = "(SELECT min(entry_id) FROM ledger WHERE status = 'booked' AND amount != 0)"
	rounds(func(n int) (ended bool) {
		for _, fault := range []string{
			"ALTER TABLE facts UPDATE amount = amount + 1 WHERE object_id = " +
				"(SELECT max(object_id) FROM facts WHERE kind = 'payment')",
			"ALTER TABLE ledger UPDATE amount = amount - 1 WHERE entry_id = " + entry,
			"INSERT INTO ledger SELECT * REPLACE (toFixedString(reverse(toString(entry_id)), 16) AS entry_id) FROM " +
				"(SELECT * FROM ledger FINAL WHERE entry_id = " + entry + ")",
			"ALTER TABLE leads_attributed DELETE WHERE lead_id = (SELECT min(lead_id) FROM leads_attributed)",
		} {
			p.exec(fault)
		}
		stop := p.keepBooking()
		ended = p.killed(n, func(ctx context.Context) error {
			_, _, err := checks.Repair(ctx, time.Time{})
			return err
		})
		stop()
		// What the processor booked from a fact that was altered is repaired by the next audit.
		if _, left, err := checks.Repair(t.Context(), time.Time{}); err != nil || len(left.Findings) > 0 {
			t.Fatalf("killed after %d statements, %v are left, %v", n, left, err)
		}
		if got := p.figures(); got != want {
			t.Fatalf("killed after %d statements the tables are\n%s\nand were\n%s", n, got, want)
		}
		return ended
	})
}

// An erasure is killed while a processor books that does not know of it, and run again: the person
// is in no table, and no amount and no credit has changed.
func TestEraseKilled(t *testing.T) {
	t.Parallel()
	rounds(func(n int) (ended bool) {
		p := newPlace(t, 2, func(*traffic.World) time.Time { return time.Now() })
		p.book(1)
		const money = "SELECT groupBitXor(cityHash64(object_id, kind, currency, amount, affiliate_id, " +
			"hex(click_id), status)) FROM ledger FINAL"
		before := p.count(money)
		customers := rowsOf(p.warehouse, "SELECT customer_id, customer_id FROM ledger FINAL WHERE customer_id != '' LIMIT 1")
		if len(customers) != 1 {
			t.Fatal("nobody has bought")
		}
		customer := identity.New(identity.Customer, customers[0][0])
		find := func() *erase.Person {
			found, err := erase.Find(t.Context(), p.store, "default", []identity.Node{customer}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		person, again := find(), (*erase.Person)(nil)
		list, store := new(erase.List), p.connect("")
		stop := p.keepBooking()
		ended = p.killed(n, func(ctx context.Context) error {
			again = find() // as the command does when it is run again
			return erase.Run(ctx, store, list, again, time.Now())
		})
		stop()
		if err := erase.RedactLateArrivals(t.Context(), p.store, list, again); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, name := range person.Names {
			names = append(names, name.Value())
		}
		if found := mentions(p.warehouse, append(names, person.Visitors...)); found > 0 {
			t.Errorf("killed after %d statements, %d values still have one of %v", n, found, names)
		}
		if p.count(money) != before {
			t.Errorf("killed after %d statements, the money is not what it was", n)
		}
		return ended
	})
}
