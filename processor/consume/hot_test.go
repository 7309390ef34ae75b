package consume

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s is %q: give a number", name, text)
	}
	return n
}

// work is what a record makes ClickHouse look up: a bound on it holds on a busy machine too.
type work struct {
	queries, rows int64
	took          time.Duration // only printed: it depends on what else runs
}

func (w work) String() string {
	return fmt.Sprintf("%d lookups of %d rows in %s", w.queries, w.rows, w.took.Round(time.Millisecond))
}

// countingStore counts what is looked up, whoever asks.
type countingStore struct {
	*clickhouse.Store
	queries, rows atomic.Int64
}

// of returns the work of one function. Nobody else may use the store meanwhile.
func (s *countingStore) of(do func()) work {
	queries, rows, began := s.queries.Load(), s.rows.Load(), time.Now()
	do()
	return work{s.queries.Load() - queries, s.rows.Load() - rows, time.Since(began)}
}

func counted[T any](s *countingStore, list []T, err error) ([]T, error) {
	s.queries.Add(1)
	s.rows.Add(int64(len(list)))
	return list, err
}

func (s *countingStore) Names(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	list, err := s.Store.Names(ctx, workspace, nodes)
	return counted(s, list, err)
}

func (s *countingStore) Neighbours(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge,
	error) {
	list, err := s.Store.Neighbours(ctx, workspace, nodes)
	return counted(s, list, err)
}

func (s *countingStore) Clicks(ctx context.Context, workspace string,
	nodes []identity.Node) (map[identity.Node]*join.Click, error) {
	found, err := s.Store.Clicks(ctx, workspace, nodes)
	_, _ = counted(s, slices.Collect(maps.Keys(found)), nil)
	return found, err
}

func (s *countingStore) Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact,
	error) {
	found, err := s.Store.Facts(ctx, workspace, objects)
	_, _ = counted(s, slices.Concat(slices.Collect(maps.Values(found))...), nil)
	return found, err
}

