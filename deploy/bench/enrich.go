package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/consume"
	"tributary/processor/enrich"
	"tributary/schemas"
)

// enrichment measures what decoding and enriching a click costs the processor, beside what the same
// machine needs at the same time for a bare fasthttp answer. The two take turns; the medians are
// shown. Each click is another one; of its agents one in fifty has not been seen before, and the
// others are of a few hundred, as in a shop's log.
type enrichment struct {
	Rounds int           `default:"7"`
	For    time.Duration `default:"2s" help:"Length of one round of each."`
}

// Run prints the CPU of both and their ratio.
func (e *enrichment) Run(ctx context.Context) error {
	server, err := startServer("bare")
	if err != nil {
		return err
	}
	defer server.stop()
	records, err := clickRecords(100_000)
	if err != nil {
		return err
	}
	agents := enrich.NewAgents(enrich.BuiltinBotRules())
	var rounds [][2]float64 // microseconds of an answer, and of a click
	for round := range e.Rounds + 1 {
		bare, err := e.answer(ctx, server)
		if err != nil {
			return err
		}
		own, err := e.enrich(records, agents)
		if err != nil {
			return err
		}
		if round > 0 { // the first warms up
			rounds = append(rounds, [2]float64{bare, own})
		}
	}
	bare := median(rounds, func(r [2]float64) float64 { return r[0] })
	own := median(rounds, func(r [2]float64) float64 { return r[1] })
	rss, err := peakRSS(os.Getpid())
	if err != nil {
		return err
	}
	fmt.Printf("CPU: bare fasthttp 204 %.2f µs a request, decoding and enriching %.2f µs a click, %.2f of it; "+
		"RSS at most %d MB, %d clicks held\n", bare, own, own/bare, rss, len(records))
	return nil
}

// answer returns the microseconds of CPU that the server needs for a request.
func (e *enrichment) answer(ctx context.Context, s *server) (float64, error) {
	before, err := cpuOf(s.pid)
	if err != nil {
		return 0, err
	}
	senders, err := startSenders(ctx, "--addr", s.addr, "--path", "/", "--for", e.For.String())
	if err != nil {
		return 0, err
	}
	got, err := senders.wait()
	if err != nil {
		return 0, err
	}
	after, err := cpuOf(s.pid)
	if err == nil && (got.Requests == 0 || got.Failed > 0) {
		err = fmt.Errorf("%d of %d requests failed", got.Failed, got.Requests)
	}
	return float64((after - before).Microseconds()) / float64(got.Requests), err
}

// enrich returns the microseconds of CPU, the collector's included, that this process needs for a
// click.
func (e *enrichment) enrich(records []*kgo.Record, agents *enrich.Agents) (float64, error) {
	before, err := cpuOf(os.Getpid())
	if err != nil {
		return 0, err
	}
	n := 0
	for end := time.Now().Add(e.For); time.Now().Before(end); {
		for range 1000 {
			if _, err := consume.Enrich(records[n%len(records)], agents); err != nil {
				return 0, err
			}
			n++
		}
	}
	after, err := cpuOf(os.Getpid())
	return float64((after - before).Microseconds()) / float64(n), err
}

// clickRecords are clicks as the edge writes them into Kafka.
func clickRecords(n int) ([]*kgo.Record, error) {
	records := make([]*kgo.Record, n)
	for i := range records {
		id := schemas.NewClickID(time.UnixMilli(1_795_000_000_000 + int64(i)))
		version := 100 + i%350
		if i%50 == 0 {
			version = 1000 + i // an agent of its own
		}
		records[i] = new(kgo.Record)
		if err := schemas.EncodeClick(records[i], &schemas.Click{
			Workspace: "default", ClickId: id[:], ClickedAt: id.Time().UnixMilli(), ReceivedAt: id.Time().UnixMilli(),
			ProgramId: "prog_" + strconv.Itoa(i%97), AffiliateId: "aff_" + strconv.Itoa(i%1009),
			VisitorId: "v-" + strconv.Itoa(i*104729), IdentityHash: id[8:], Trigger: "link", Consent: "granted", Country: "DE",
			Url: fmt.Sprintf("https://shop.example.com/products/%d?via=aff_%d&utm_source=newsletter&utm_medium=email&"+
				"utm_campaign=spring-%d&gclid=Cj0KCQ%dabcdefgh", i, i%1009, i%7, i*7919),
			Referrer: fmt.Sprintf("https://www.blog-%d.example.org/posts/%d", i%500, i),
			UserAgent: fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "+
				"Chrome/%d.0.0.0 Safari/537.36", version),
			HintBrands:   `"Not)A;Brand";v="99", "Chromium";v="131", "Google Chrome";v="131"`,
			HintPlatform: `"Windows"`,
			Properties:   map[string]string{"plan": "pro", "seats": strconv.Itoa(i % 50)},
		}, nil, nil); err != nil {
			return nil, err
		}
	}
	return records, nil
}
