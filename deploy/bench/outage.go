package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// outage takes Kafka away under a constant load and brings it back. Every click that was answered
// with success must then be in Kafka: clicks are counted by their ids, since one that was in doubt
// may be there twice.
type outage struct {
	For         time.Duration `default:"30s" help:"How long Kafka is away."`
	Rate        float64       `default:"5000" help:"Clicks a second."`
	Connections int           `default:"64"`
	Kill        bool          `help:"Also kill -9 the edge in the middle of the outage, and start it again."`
	Ingest      string        `default:"bin/ingest" help:"The program that is measured."`
}

// calm is how long Kafka is there before the outage, and again before the end of the load.
const calm = 2 * time.Second

// Run prints what happened, and returns an error when a click is lost.
func (o *outage) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	machine, err := o.control(ctx)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "kafka")
	broker, err := startServer("kafka", "--dir", data)
	if err != nil {
		return err
	}
	defer func() { broker.stop() }()
	edge, err := o.startEdge(ctx, dir, broker.addr, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { edge.stop() }()

	senders, err := startSenders(ctx, "--addr", edge.addr, "--rate", fmt.Sprint(o.Rate), "--reconnect",
		"--connections", strconv.Itoa(o.Connections), "--for", (o.For + 2*calm).String())
	if err != nil {
		return err
	}
	time.Sleep(calm)
	broker.stop()
	rss := 0
	if o.Kill {
		time.Sleep(o.For / 2)
		if rss, err = peakRSS(edge.pid); err != nil {
			return err
		}
		edge.stop()
		if edge, err = o.startEdge(ctx, dir, broker.addr, edge.addr); err != nil {
			return err
		}
		time.Sleep(o.For / 2)
	} else {
		time.Sleep(o.For)
	}
	_, port, _ := net.SplitHostPort(broker.addr)
	if broker, err = startServer("kafka", "--dir", data, "--port", port); err != nil {
		return err
	}
	empty := make(chan time.Duration, 1)
	go func() { empty <- waitEmpty(ctx, filepath.Join(dir, "spool"), time.Now()) }()
	seen, err := senders.wait()
	if err != nil {
		return err
	}
	drained := <-empty
	last, err := peakRSS(edge.pid)
	if err != nil {
		return err
	}
	stored, err := distinct(ctx, broker.addr)
	if err != nil {
		return err
	}
	inflow := o.For.Seconds() * o.Rate
	fmt.Printf("Kafka away for %s at %.0f clicks/s over %d connections\n", o.For, o.Rate, o.Connections)
	fmt.Printf("%d answered with success, %d refused, %d connections broken\n", seen.Requests, seen.Failed, seen.Broken)
	fmt.Printf("answers: p50 %s, p99 %s (a bare 204 before: %s, %s); edge: RSS at most %d MB\n",
		seen.P50, seen.P99, machine.P50, machine.P99, max(rss, last))
	fmt.Printf("drained %s after Kafka was back: %.1f times the inflow, beside the live clicks\n",
		drained.Round(10*time.Millisecond), inflow/drained.Seconds()/o.Rate)
	fmt.Printf("in Kafka: %d different clicks; lost: %d\n", stored, max(0, seen.Requests-stored))
	if stored < seen.Requests {
		return errors.New("clicks that were answered with success are lost")
	}
	return nil
}

// control sends to a server that does nothing: what the machine adds to every wait.
func (o *outage) control(ctx context.Context) (sent, error) {
	bare, err := startServer("bare")
	if err != nil {
		return sent{}, err
	}
	defer bare.stop()
	senders, err := startSenders(ctx, "--addr", bare.addr, "--path", "/", "--rate", fmt.Sprint(o.Rate),
		"--connections", strconv.Itoa(o.Connections), "--for", "5s")
	if err != nil {
		return sent{}, err
	}
	return senders.wait()
}

func (o *outage) startEdge(ctx context.Context, dir, seed, addr string) (*server, error) {
	workspaces, err := writeWorkspaces(dir)
	if err != nil {
		return nil, err
	}
	return startEdge(ctx, o.Ingest, addr, filepath.Join(dir, "spool"),
		[]string{"--kafka-seeds", seed, "--workspaces", workspaces, "--max-conns-per-ip", "0"})
}

// waitEmpty waits until the spool holds no segment, and returns how long after begin that was.
func waitEmpty(ctx context.Context, dir string, begin time.Time) time.Duration {
	for ctx.Err() == nil {
		left, err := filepath.Glob(filepath.Join(dir, "*.spool"))
		if err == nil && len(left) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begin)
}

// distinct counts the different click ids in Kafka, of all that is there now. A broker on a machine
// with much other work may take long for each answer, so nothing is concluded from a silence.
func distinct(ctx context.Context, seed string) (int, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ConsumeTopics(schemas.TopicClicks),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, schemas.TopicClicks)
	if err = cmp.Or(err, ends.Error()); err != nil {
		return 0, err
	}
	left := int64(0)
	ends.Each(func(end kadm.ListedOffset) { left += end.Offset })
	ids := make(map[string]bool)
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			ids[string(r.Key)] = true
			left--
		})
	}
	return len(ids), nil
}
