package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/local/apache"
	"tributary/deploy/process"
	"tributary/schemas"
)

// race is one run of all who take part, against each Kafka and with each number of connections. All
// servers run from the beginning to the end; the rounds take turns, since a machine's speed
// wanders, and the medians are shown. CPU is user and system time of each process by /proc (Linux),
// divided by the clicks it took: the senders' and the broker's is not the server's. Compare the
// ratios within one run; the microseconds of two runs say little.
type race struct {
	Kafka       []string      `enum:"kfake,apache" default:"kfake,apache" help:"Against these. apache needs Java and Maven."`
	Connections []int         `default:"64,256"`
	Rounds      int           `default:"5"`
	For         time.Duration `default:"2s" help:"Length of one round of one contestant."`
	Only        []string      `sep:";" help:"Only these contestants."`
	Ingest      string        `default:"bin/ingest" help:"The program that is measured."`
	Others      []string      `name:"other" sep:";" placeholder:"FILE" help:"More such programs, one click a request: ingest from before a change, or a script that starts it with other settings."`
}

const publishableKey = "pk_bench_5f3a9c"

// contestant is one server, and what is sent to it.
type contestant struct {
	name   string
	path   string
	clicks int  // of one request
	half   bool // at half the rate that the one before it reached, for its waits

	server *server
	rounds []round
}

// server is a process that answers.
type server struct {
	addr string
	pid  int
	stop func()                      // at once
	end  func(context.Context) error // in order; edges only
}

// round is what one contestant did in one round.
type round struct {
	sent
	cpu, broker time.Duration
}

// Run prints a table for each Kafka and each number of connections.
func (r *race) Run(ctx context.Context) error {
	fmt.Printf("bench: %d rounds of %s each in turn, medians; CPU in µs a click, waits in ms\n", r.Rounds, r.For)
	for _, kind := range r.Kafka {
		for _, connections := range r.Connections {
			if err := r.against(ctx, kind, connections); err != nil {
				return fmt.Errorf("race against %s: %w", kind, err)
			}
		}
	}
	return nil
}

func (r *race) against(ctx context.Context, kind string, connections int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	broker, err := startKafka(ctx, kind, dir)
	if err != nil {
		return err
	}
	defer broker.stop()
	contestants, stop, err := r.start(ctx, dir, broker.addr)
	defer stop()
	if err != nil {
		return err
	}
	for n := range r.Rounds + 1 {
		rate := 0.0
		for _, c := range contestants {
			got, err := r.measure(ctx, c, broker, connections, rate/2)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			rate = float64(got.Requests) / got.Took.Seconds()
			if n > 0 { // the first warms up
				c.rounds = append(c.rounds, got)
			}
		}
	}
	return report(kind, connections, contestants)
}

// start starts every server that takes part.
func (r *race) start(ctx context.Context, dir, seed string) (list []*contestant, stop func(), err error) {
	var servers []*server
	stop = func() {
		for _, s := range servers {
			s.stop()
		}
	}
	workspaces, err := writeWorkspaces(dir)
	if err != nil {
		return nil, stop, err
	}
	edge := func(path string, flags ...string) func() (*server, error) {
		return func() (*server, error) {
			spool := filepath.Join(dir, "spool"+strconv.Itoa(len(servers)))
			all := []string{"--kafka-seeds", seed, "--workspaces", workspaces, "--max-conns-per-ip", "0"}
			return startEdge(ctx, path, "127.0.0.1:0", spool, append(all, flags...))
		}
	}
	peer := func(args ...string) func() (*server, error) {
		return func() (*server, error) { return startServer(args...) }
	}
	type entry struct {
		start func() (*server, error) // nil: the server of the one before
		contestant
	}
	entries := []entry{
		{peer("bare"), contestant{name: "bare fasthttp 204", path: "/", clicks: 1}},
		{peer("smallest", "--seed", seed), contestant{name: "smallest handler", path: "/", clicks: 1}},
		{edge(r.Ingest), contestant{name: "durable", path: "/v1/click", clicks: 1}},
		{nil, contestant{name: "durable, half the rate", path: "/v1/click", clicks: 1, half: true}},
		{edge(r.Ingest), contestant{name: "durable, batch of 100", path: "/v1/clicks", clicks: 100}},
		{edge(r.Ingest, "--ack", "enqueue"), contestant{name: "fast", path: "/v1/click", clicks: 1}},
	}
	for _, path := range r.Others {
		r.Only = append(r.Only, filepath.Base(path))
		c := contestant{name: filepath.Base(path), path: "/v1/click", clicks: 1}
		entries = append(entries, entry{edge(path), c})
	}
	for _, c := range entries {
		if len(r.Only) > 0 && !slices.Contains(r.Only, c.name) {
			continue
		}
		c.server = new(server)
		if c.start == nil {
			c.server = list[len(list)-1].server
		} else {
			s, err := c.start()
			if err != nil {
				return nil, stop, fmt.Errorf("start %s: %w", c.name, err)
			}
			servers, c.server = append(servers, s), s
		}
		list = append(list, &c.contestant)
	}
	return list, stop, nil
}

