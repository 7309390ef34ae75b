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
	"tributary/processor/clickhouse"
	"tributary/processor/replay"
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

// keepBooking lets a processor handle some new records and all earlier ones, in an order by chance, and then
// again and again until the returned function is called.
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

// killed runs a command, killed after two statements that change something, and then to its end; killed
// after more, and so on until it ends before it is killed: each time one more with -every-statement, six times
// as many otherwise. After each it calls next, when nothing is limited.
func (p *place) killed(command func(context.Context) error, next func(killedAfter int)) {
	p.t.Helper()
	for n := 2; ; {
		ctx, survived := p.limit.Allow(p.t.Context(), n)
		err := command(ctx)
		ended := survived()
		p.limit.Allow(p.t.Context(), chdbtest.Unlimited)
		if !ended {
			err = command(p.t.Context())
		}
		if err != nil {
			p.t.Fatalf("killed after %d statements and run again: %v", n, err)
		}
		next(n)
		switch {
		case ended && n < 6:
			p.t.Fatalf("the command needed %d statements at most: nobody was killed", n)
		case ended:
			return
		case *everyStatement:
			n++
		default:
			n *= 6
		}
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
		"SELECT groupBitXor(cityHash64(workspace, key, target, source)) FROM identities FINAL",
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

// An exchange of rebuilt tables is killed while a processor books, and run again: a rebuild then finds no
// difference, and in the end the tables are as if nothing had happened.
func TestExchangeKilled(t *testing.T) {
	const seed = 2
	now := func(w *traffic.World) time.Time { return w.End().AddDate(1, 0, 0) }
	want := wholeFigures(t, seed, now)
	for _, oneDatabase := range []bool{false, true} {
		t.Run(fmt.Sprintf("one database %t", oneDatabase), func(t *testing.T) {
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
			build()
			stop := p.keepBooking()
			p.killed(rebuild.Exchange, func(killedAfter int) {
				stop()
				drop()
				build()
				stop = p.keepBooking()
			})
			stop()
			drop()
			p.book(1)
			if got := p.figures(); got != want {
				t.Errorf("the tables are\n%s\nand should be\n%s", got, want)
			}
		})
	}
}
