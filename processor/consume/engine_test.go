package consume

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/explain"
	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

// pipeline is both consumers over a Kafka that speaks the protocol and the real ClickHouse engine.
type pipeline struct {
	tb       testing.TB
	cluster  *kfake.Cluster
	producer *kgo.Client
	conn     driver.Conn
	store    *clickhouse.Store
	dsn      string
}

func newPipeline(tb testing.TB) *pipeline {
	tb.Helper()
	dsn, _ := sqltest.Open(tb)
	options, err := clickhousego.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, schemas.TopicClicks, schemas.TopicLeads,
		schemas.TopicStripe), kfake.SeedTopics(1, schemas.TopicDeadLetters))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(cluster.Close)
	r := &pipeline{tb: tb, cluster: cluster, dsn: dsn}
	if r.producer, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.producer.Close)
	if r.conn, err = clickhousego.Open(options); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.conn.Close() })
	if r.store, err = clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.store.Close() })
	return r
}

// start runs both consumers until the returned function is called.
func (r *pipeline) start(rewind time.Duration) (stop func()) {
	r.tb.Helper()
	metrics := NewMetrics(prometheus.NewRegistry())
	log := slog.New(slog.DiscardHandler)
	recomputer := recompute.New(recompute.Config{Store: r.store, Rates: testRates, Log: log})
	money := &Payments{Store: r.store, Recomputer: recomputer, Events: NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	clicks := &Clicks{Store: r.store, Recomputer: recomputer}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	for _, l := range []*Consumer{
		{Name: "money", Topics: PaymentTopics, MaxRecords: 500, Handle: money.Handle},
		{Name: "clicks", Topics: ClickTopics, MaxRecords: 500, Handle: clicks.Handle},
	} {
		l.Seeds, l.Rewind, l.Deadline, l.Log, l.Metrics = r.cluster.ListenAddrs(), rewind, 10*time.Second, log, metrics
		go func() { done <- l.Run(ctx) }()
	}
	return func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				r.tb.Error(err)
			}
		}
	}
}

func (r *pipeline) send(records ...*kgo.Record) {
	r.tb.Helper()
	for _, rec := range records {
		again := *rec
		if err := r.producer.ProduceSync(context.Background(), &again).FirstErr(); err != nil {
			r.tb.Fatal(err)
		}
	}
}

