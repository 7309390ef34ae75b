package clicks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"tributary/ingest/publish"
	"tributary/schemas"
)

// BenchmarkEdge compares an acknowledged click with a bare fasthttp 204 on a real loopback
// listener, and a batch of 100. Kafka (kfake) and the senders run in processes of their own, so
// that getrusage of this process counts the server alone. Rounds alternate, since the machine's
// speed wanders: compare the ratio, not the microseconds of two runs.
//
//	go test ./ingest/clicks -run '^$' -bench Edge -benchtime 200000x
//
// b.N is the number of requests to each of the two; the batch endpoint gets a hundredth of it.
func BenchmarkEdge(b *testing.B) {
	for _, connections := range []int{64, 256} {
		b.Run(strconv.Itoa(connections), func(b *testing.B) { benchmarkEdge(b, connections) })
	}
}

func benchmarkEdge(b *testing.B, connections int) {
	if b.N == 1 {
		return // the framework's first try; starting three processes for one request says nothing
	}
	seed, stopKafka := child(b, "kafka")
	defer stopKafka()
	c := publish.Default()
	c.Seeds = []string{seed}
	c.Logger = slog.New(slog.DiscardHandler)
	p, err := publish.New(c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close(b.Context()) }()
	edge := newBareServer(b, p)
	edge.cfg.MaxConnsPerIP = 0
	edgeAddr := listen(b, edge.Serve)
	bare := &fasthttp.Server{NoDefaultServerHeader: true,
		Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(204) }}
	bareAddr := listen(b, bare.Serve)

	const rounds = 4
	var cpu [3]time.Duration
	var done [3]int
	b.ResetTimer()
	for range rounds {
		for i, run := range []struct {
			addr, kind string
			n          int
		}{{bareAddr, "click", b.N / rounds}, {edgeAddr, "click", b.N / rounds},
			{edgeAddr, "batch", max(b.N/rounds/100, connections)}} {
			n := max(run.n/connections, 1) * connections
			before := ownCPU()
			_, wait := child(b, "load", run.addr, run.kind, strconv.Itoa(n), strconv.Itoa(connections))
			wait()
			cpu[i] += ownCPU() - before
			done[i] += n
		}
	}
	b.StopTimer()
	per := func(i int) float64 { return float64(cpu[i].Nanoseconds()) / 1000 / float64(done[i]) }
	b.ReportMetric(per(0), "bare-cpu-µs/req")
	b.ReportMetric(per(1), "edge-cpu-µs/req")
	b.ReportMetric(per(1)/per(0), "edge/bare")
	b.ReportMetric(per(2)/100, "batch-cpu-µs/event")
	b.ReportMetric(0, "ns/op") // of three different things together: it means nothing
}

// BenchmarkProducer is what the Kafka client costs for each record of a batch of 100, alone and
// under Publish: the least that the edge can take for a click of such a batch, as long as each is a
// record. Kafka runs in a process of its own.
//
//	go test ./ingest/clicks -run '^$' -bench Producer -benchtime 3000000x
func BenchmarkProducer(b *testing.B) {
	for _, connections := range []int{64, 256} {
		b.Run("kgo/"+strconv.Itoa(connections), func(b *testing.B) { benchmarkProducer(b, connections, produceAll) })
		b.Run("publish/"+strconv.Itoa(connections), func(b *testing.B) { benchmarkProducer(b, connections, publishAll) })
	}
}

// produceAll hands records to a Kafka client with the publisher's options.
func produceAll(b *testing.B, cfg publish.Config) (send func([]*kgo.Record), stop func()) {
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Seeds...), kgo.ProducerLinger(cfg.Linger),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.RecordPartitioner(kgo.LeastBackupPartitioner()),
		kgo.MaxBufferedRecords(cfg.MaxBufferedRecords))
	if err != nil {
		b.Fatal(err)
	}
	return func(records []*kgo.Record) {
		var left sync.WaitGroup
		left.Add(len(records))
		promise := func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
			left.Done()
		}
		for _, r := range records {
			client.TryProduce(b.Context(), r, promise)
		}
		left.Wait()
	}, client.Close
}

func publishAll(b *testing.B, cfg publish.Config) (send func([]*kgo.Record), stop func()) {
	p, err := publish.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return func(records []*kgo.Record) {
		if _, err := p.Publish(b.Context(), records...); err != nil {
			b.Error(err)
		}
	}, func() { _ = p.Close(context.Background()) }
}

