package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/schemas"
)

// events lets the processor book Stripe events that wait, each a sale that names one of the stored
// clicks. Before that it measures what looking 100 of the clicks up takes.
type events struct {
	Events    int      `default:"20000" help:"Events that wait."`
	Stored    int      `default:"1000000" help:"Clicks that are stored, of 90 days."`
	Processor string   `default:"bin/processor" help:"The program that is measured."`
	Others    []string `name:"other" placeholder:"FILE" help:"More such programs: processor from before a change."`
}

// Run prints a line for each program.
func (e *events) Run(ctx context.Context) error {
	dir, broker, stop, err := startBroker()
	if err != nil {
		return err
	}
	defer stop()
	if err := fillEvents(ctx, broker.addr, e.Events, e.Stored); err != nil {
		return fmt.Errorf("fill topic: %w", err)
	}
	for _, path := range append([]string{e.Processor}, e.Others...) {
		if err := e.measure(ctx, &loading{seed: broker.addr, dir: dir}, path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (e *events) measure(ctx context.Context, r *loading, path string) error {
	chdb, stop, err := r.startEngine(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := storeClicks(ctx, r, e.Stored); err != nil {
		return fmt.Errorf("store clicks: %w", err)
	}
	wait, used, err := lookUp(ctx, r, e.Stored, chdb.pid)
	if err != nil {
		return fmt.Errorf("look clicks up: %w", err)
	}
	fmt.Printf("%d clicks stored: 100 of them looked up in %s (median), engine CPU %s\n", e.Stored,
		wait.Round(100*time.Microsecond), used.Round(100*time.Microsecond))
	before, err := cpuOf(chdb.pid)
	if err != nil {
		return err
	}
	program, err := processor(path)(ctx, r)
	if err != nil {
		return err
	}
	defer program.stop()
	rate, err := r.wait(ctx, "ledger", e.Events)
	if err != nil {
		return err
	}
	own, after, err := cpu(program.pid, chdb.pid)
	if err != nil {
		return err
	}
	rss, err := peakRSS(program.pid)
	if err != nil {
		return err
	}
	batches, err := firstBatches(ctx, program.addr)
	if err != nil {
		return err
	}
	perEvent := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(e.Events) }
	fmt.Printf("%s: %d events booked in %d batches, %.0f a second; CPU of an event: processor %.0f µs, engine %.0f µs; "+
		"RSS %d MB\n", path, e.Events, batches, rate, perEvent(own), perEvent(after-before), rss)
	return nil
}

// firstBatches returns how many batches of events a processor has handled, and waits for the first:
// it marks the edges of a batch after the last entry of it can be counted.
func firstBatches(ctx context.Context, addr string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		n, err := paymentBatches(addr)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-ctx.Done():
			return 0, errors.New("the processor has handled no batch for a minute")
		case <-time.After(pollEvery):
		}
	}
}

// paymentBatches returns how many batches of events a processor has handled.
func paymentBatches(addr string) (uint64, error) {
	answer, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	for _, m := range families["processor_consume_batch_seconds"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "consumer" && l.GetValue() == "payments" {
				return m.GetHistogram().GetSampleCount(), err
			}
		}
	}
	return 0, err
}

// storedSpan is the time that the stored clicks are of.
const (
	storedBegin = 1_780_000_000_000 // Unix milliseconds
	storedSpan  = 90 * 24 * 3_600_000
)

// storedClick returns the id of the nth stored click. SQL computes the same in storeClicks.
func storedClick(n, of int) schemas.ClickID {
	id := schemas.NewClickID(time.UnixMilli(storedBegin + int64(n)*int64(storedSpan/of)))
	id[6], id[7] = 0x70, 0
	binary.BigEndian.PutUint64(id[8:], 0x8000_0000_0000_0000|uint64(n))
	return id
}