func (r *pipeline) count(query string) (n uint64) {
	r.tb.Helper()
	if err := r.conn.QueryRow(context.Background(), query).Scan(&n); err != nil {
		r.tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// until waits for a query to give want.
func (r *pipeline) until(want uint64, query string) {
	r.tb.Helper()
	deadline := time.Now().Add(limit)
	for {
		got := r.count(query)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			r.tb.Fatalf("%s gives %d, want %d", query, got, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A sale that comes before its click is booked unattributed, and attributed when the click arrives.
// A record that cannot be read is set aside with its origin, and the one behind it goes on.
// Everything once more changes nothing.
func TestSaleBeforeItsClick(t *testing.T) {
	r := newPipeline(t)
	stop := r.start(0)
	sale := event(t, "evt_1", "checkout.session.completed", 0, 1, j{"id": "cs_1", "mode": "payment",
		"payment_status": "paid", "currency": "jpy", "amount_total": 5000, "payment_intent": "pi_1",
		"client_reference_id": clickID(-60).String()})
	refund := event(t, "evt_2", "refund.created", 9, 1, j{"id": "re_1", "amount": 500, "currency": "jpy",
		"payment_intent": "pi_1", "charge": nil, "status": "succeeded", "created": epoch.Unix() + 8})
	cause := click(t, -60, &schemas.Click{LinkId: "launch", AffiliateId: "ann",
		Url: "https://shop.example/?utm_campaign=spring", UserAgent: firefox})
	broken := &kgo.Record{Topic: schemas.TopicClicks, Key: []byte("k"), Value: []byte("not a click")}
	lead, err := schemas.LeadRecord(&schemas.Lead{Workspace: "default", LeadId: []byte("0123456789abcdef"),
		ReceivedAt: epoch.UnixMilli(), ClickRef: clickID(-60).String(), ExternalId: "user_1", EventName: "sign up",
		Mode: "async", Quantity: 1})
	if err != nil {
		t.Fatal(err)
	}

	r.send(sale, refund)
	r.until(2, "SELECT count() FROM revenue FINAL WHERE status = 'booked' AND match_rule = 'none'")
	r.send(broken, lead, cause)
	r.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 'pi_1' AND match_rule = 'click_id' AND "+
		"affiliate_id = 'ann' AND utm_campaign = 'spring' AND amount_usd = 33.5")
	r.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 're_1' AND match_rule = 'sale' AND sale_id = "+
		"'pi_1' AND affiliate_id = 'ann' AND amount = -500")
	r.until(1, "SELECT count() FROM leads_attributed FINAL WHERE affiliate_id = 'ann'")
	r.until(1, "SELECT count() FROM dead_letters FINAL WHERE topic = 'clicks.v1' AND step = 'decode' AND reason = "+
		"'unreadable' AND body = 'not a click'")
	stop()

	explained, err := explain.Explain(context.Background(), r.store, "default", "re_1", nil)
	if err != nil || len(explained.Sales) != 1 || len(explained.Sales[0].Entries) != 2 {
		t.Fatalf("the refund explained: %+v %v", explained, err)
	}
	payment := explained.Sales[0].Entries[0]
	if first, last := payment.Versions[0], payment.Versions[len(payment.Versions)-1]; payment.Object != "pi_1" ||
		first.MatchRule != "none" || last.MatchRule != "click_id" || last.AffiliateID != "ann" {
		t.Errorf("the payment's versions: %+v", payment.Versions)
	}
	if byEntry, err := explain.Explain(context.Background(), r.store, "default", payment.ID, nil); err != nil ||
		len(byEntry.Sales) != 1 {
		t.Errorf("asked by its entry: %+v %v", byEntry, err)
	}
	if _, err := explain.Explain(context.Background(), r.store, "default", "pi_nobody", nil); !errors.Is(err,
		explain.ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}

	const rows = "SELECT groupBitXor(cityHash64(*)) FROM ledger FINAL WHERE object_id != 'pi_9'"
	before := r.count(rows)
	stop = r.start(24 * 365 * time.Hour) // the rewind goes back to the beginning
	r.send(sale, sale, refund, cause, lead)
	last := event(t, "evt_1", "checkout.session.completed", 20, 1, j{"id": "cs_9", "mode": "payment",
		"payment_status": "paid", "currency": "usd", "amount_total": 900, "payment_intent": "pi_9"})
	// the key, and so the partition, of the first sale
	r.send(last, click(t, -50, &schemas.Click{LinkId: "other", UserAgent: firefox}))
	r.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 'pi_9'")
	r.until(2, "SELECT count() FROM clicks FINAL")
	stop()
	if after := r.count(rows); after != before {
		t.Error("the ledger changed by a second delivery")
	}
	if n := r.count("SELECT sum(clicks) FROM clicks_by_dimension(workspace = 'default', " +
		"from = '2000-01-01 00:00:00', to = '2100-01-01 00:00:00', dimensions = [''], stored = true)"); n != 2 {
		t.Errorf("the rollup counts %d clicks, want 2", n)
	}
}

// What arrives late credits what was booked: a click a month after its sale, a mapping after ten
// renewals, a catalogue after the sale by its link. How long each took is said, not judged: the
// machine may be busy.
func TestLateArrivals(t *testing.T) {
	r := newPipeline(t)
	stop := r.start(0)
	defer stop()
	const month = 30 * 24 * 3600
	arrives := func(what string, want uint64, query string, send func()) {
		t.Helper()
		start := time.Now()
		send()
		r.until(want, query)
		t.Logf("%s: right after %s", what, time.Since(start).Round(time.Millisecond))
	}

	r.send(event(t, "evt_1", "checkout.session.completed", 0, 1, j{"id": "cs_1", "object": "checkout.session",
		"mode": "payment", "payment_status": "paid", "currency": "usd", "amount_total": 5000, "payment_intent": "pi_1",
		"client_reference_id": clickID(-60).String()}))
	r.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 'pi_1' AND match_rule = 'none'")
	arrives("a click a month after its sale", 1,
		"SELECT count() FROM revenue FINAL WHERE object_id = 'pi_1' AND match_rule = 'click_id' AND affiliate_id = "+
			"'ann'", func() {
			late := &schemas.Click{Workspace: "default", AffiliateId: "ann", ClickedAt: epoch.UnixMilli() - 60_000,
				ReceivedAt: epoch.UnixMilli() + month*1000}
			id := clickID(-60)
			late.ClickId = id[:]
			record, err := schemas.ClickRecord(late, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.send(record)
		})

	for i := range 10 {
		n := strconv.Itoa(i)
		r.send(event(t, "evt_r"+n, "invoice.paid", i*month, 1, j{"id": "in_" + n, "object": "invoice",
			"currency": "usd", "amount_paid": 100, "total": 100, "customer": "cus_1", "subscription": "sub_1"}))
	}
	r.until(10, "SELECT count() FROM revenue FINAL WHERE object_id LIKE 'in_%' AND match_rule = 'none'")
	arrives("a mapping after ten renewals", 10,
		"SELECT count() FROM revenue FINAL WHERE object_id LIKE 'in_%' AND match_rule = 'stripe_customer' AND "+
			"affiliate_id = 'ann'", func() {
			r.send(event(t, "evt_c", "customer.updated", 11*month, 1, j{"id": "cus_1", "object": "customer",
				"metadata": j{"pimmsClickId": clickID(-60).String()}}))
		})
	r.until(1, "SELECT count() FROM identities FINAL WHERE key = 'customer:cus_1' AND target = 'click:"+
		clickID(-60).String()+"' AND carried")
	before := r.count("SELECT count() FROM ledger_log")
	r.send(event(t, "evt_r10", "invoice.paid", 12*month, 1, j{"id": "in_10", "object": "invoice", "currency": "usd",
		"amount_paid": 100, "total": 100, "customer": "cus_1", "subscription": "sub_1",
		"subscription_details": j{"metadata": j{"pimmsClickId": clickID(-60).String()}}}))
	r.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 'in_10' AND match_rule != 'none'")
	r.send(event(t, "evt_r11", "invoice.paid", 13*month, 1, j{"id": "in_11", "object": "invoice", "currency": "usd",
		"amount_paid": 100, "total": 100, "customer": "cus_1", "subscription": "sub_1",
		"subscription_details": j{"metadata": j{"pimmsClickId": clickID(-60).String()}}}))
	r.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 'in_11' AND match_rule != 'none'")
	if written := r.count("SELECT count() FROM ledger_log") - before; written > 2+12+2 {
		t.Errorf("two more renewals wrote %d rows of the ledger: a name that is known already is carried to its "+
			"sales again", written)
	}

	r.send(click(t, -90, &schemas.Click{LinkId: "spring", UserAgent: firefox}),
		event(t, "evt_2", "checkout.session.completed", 0, 1, j{"id": "cs_2", "object": "checkout.session",
			"mode": "payment", "payment_status": "paid",
			"currency": "usd", "amount_total": 700, "payment_intent": "pi_2",
			"client_reference_id": clickID(-90).String()}))
	r.until(1, "SELECT count() FROM revenue FINAL WHERE object_id = 'pi_2' AND match_rule = 'click_id' AND "+
		"affiliate_id = ''")
	arrives("whose link it was, and of which programme an affiliate is", 2, "SELECT count() FROM revenue FINAL WHERE "+
		"object_id = 'pi_2' AND affiliate_id = 'bob' AND program_id = 'p1' OR object_id = 'pi_1' AND program_id = 'p2'",
		func() {
			book := recompute.New(recompute.Config{Store: r.store, Rates: testRates,
				Log: slog.New(slog.DiscardHandler)})
			bob, link := identity.New(identity.Affiliate, "bob"), identity.New(identity.Link, "spring")
			names := []identity.Edge{{A: link, B: bob, Source: "catalogue", At: epoch},
				{A: bob, B: identity.New(identity.Program, "p1"), Source: "catalogue", At: epoch},
				{A: identity.New(identity.Affiliate, "ann"), B: identity.New(identity.Program, "p2"), Source: "catalogue",
					At: epoch}}
			if err := book.Catalogue(context.Background(), "default", names); err != nil {
				t.Fatal(err)
			}
		})
}