func benchmarkProducer(
	b *testing.B, connections int, start func(*testing.B, publish.Config) (func([]*kgo.Record), func()),
) {
	if b.N == 1 {
		return // the framework's first try
	}
	seed, stopKafka := child(b, "kafka")
	defer stopKafka()
	made := &sink{keep: true}
	s := newBareServer(b, made)
	s.handle(requestOf("/v1/clicks", sampleBatch(1, 100)))
	clicks := made.all()
	cfg := publish.Default()
	cfg.Seeds, cfg.AnyPartition, cfg.Logger = []string{seed}, true, slog.New(slog.DiscardHandler)
	send, stop := start(b, cfg)
	defer stop()
	batches := max(b.N/len(clicks)/connections, 1)
	b.ResetTimer()
	before := ownCPU()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			memory := make([]kgo.Record, len(clicks)) // of one request; the client writes into it
			records := make([]*kgo.Record, len(clicks))
			for range batches {
				for i := range records {
					memory[i] = *clicks[i]
					records[i] = &memory[i]
				}
				send(records)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	sent := connections * batches * len(clicks)
	b.ReportMetric(float64((ownCPU()-before).Nanoseconds())/1000/float64(sent), "cpu-µs/record")
	b.ReportMetric(0, "ns/op") // which counts waiting
}

// BenchmarkHandler is the edge's own work on one click, without network and Kafka.
func BenchmarkHandler(b *testing.B) {
	for name, body := range map[string]string{"click": sampleClick(1), "batch100": sampleBatch(1, 100)} {
		b.Run(name, func(b *testing.B) {
			s := newBareServer(b, &sink{})
			s.addresses = newAddressRates(1e9, s.cfg.MaxBatch)
			ctx := requestOf(map[string]string{"click": "/v1/click", "batch100": "/v1/clicks"}[name], body)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				ctx.Response.Reset()
				s.handle(ctx)
			}
			if ctx.Response.StatusCode() != 200 {
				b.Fatalf("status %d: %s", ctx.Response.StatusCode(), ctx.Response.Body())
			}
		})
	}
}

// requestOf is a POST that has been read from a visitor's connection.
func requestOf(path, body string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.Header.SetMethod("POST")
	req.Header.SetContentType("application/json")
	req.Header.SetUserAgent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	req.SetRequestURI(path)
	req.SetBodyString(body)
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(&deadlineConn{addr: netip.MustParseAddr("203.0.113.1"), addrKnown: true}, nil, false)
	req.CopyTo(&ctx.Request)
	return ctx
}

func sampleClick(n int) string {
	return fmt.Sprintf(`{"key":"pk_live_5f3a","program_id":"prog_%d","affiliate_id":"aff_%d","link_id":"go.example.com/spring-%d","url":"https://shop.example.com/products/%d?utm_source=newsletter&utm_medium=email&utm_campaign=spring-%d&gclid=Cj0KCQ%dabcdefgh","referrer":"https://www.google.com/","visitor_id":"v-%016x","trigger":"link","consent":"granted","properties":{"plan":"pro","seats":"%d"}}`,
		n%97, n%1009, n%31, n, n%7, n*7919, n*104729, n%50)
}

func sampleBatch(first, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = sampleClick(first + i)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func listen(b *testing.B, serve func(net.Listener) error) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = serve(ln) }()
	b.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// ownCPU is the user and system time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMain lets the test binary be its own Kafka and its own crowd of senders, in processes of
// their own.
func TestMain(m *testing.M) {
	switch role := os.Getenv("TRIBUTARY_BENCH_ROLE"); role {
	case "":
		os.Exit(m.Run())
	case "edge":
		serveAttacked()
	case "deaf":
		sendDeaf(strings.Split(os.Getenv("TRIBUTARY_BENCH_ARGS"), " "))
	case "kafka":
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(12, schemas.TopicClicks))
		if err != nil {
			panic(err)
		}
		fmt.Println(c.ListenAddrs()[0])
		_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
		c.Close()
	case "load":
		args := strings.Split(os.Getenv("TRIBUTARY_BENCH_ARGS"), " ")
		n, _ := strconv.Atoi(args[2])
		conns, _ := strconv.Atoi(args[3])
		if err := load(args[0], args[1], n, conns); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("done")
	}
}

// child starts this binary in another role and gives its first line. stop ends it; for "load" it
// waits for the end.
func child(b testing.TB, role string, args ...string) (line string, stop func()) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TRIBUTARY_BENCH_ROLE="+role, "TRIBUTARY_BENCH_ARGS="+strings.Join(args, " "))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	line, err = bufio.NewReader(out).ReadString('\n')
	line = strings.TrimSpace(line)
	if err != nil || role == "load" && line != "done" {
		b.Fatalf("%s: %q %v", role, line, err)
	}
	return line, func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
}

// load sends n requests over conns connections, each waiting for its answer. Requests are made
// before the first is sent.
func load(addr, kind string, n, conns int) error {
	requests := make([][]byte, 256)
	for i := range requests {
		path, body := "/v1/click", sampleClick(i)
		if kind == "batch" {
			path, body = "/v1/clicks", sampleBatch(i*100, 100)
		}
		requests[i] = fmt.Appendf(nil,
			"POST %s HTTP/1.1\r\nHost: edge.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) "+
				"Gecko/20100101 Firefox/140.0\r\nOrigin: https://shop.example.com\r\nReferer: "+
				"https://shop.example.com/\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s",
			path, len(body), body)
	}
	var wg sync.WaitGroup
	errs := make(chan error, conns)
	for c := range conns {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				errs <- err
				return
			}
			defer conn.Close()
			answer := make([]byte, 4096)
			for i := range n / conns {
				if _, err := conn.Write(requests[(c*31+i)%len(requests)]); err != nil {
					errs <- err
					return
				}
				k, err := conn.Read(answer) // the answers are small: one packet each
				if err != nil || !bytes.HasPrefix(answer[:k], []byte("HTTP/1.1 20")) {
					errs <- fmt.Errorf("answer %q: %w", answer[:k], err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
