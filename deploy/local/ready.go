package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// oneTry is how long one question about readiness may take; the question is asked again until the
// wait is over.
const oneTry = 2 * time.Second

var probes = &http.Client{Timeout: oneTry}

// answers is nil when a GET of the URL is answered 200; else the error holds what was said instead.
func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := probes.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 300)) // the status says enough without it
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", url, response.Status, strings.TrimSpace(string(said)))
	}
	return nil
}

// kafkaAnswers is nil when one of the seeds answers ApiVersions, the first thing that every client
// asks.
func kafkaAnswers(ctx context.Context, seeds []string) error {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RequestRetries(0))
	if err != nil {
		return fmt.Errorf("make Kafka client: %w", err)
	}
	defer cl.Close()
	if _, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl); err != nil {
		return fmt.Errorf("ask Kafka at %s for its versions: %w", strings.Join(seeds, ","), err)
	}
	return nil
}

// clickhouseAnswers is nil when the server of the DSN answers /ping. A DSN of the native protocol
// has no /ping: the migrations will say whether it answers.
func clickhouseAnswers(ctx context.Context, dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil {
		return fmt.Errorf("read ClickHouse's DSN: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return answers(ctx, (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/ping"}).String())
}

// waitFor asks until the answer is nil or the time is over.
func waitFor(ctx context.Context, name string, ready func(context.Context) error, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("wait for %s: not ready after %s: %w", name, within, err)
			}
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