// storeClicks makes clicks in the engine, a million an insert.
func storeClicks(ctx context.Context, r *loading, stored int) error {
	for first := 0; first < stored; first += 1_000_000 {
		err := r.conn.Exec(ctx, fmt.Sprintf(`INSERT INTO clicks (workspace, click_id, clicked_at, received_at, program_id,
affiliate_id, link_id, visitor_id, url, host, path, utm_source, utm_campaign, country, device, user_agent,
trigger, version)
SELECT 'default', unhex(concat(hex(at), '7000', hex(bitOr(0x8000000000000000, number)))),
    fromUnixTimestamp64Milli(toInt64(at), 'UTC'), fromUnixTimestamp64Milli(toInt64(at), 'UTC'), 'main',
    concat('aff_', toString(hash %% 1000)), concat('lnk_', toString(hash %% 10000)),
    lower(hex(sipHash64(number %% %[3]d))),
    concat('https://shop.example.com/products/', toString(hash %% 5000)), 'shop.example.com',
    concat('/products/', toString(hash %% 5000)), 'newsletter', concat('spring-', toString(hash %% 40)),
    ['US', 'DE', 'GB'][1 + hash %% 3], ['desktop', 'mobile'][1 + hash %% 2],
    concat('Mozilla/5.0 (X11; Linux x86_64; rv:', toString(100 + hash %% 40), '.0) Gecko/20100101'), 'link', bitNot(at)
FROM (SELECT number, toUInt64(%[4]d + number * intDiv(%[5]d, %[6]d)) AS at, sipHash64(number) AS hash
    FROM numbers(%[1]d, %[2]d))`,
			first, min(1_000_000, stored-first), max(1, stored/2), storedBegin, storedSpan, stored))
		if err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// lookUp looks 100 clicks up, twenty times, and returns how long a lookup takes, as a median, and
// the engine's CPU for each.
func lookUp(ctx context.Context, r *loading, stored, engine int) (wait, used time.Duration, err error) {
	store, err := clickhouse.Open(r.base+"/"+r.databaseName(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return 0, 0, err
	}
	defer store.Close()
	const lookups, each = 20, 100
	waits := make([]time.Duration, lookups)
	before, err := cpuOf(engine)
	if err != nil {
		return 0, 0, err
	}
	for i := range waits {
		nodes := make([]identity.Node, each)
		for j := range nodes {
			nodes[j] = identity.New(identity.Click, storedClick(rand.IntN(stored), stored).String())
		}
		begin := time.Now()
		found, err := store.Clicks(ctx, "default", nodes)
		if err != nil {
			return 0, 0, err
		}
		if len(found) < each/2 { // drawn at random, so that some are drawn twice
			return 0, 0, fmt.Errorf("%d of %d clicks were found", len(found), each)
		}
		waits[i] = time.Since(begin)
	}
	after, err := cpuOf(engine)
	slices.Sort(waits)
	return waits[lookups/2], (after - before) / lookups, err
}

// fillEvents writes sessions of Checkout, each with a click that is stored, a customer and a
// payment of its own.
func fillEvents(ctx context.Context, seed string, n, stored int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(seed))
	if err != nil {
		return err
	}
	defer client.Close()
	begin := time.UnixMilli(storedBegin + storedSpan)
	records := make([]*kgo.Record, n)
	for i := range records {
		at := begin.Add(time.Duration(i) * time.Second)
		body := fmt.Sprintf(`{"id":"evt_%[1]d","object":"event","type":"checkout.session.completed","created":%[2]d,`+
			`"livemode":true,`+
			`"api_version":"2025-09-30.clover","data":{"object":{"id":"cs_%[1]d","object":"checkout.session","mode":"payment",`+
			`"payment_status":"paid","currency":"usd","amount_total":%[3]d,"total_details":{"amount_tax":0,"amount_shipping":0,`+
			`"amount_discount":0},"payment_intent":"pi_%[1]d","invoice":null,"customer":"cus_%[1]d",`+
			`"client_reference_id":%[4]q,`+
			`"metadata":{},"invoice_creation":{"enabled":false}}}}`, i, at.Unix(), 1000+i%9000,
			storedClick(rand.IntN(stored), stored))
		records[i] = schemas.StripeRecord(&schemas.StripeEvent{
			ID: fmt.Sprint("evt_", i), Type: "checkout.session.completed", APIVersion: "2025-09-30.clover", Livemode: true,
			ReceivedAt: at, Body: []byte(body),
		}, fmt.Sprint("cus_", i))
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}
