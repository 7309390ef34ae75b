package main

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"tributary/deploy/local/chdb"
	"tributary/schemas"
)

const partitions = 12

// kafka is franz-go's in-memory broker, in a process of its own.
type kafka struct {
	Port int    `help:"Listen there; 0: anywhere."`
	Dir  string `help:"Keep records there, for another start; without it, in memory."`
}

// Run prints the broker's address and serves until ctx ends.
func (k kafka) Run(ctx context.Context) error {
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(partitions, schemas.TopicClicks,
		schemas.TopicLeads, schemas.TopicStripe, schemas.TopicDeadLetters, jsonTopic)}
	if k.Port > 0 {
		opts = append(opts, kfake.Ports(k.Port))
	}
	if k.Dir != "" {
		opts = append(opts, kfake.DataDir(k.Dir))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println(c.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}

// engine is the embedded ClickHouse, in a process of its own. It does not read back what inserts
// wrote, which no ClickHouse server does.
type engine struct {
	Data string `required:""`
}

// engineGC is how much garbage of this program, which hands requests to the library, may grow beside
// what lives, in percent. Hardly anything lives, so that at Go's 100 it collects for every few
// requests, which counts as the engine's CPU. A server has none of it.
const engineGC = 800

// Run prints the engine's address and serves until ctx ends.
func (e engine) Run(ctx context.Context) error {
	debug.SetGCPercent(engineGC)
	library, err := chdb.Find()
	if err != nil {
		return err
	}
	own, err := chdb.Open(library, e.Data, chdb.WithKafka(), chdb.WithoutReadBack())
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	s := own.Server()
	context.AfterFunc(ctx, func() { _ = s.Close() })
	_ = s.Serve(ln) // ends with the listener
	return nil      // the process ends without Close: its directory is removed
}

// bare answers 204 to everything: what fasthttp and the kernel cost alone.
type bare struct{}

// Run prints the address and serves until ctx ends.
func (bare) Run(ctx context.Context) error {
	return serve(ctx, func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusNoContent) })
}

// smallest is the least that keeps the edge's promise: the body goes to Kafka as it came, and the
// answer is given when all in-sync replicas have it. No parsing, no check of keys, hosts or rates,
// no key of the record, no deadline.
type smallest struct {
	Seed string `required:""`
}

// Run prints the address and serves until ctx ends.
func (s *smallest) Run(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Seed), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return err
	}
	defer client.Close()
	waiters := sync.Pool{New: func() any { return make(chan error, 1) }}
	return serve(ctx, func(ctx *fasthttp.RequestCtx) {
		done := waiters.Get().(chan error)
		client.Produce(context.Background(), &kgo.Record{Topic: schemas.TopicClicks, Value: ctx.PostBody()},
			func(_ *kgo.Record, err error) { done <- err })
		if err := <-done; err != nil {
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		} else {
			ctx.SetStatusCode(fasthttp.StatusNoContent)
		}
		waiters.Put(done)
	})
}

func serve(ctx context.Context, h fasthttp.RequestHandler) error {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	s := &fasthttp.Server{Handler: h, NoDefaultServerHeader: true}
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	_ = s.Serve(ln) // ends with the listener
	return nil
}

// click is one distinct beacon of about 400 bytes; equal ones would make compression absurdly
// cheap.
func click(n int) string {
	return fmt.Sprintf(`{"key":%q,"program_id":"prog_%d","affiliate_id":"aff_%d","link_id":"go.example.com/spring-%d",`+
		`"url":"https://shop.example.com/products/%d?utm_source=newsletter&utm_medium=email&utm_campaign=spring-%d&gclid=Cj0KCQ%dabcdefgh",`+
		`"referrer":"https://www.google.com/","visitor_id":"v-%016x","trigger":"link","consent":"granted",`+
		`"properties":{"plan":"pro","seats":"%d"}}`,
		publishableKey, n%97, n%1009, n%31, n, n%7, n*7919, n*104729, n%50)
}

// request is one HTTP request with so many clicks.
func request(path string, first, clicks int) []byte {
	body := click(first)
	if clicks > 1 {
		list := make([]byte, 0, clicks*420)
		for i := range clicks {
			list = append(append(list, ','), click(first+i)...)
		}
		list[0] = '['
		body = string(append(list, ']'))
	}
	return []byte("POST " + path + " HTTP/1.1\r\nHost: edge.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Origin: https://shop.example.com\r\nReferer: https://shop.example.com/\r\n" +
		"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}