// measure sends to c for one round.
func (r *race) measure(
	ctx context.Context, c *contestant, broker *server, connections int, rate float64,
) (round, error) {
	args := []string{"--addr", c.server.addr, "--path", c.path, "--clicks", strconv.Itoa(c.clicks),
		"--connections", strconv.Itoa(connections), "--for", r.For.String()}
	if c.half {
		args = append(args, "--rate", fmt.Sprint(rate))
	}
	var got round
	own, brokers, err := cpu(c.server.pid, broker.pid)
	if err != nil {
		return got, err
	}
	senders, err := startSenders(ctx, args...)
	if err != nil {
		return got, err
	}
	if got.sent, err = senders.wait(); err != nil {
		return got, err
	}
	if got.Failed > 0 || got.Requests == 0 {
		return got, fmt.Errorf("%d of %d requests failed", got.Failed, got.Requests)
	}
	ownAfter, brokersAfter, err := cpu(c.server.pid, broker.pid)
	got.cpu, got.broker = ownAfter-own, brokersAfter-brokers
	return got, err
}

// report prints one table.
func report(kind string, connections int, contestants []*contestant) error {
	fmt.Printf("\n%s, %d connections\n%-24s %8s %9s %9s %9s %10s %9s %9s %7s\n", kind, connections,
		"", "CPU", "of bare", "smallest", "broker", "clicks/s", "p50", "p99", "RSS MB")
	perClick := func(c *contestant, d func(round) time.Duration) float64 {
		return median(c.rounds, func(r round) float64 {
			return float64(d(r).Nanoseconds()) / 1000 / float64(r.Requests*c.clicks)
		})
	}
	server := func(r round) time.Duration { return r.cpu }
	first := perClick(contestants[0], server)
	second := perClick(contestants[min(1, len(contestants)-1)], server)
	for _, c := range contestants {
		own, broker := perClick(c, server), perClick(c, func(r round) time.Duration { return r.broker })
		rate := median(c.rounds, func(r round) float64 { return float64(r.Requests*c.clicks) / r.Took.Seconds() })
		p50 := median(c.rounds, func(r round) float64 { return r.P50.Seconds() * 1000 })
		p99 := median(c.rounds, func(r round) float64 { return r.P99.Seconds() * 1000 })
		rss, err := peakRSS(c.server.pid)
		if err != nil {
			return err
		}
		fmt.Printf("%-24s %8.2f %9.2f %9.2f %9.2f %10.0f %9.2f %9.2f %7d\n",
			c.name, own, own/first, own/second, broker, rate, p50, p99, rss)
	}
	return nil
}

func median[R any](rounds []R, value func(R) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// startServer starts this program as one of its servers, which prints its address first.
func startServer(args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("wait for an address: %w", err)
	}
	return &server{addr: strings.TrimSpace(line), pid: p.PID(), stop: p.Kill}, nil
}

// startBroker starts an in-memory broker, and makes a temporary directory. stop ends the one and
// deletes the other.
func startBroker() (dir string, broker *server, stop func(), err error) {
	if dir, err = os.MkdirTemp("", "bench"); err != nil {
		return "", nil, nil, err
	}
	if broker, err = startServer("kafka"); err != nil {
		return "", nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop = func() {
		broker.stop()
		_ = os.RemoveAll(dir)
	}
	return dir, broker, stop, nil
}

// writeWorkspaces writes a file that has the edge check keys, hosts and rates.
func writeWorkspaces(dir string) (string, error) {
	path := filepath.Join(dir, "workspaces.json")
	const text = `[{"id":"bench","publishable_keys":["` + publishableKey + `"],` +
		`"hostnames":["shop.example.com"],"events_per_second":10000000}]`
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// startEdge starts the program that is measured at addr, or anywhere if its port is 0, and waits
// until it is ready.
func startEdge(ctx context.Context, path, addr, spool string, flags []string) (*server, error) {
	addrs, err := process.Addresses(2)
	if err != nil {
		return nil, err
	}
	if _, port, _ := net.SplitHostPort(addr); port != "0" {
		addrs[0] = addr
	}
	cmd := exec.Command(path, append([]string{"clicks", "--edge-addr", addrs[0], "--ops-addr", addrs[1]}, flags...)...)
	cmd.Env = append(os.Environ(), "TRIBUTARY_SPOOL_DIR="+spool) // not a flag: an older edge may take part
	var log bytes.Buffer
	cmd.Stderr = &log
	p, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get("http://" + addrs[1] + "/readyz")
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return &server{addr: addrs[0], pid: p.PID(), stop: p.Kill, end: p.Stop}, nil
			}
		}
		if time.Now().After(deadline) || !p.Alive() || ctx.Err() != nil {
			p.Kill()
			return nil, fmt.Errorf("the edge is not ready: %s", log.String())
		}
	}
}

// startKafka starts one broker, of one kind or the other, with the topics.
func startKafka(ctx context.Context, kind, dir string) (*server, error) {
	if kind == "kfake" {
		return startServer("kafka")
	}
	jars, err := apache.Dir()
	if err != nil {
		return nil, err
	}
	classpath, err := apache.Install(ctx, jars)
	if err != nil {
		return nil, err
	}
	c, err := apache.Start(ctx, apache.Config{
		Classpath: classpath, Dir: filepath.Join(dir, "apache"), Brokers: 1, HeapMB: 512,
		Properties: map[string]string{
			"min.insync.replicas": "1", "default.replication.factor": "1", "offsets.topic.replication.factor": "1",
			"transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
		},
	})
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Seeds()...))
	if err != nil {
		c.Close()
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopics(ctx, partitions, 1, nil, schemas.TopicClicks, schemas.TopicLeads); err != nil {
		c.Close()
		return nil, err
	}
	return &server{addr: c.Seeds()[0], pid: c.PID(1), stop: c.Close}, nil
}
