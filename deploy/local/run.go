package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tributary/processor/workspace"
	"tributary/schemas/loopback"
	"tributary/schemas/program"
)

// The local run, each box a process and the supervisor around them:
//
//	                     demo (loadgen demo)
//	                 clicks │        │ events
//	                        ▼        ▼
//	             edge (ingest clicks)  webhook (ingest stripe)
//	                        │        │
//	                        ▼        ▼
//	                   Kafka (local kafka, or --kafka-seeds)        ← processor topics
//	                            │
//	                    processor (processor run)
//	                            │
//	                            ▼
//	  ClickHouse (local clickhouse, a clickhouse on the PATH, or --clickhouse-dsn)   ← processor migrate, replay rebuild
//	                            │
//	                            ▼
//	              dashboard (in the supervisor)      metrics, health (in the supervisor)
//
// They start from the engines upwards and stop from the traffic downwards, so that no program is
// stopped before those that still send it something.

// How long each start may take. Alone it takes seconds, on a machine that does much else a minute.
const (
	engineWithin  = 2 * time.Minute
	programWithin = 2 * time.Minute
	jobWithin     = 5 * time.Minute
)

// supervisor is a local run under way.
type supervisor struct {
	*Run
	out *output
	bin string // directory of the programs

	lookEvery time.Duration // at the size of the data directory

	mu       sync.Mutex
	children []*child // in the order of their start
	started  bool     // everything was ready once
	pages    *http.Server
	region   workspace.Region // the first one, for the commands that are printed
}

// Run starts everything, says how to use it, and waits for a signal.
func (r *Run) Run() (err error) {
	began := time.Now()
	out := newOutput(os.Stdout)
	ctx, now := signals(out)

	s := &supervisor{Run: r, out: out, lookEvery: time.Minute}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	s.bin = filepath.Dir(self)
	if err := s.findPrograms(); err != nil {
		return err
	}

	lock, err := claimDataDir(r.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	held, err := s.reservePorts()
	if err != nil {
		return err
	}
	made, err := s.prepare()
	if err != nil {
		return err
	}

	defer func() { s.stop(now) }()
	ops := s.serve(held["ops-addr"], s.operations())
	defer ops.Close()

	if err := s.startAll(ctx, held["dashboard-addr"]); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C during the start is no fault
		}
		return err
	}
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	out.print(s.banner(made, time.Since(began)))
	<-ctx.Done()
	return nil
}

// signals returns a context that the first SIGINT, SIGTERM or SIGHUP ends, and a channel that the
// next one closes, if it comes later than program.SameRequest.
func signals(out *output) (context.Context, <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(context.Background())
	now := make(chan struct{})
	arrived := make(chan os.Signal, 2)
	signal.Notify(arrived, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		awaitRequests(arrived, func(first os.Signal) {
			out.say("%s: stopping in order; once more means now", first)
			cancel(fmt.Errorf("received %s", first))
		})
		close(now)
	}()
	return ctx, now
}

// awaitRequests calls begin at the first signal, and returns at the next one that is another
// request.
func awaitRequests(arrived <-chan os.Signal, begin func(os.Signal)) {
	begin(<-arrived)
	for at := time.Now(); ; {
		<-arrived
		if time.Since(at) >= program.SameRequest {
			return
		}
	}
}

// findPrograms says which programs are missing beside the supervisor.
func (s *supervisor) findPrograms() error {
	var faults []error
	for _, name := range []string{"ingest", "processor", "loadgen"} {
		if name == "loadgen" && s.NoDemo {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.bin, name)); err != nil {
			faults = append(faults, fmt.Errorf("find program %s: %w (hint: make run builds all of them)", name, err))
		}
	}
	return errors.Join(faults...)
}

// portPatience is how long a taken port is tried again: the children of a run that was just killed
// may not have ended yet.
const portPatience = 3 * time.Second

// reservePorts returns the listeners of the two addresses that the supervisor itself serves, by
// flag, or one error that names every port that is taken.
func (s *supervisor) reservePorts() (map[string]net.Listener, error) {
	held := make(map[string]net.Listener)
	deadline := time.Now().Add(portPatience)
	var faults []error
	for _, l := range s.listeners() {
		var listener net.Listener
		var err error
		for {
			listener, err = net.Listen("tcp", l.addr)
			if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			faults = append(faults, fmt.Errorf("%s is taken by another program (hint: choose another address for %s with --%s)",
				l.addr, l.purpose, l.flag))
		case err != nil:
			faults = append(faults, fmt.Errorf("listen for %s: %w (hint: change it with --%s)", l.purpose, err, l.flag))
		case l.addr == s.DashboardAddr || l.addr == s.OpsAddr:
			held[l.flag] = listener
		default:
			_ = listener.Close()
		}
	}
	if err := errors.Join(faults...); err != nil {
		for _, l := range held {
			_ = l.Close()
		}
		return nil, err
	}
	return held, nil
}

// generated says what was not given and has been generated.
type generated struct {
	secret, key, rates bool
}

// prepare fills in what was not given: secrets and exchange rates.
func (s *supervisor) prepare() (generated, error) {
	var made generated
	kept, err := keepSecrets(s.Data)
	if err != nil {
		return made, err
	}
	s.kept = kept
	if len(s.StripeWebhookSecrets) == 0 {
		made.secret, s.StripeWebhookSecrets = true, []string{kept.StripeWebhookSecret}
	}
	if s.SecretKey == "" && s.Workspaces == "" {
		made.key, s.SecretKey = true, kept.SecretKey
	}
	if s.EmailKey == "" {
		s.EmailKey = kept.EmailKey
	}
	if len(s.FXSource) == 0 {
		source, err := writeDemoRates(s.Data, time.Now())
		if err != nil {
			return made, err
		}
		made.rates, s.FXSource = true, []string{source}
	}
	return made, nil
}

func (s *supervisor) serve(l net.Listener, h http.Handler) *http.Server {
	server := loopback.NewServer(loopback.Protect(h))
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.out.say("serve %s: %v", l.Addr(), err)
		}
	}()
	return server
}

// stop ends everything in the reverse order of the start: the traffic first, the engines last.
func (s *supervisor) stop(now <-chan struct{}) {
	s.mu.Lock()
	children := s.children
	s.mu.Unlock()
	began := time.Now()
	// The demo, the edge and the webhook stop before the processor: what they accepted last is still
	// processed. The dashboard stops before the engine that it reads.
	order := []string{"demo", "edge", "webhook", "processor", "dashboard", "clickhouse", "kafka"}
	for _, name := range order {
		if name == "dashboard" {
			s.stopDashboard()
		}
		for _, c := range children {
			if c.name == name {
				c.stop(now)
			}
		}
	}
	if len(children) > 0 {
		s.out.say("stopped everything in %s", time.Since(began).Round(time.Millisecond))
	}
}
