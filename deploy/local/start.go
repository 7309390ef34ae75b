package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// startAll starts everything in order, each when what it needs is there.
func (s *supervisor) startAll(ctx context.Context, dashboard net.Listener) error {
	if err := s.startEngines(ctx); err != nil {
		return err
	}
	if err := s.prepareEngines(ctx); err != nil {
		return err
	}
	if err := s.rebookOlder(ctx); err != nil {
		return err
	}

	edge := s.served("edge", "ingest", edgeOps, 20*time.Second, "clicks")
	edge.env = append(edge.env, "TRIBUTARY_SPOOL_DIR="+filepath.Join(s.Data, "spool"))
	var waiting []*child
	for _, p := range []task{
		edge,
		s.served("webhook", "ingest", webhookOps, 20*time.Second, "stripe"),
		s.served("processor", "processor", processorOps, 30*time.Second, "run"),
	} {
		c, err := s.start(p)
		if err != nil {
			return err
		}
		waiting = append(waiting, c)
	}
	if err := s.waitAll(ctx, waiting, programWithin); err != nil {
		return err
	}
	if err := s.startDashboard(ctx, dashboard); err != nil {
		return err
	}
	if s.NoDemo {
		return nil
	}
	if err := s.loadDemoEarnings(ctx); err != nil {
		return err
	}
	demo, err := s.start(task{
		name: "demo", path: filepath.Join(s.bin, "loadgen"), args: []string{"demo"}, env: s.environment(0),
		// It sends and does not serve: there is nothing to wait for. With nothing but a past to play, it
		// ends well.
		ready: func(context.Context) error { return nil }, mayEnd: true, stopWithin: 10 * time.Second,
	})
	if err == nil {
		go s.capDemo(ctx, demo)
	}
	return err
}

// startEngines starts Kafka and ClickHouse, or looks for those that were named.
func (s *supervisor) startEngines(ctx context.Context) error {
	kafkaUp := func(ctx context.Context) error { return kafkaAnswers(ctx, s.seeds()) }
	clickhouseUp := func(ctx context.Context) error { return clickhouseAnswers(ctx, s.dsn()) }

	var waiting []*child
	if len(s.KafkaSeeds) == 0 {
		c, err := s.start(task{
			name: "kafka", path: filepath.Join(s.bin, "local"), args: []string{"kafka"}, env: s.environment(0),
			ready: kafkaUp, stopWithin: 15 * time.Second,
		})
		if err != nil {
			return err
		}
		waiting = append(waiting, c)
	} else if err := waitFor(ctx, "Kafka at --kafka-seeds", kafkaUp, engineWithin); err != nil {
		return err
	}

	if s.ClickHouseDSN == "" {
		p := task{
			name: "clickhouse", path: filepath.Join(s.bin, "local"), args: []string{"clickhouse"}, env: s.environment(0),
			ready: clickhouseUp, stopWithin: 30 * time.Second,
		}
		if server, err := exec.LookPath("clickhouse"); err == nil {
			config, err := serverConfig(s.Data, s.ClickHouseAddr, s.kept)
			if err != nil {
				return err
			}
			s.out.say("using the ClickHouse that is installed, %s, with data of its own", server)
			p.path, p.args = server, []string{"server", "--config-file", config}
			// With the watchdog the supervisor would know the watchdog's process and not the
			// server's.
			p.env = append(p.env, "CLICKHOUSE_WATCHDOG_ENABLE=0")
		}
		c, err := s.start(p)
		if err != nil {
			return err
		}
		waiting = append(waiting, c)
	} else if err := waitFor(ctx, "ClickHouse at --clickhouse-dsn", clickhouseUp, engineWithin); err != nil {
		return err
	}
	return s.waitAll(ctx, waiting, engineWithin)
}

// prepareEngines makes topics and tables, at the same time.
func (s *supervisor) prepareEngines(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, jobWithin, fmt.Errorf("not done after %s", jobWithin))
	defer cancel()
	jobs := []string{"topics", "migrate"}
	errs := make([]error, len(jobs))
	var running sync.WaitGroup
	for i, word := range jobs {
		p := s.served(word, "processor", processorOps, 10*time.Second, word)
		running.Go(func() { errs[i] = p.complete(ctx, s.out) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// rebookOlder books everything again where an earlier version kept its data here: without the
// engine, which ends with this run, nobody could. Whoever gives a ClickHouse of their own decides
// when.
func (s *supervisor) rebookOlder(ctx context.Context) error {
	if s.ClickHouseDSN != "" {
		return nil
	}
	p := s.served("rebuild", "processor", processorOps, 10*time.Second, "replay", "rebuild", "--exchange", "--if-older",
		"--stop-wait=0s") // the engine has ended with the processors of before
	return p.complete(ctx, s.out)
}

// served is a program with an operations port, at the offset from --ops-addr.
func (s *supervisor) served(name, file string, opsOffset int, stopWithin time.Duration, args ...string) task {
	ops, _ := addPort(s.OpsAddr, opsOffset) // checked with the settings
	return task{
		name: name, path: filepath.Join(s.bin, file), args: args, env: s.environment(opsOffset), opsAddr: ops,
		ready:      func(ctx context.Context) error { return answers(ctx, "http://"+ops+"/readyz") },
		stopWithin: stopWithin,
	}
}

func (s *supervisor) start(p task) (*child, error) {
	c, err := start(p, s.out)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.children = append(s.children, c)
	s.mu.Unlock()
	return c, nil
}

func (s *supervisor) waitAll(ctx context.Context, children []*child, within time.Duration) error {
	errs := make([]error, len(children))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var waiting sync.WaitGroup
	for i, c := range children {
		waiting.Go(func() {
			if errs[i] = c.waitReady(ctx, within); errs[i] != nil {
				cancel(errs[i]) // one that cannot start ends the wait for the others
			}
		})
	}
	waiting.Wait()
	return context.Cause(ctx)
}