// A name that very many public clicks carry costs its sale, and the sales of others, no more than a
// name that one click has. TRIBUTARY_HOT_CLICKS=1000000 tries a million.
func TestHotName(t *testing.T) {
	clicks := number(t, "TRIBUTARY_HOT_CLICKS", 4*identity.Most)
	const hot, cold, batch = "Ab3dEf6hIj9kLm2n", "Zy3dEf6hIj9kLm2q", 1_000
	p := newPipeline(t)
	recomputer := recompute.New(recompute.Config{Store: p.store, Rates: testRates, Log: slog.New(slog.DiscardHandler)})
	consumer := &Clicks{Store: p.store, Recomputer: recomputer}
	store := &countingStore{Store: p.store} // of the sales alone
	money := &Payments{Store: p.store, Events: NewEventsMetric(),
		Recomputer: recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler)}),
		Workspace:  func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	feed := func(ctx context.Context, n int, at int) error {
		var records []*kgo.Record
		for i := range n {
			id := schemas.NewClickID(epoch.Add(time.Duration(at) * time.Second))
			records = append(records, click(t, at, &schemas.Click{ClickId: id[:], ForeignId: hot, AffiliateId: fmt.Sprint("aff_",
				i%3), VisitorId: fmt.Sprint(i)}))
		}
		return consumer.Handle(ctx, records, nil)
	}
	only := schemas.NewClickID(epoch.Add(-2 * time.Hour))
	if err := consumer.Handle(t.Context(),
		[]*kgo.Record{click(t, -7200, &schemas.Click{ClickId: only[:], ForeignId: cold, AffiliateId: "aff_0"})},
		nil); err != nil {
		t.Fatal(err)
	}
	first := time.Now()
	if err := feed(t.Context(), 1, -7200); err != nil {
		t.Fatal(err)
	}
	for sent := 0; sent < clicks; sent += batch {
		if err := feed(t.Context(), min(batch, clicks-sent), -3600); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d clicks stored after %s", clicks, time.Since(first).Round(time.Millisecond))

	// More of them come while sales are booked.
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := feed(ctx, batch/20, -1800); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
			time.Sleep(300 * time.Millisecond)
		}
		done <- nil
	}()
	sale := func(n int, reference string) work {
		r := event(t, fmt.Sprint("evt_", n), "checkout.session.completed", 10+n, 1,
			j{"id": fmt.Sprint("cs_", n), "mode": "payment",
				"payment_status": "paid", "currency": "eur", "amount_total": 4900, "payment_intent": fmt.Sprint("pi_", n),
				"client_reference_id": reference})
		return store.of(func() {
			if err := money.Handle(t.Context(), []*kgo.Record{r}, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	took := sale(0, "dub_id_"+hot)
	var others []work
	for n := range 8 {
		if n%4 == 3 {
			sale(100+n, "dub_id_"+hot)
		}
		others = append(others, sale(1+n, fmt.Sprint("order_", n)))
	}
	one := sale(200, "dub_id_"+cold)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	most := slices.MaxFunc(others, func(a, b work) int { return cmp.Compare(a.rows, b.rows) })
	t.Logf("the sale of the hot name: %s; of a name that one click has: %s; of others at most: %s", took, one, most)
	if took.queries > one.queries || took.rows > one.rows || most.queries > one.queries || most.rows > one.rows {
		t.Errorf("more than the sale of a name that one click has")
	}
	p.until(4, "SELECT count() FROM revenue FINAL WHERE match_rule = 'click_id' AND clicked_at = toDateTime64("+
		fmt.Sprint(epoch.Add(-2*time.Hour).Unix())+", 3)")
	p.until(2, "SELECT count() FROM identities FINAL WHERE key = 'public:reference:"+hot+
		"' OR target = 'public:reference:"+hot+"'")
}

// Names that a backend or Stripe says, and that very many clicks, leads and sales share, cost a
// sale that names them no more than others: an id that a backend gives to every buyer, a customer
// who stands for all guests. What is new about such a name reaches the sales under it in the
// background. TRIBUTARY_HOT_NAMES=1000000 tries a million of each.
func TestHotVouchedNames(t *testing.T) {
	many := number(t, "TRIBUTARY_HOT_NAMES", 3*identity.Most)
	p := newPipeline(t)
	store := &countingStore{Store: p.store}
	recomputer := recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler),
		Metrics: recompute.NewNameMetrics(prometheus.NewRegistry())})
	money := &Payments{Store: p.store, Recomputer: recomputer, Events: NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	clicks := &Clicks{Store: p.store, Recomputer: recomputer}
	handle := func(h Handler, r *kgo.Record) work {
		t.Helper()
		return store.of(func() {
			if err := h(t.Context(), []*kgo.Record{r}, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	guest, everybody := identity.New(identity.External, "guest"), identity.New(identity.Customer, "cus_all")
	var rows []clickhouse.EdgeRow
	flush := func() {
		t.Helper()
		if err := p.store.InsertEdges(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		rows = rows[:0]
	}
	for i := range many {
		id := schemas.NewClickID(epoch.Add(-time.Hour - time.Duration(i)*time.Millisecond))
		link := func(a, b identity.Node) {
			rows = append(rows, clickhouse.EdgeRow{Workspace: "default", Edge: identity.Edge{A: a, B: b, Source: "lead.click_id",
				At: epoch.Add(-time.Hour), Carried: true}})
		}
		link(guest, identity.New(identity.Click, id.String()))
		link(ledger.LeadNode(id), guest)
		link(identity.New(identity.Object, fmt.Sprint("pi_before_", i)), everybody)
		if len(rows) >= 60_000 {
			flush()
		}
	}
	flush()
	// Some of the customer's sales are real ones, and so are the first and the latest click.
	paid := func(n int, customer string) *kgo.Record {
		return event(t, fmt.Sprint("evt_", n), "payment_intent.succeeded", n, 1,
			j{"id": fmt.Sprint("pi_", n), "object": "payment_intent",
				"currency": "usd", "amount": 100, "amount_received": 100, "customer": customer})
	}
	const sales = 8
	for n := range sales {
		handle(money.Handle, paid(n, "cus_all"))
		handle(money.Handle, paid(100+n, fmt.Sprint("cus_", n)))
	}
	handle(clicks.Handle, click(t, -30, &schemas.Click{AffiliateId: "ann", Vouched: true}))
	lead, err := schemas.LeadRecord(&schemas.Lead{Workspace: "default", LeadId: []byte("0123456789abcdef"),
		Vouched:    new(true),
		ReceivedAt: epoch.UnixMilli(), ClickRef: clickID(-30).String(), ExternalId: "guest", EventName: "sign up",
		Mode: "async", Quantity: 1})
	if err != nil {
		t.Fatal(err)
	}
	led := handle(money.Handle, lead)
	took := handle(money.Handle, event(t, "evt_guest", "checkout.session.completed", 500, 1,
		j{"id": "cs_1", "mode": "payment",
			"payment_status": "paid", "currency": "usd", "amount_total": 4900, "payment_intent": "pi_guest",
			"client_reference_id": "x",
			"metadata":            j{"pimmsCustomerId": "guest"}}))
	// its latest click
	p.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 'pi_guest' AND affiliate_id = 'ann'")
	corrected := handle(money.Handle, event(t, "evt_cus", "customer.updated", 600, 1,
		j{"id": "cus_all", "object": "customer",
			"metadata": j{"pimmsClickId": clickID(-30).String()}}))
	const credited = "SELECT count() FROM revenue FINAL WHERE affiliate_id = 'ann' AND match(object_id, '^pi_[0-9]+$')"
	if n := p.count(credited); n != 0 {
		t.Errorf("%d of the customer's sales are booked again by the record that names them all", n)
	}
	p.until(2, "SELECT uniqExact(name) FROM deferred_names FINAL WHERE NOT done")
	other := handle(money.Handle, paid(200, "cus_other"))
	t.Logf("of %d: a lead needs %s, a sale %s, the customer's new click %s; another's sale %s",
		many, led, took, corrected, other)
	const limit = 3 * identity.Most // a name is looked up from two sides, and cut to Most of each type
	if max(led.rows, took.rows, corrected.rows) > limit || max(led.queries, took.queries, corrected.queries) > 10 {
		t.Errorf("more than 10 lookups or %d rows", limit)
	}
	if many > 100_000 {
		return // booking all of them takes minutes
	}
	if err := recomputer.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.until(sales, credited)
	p.until(0, "SELECT count() FROM deferred_names FINAL WHERE NOT done")
}
