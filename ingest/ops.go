package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"tributary/schemas"
	"tributary/schemas/program"
)

// service is one public listener in front of a publisher: what both commands start and stop in the
// same order.
type service struct {
	name        string
	serve       func(net.Listener) error
	shutdown    func(context.Context) error
	flush       func(context.Context) error
	reload      func(context.Context) error
	public      net.Listener
	operators   net.Listener
	ops         *program.Ops
	stopDelay   time.Duration // between not ready and not listening
	stopTimeout time.Duration // for the requests under way, and again for Kafka
	log         *slog.Logger
	started     func(public, ops net.Addr)
}

// run serves until ctx ends or a listener fails, then stops: not ready, wait for balancers, drain,
// flush, close.
func (s *service) run(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { _ = s.reload(ctx) }() // it ends with ctx and without an error
	go func() { failed <- s.ops.Serve(s.operators) }()
	go func() { failed <- s.serve(s.public) }()
	s.log.Info("listening", "command", s.name, "addr", s.public.Addr().String(), "ops", s.operators.Addr().String())
	if s.started != nil {
		s.started(s.public.Addr(), s.operators.Addr())
	}

	var cause error
	select {
	case <-ctx.Done():
	case err := <-failed:
		cause = fmt.Errorf("serve %s: %w", s.name, err)
	}

	// The stop has its own deadline: ctx has ended already.
	begin := time.Now()
	s.ops.Stopping()
	s.log.Info("stopping", "command", s.name, "delay", s.stopDelay)
	if cause == nil {
		time.Sleep(s.stopDelay)
	}
	errs := []error{cause}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"drain requests", s.shutdown}, {"flush kafka", s.flush}, {"close ops", s.ops.Shutdown}} {
		start := time.Now()
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.stopTimeout)
		err := step.do(deadline)
		cancel()
		s.log.Info("stopped", "step", step.name, "took", time.Since(start).Round(time.Millisecond), "error", err)
		errs = append(errs, err)
	}
	s.log.Info("stopped", "command", s.name, "took", time.Since(begin).Round(time.Millisecond))
	return errors.Join(errs...)
}

// opsFlags are about running, not about what is served; both commands have them.
type opsFlags struct {
	StopDelay   time.Duration `default:"0s" help:"After a signal, go on serving for so long while /readyz says no, until balancers have noticed (5s to 10s behind one)."`
	StopTimeout time.Duration `default:"10s" help:"Wait at most so long for requests under way, and then at most so long again for Kafka."`
	Check       bool          `help:"Check the configuration, say so, and end."`
	Connect     bool          `help:"With --check: reach Kafka, too, and find the topics."`
}

// checked ends a --check whose flags are good.
func (f *opsFlags) checked(ctx context.Context, p *process, command string, notes []string, kafka *kafkaFlags,
	topics ...string,
) error {
	good := "the configuration is good"
	if f.Connect {
		connection, err := kafka.Kafka.Connection("tributary-check")
		if err == nil {
			err = connection.Reach(ctx, schemas.KafkaUse{Writes: topics})
		}
		if err != nil {
			return err
		}
		good += ", and Kafka has the topics"
	}
	return program.WriteGood(p.stdout, "ingest "+command, good, notes)
}

// validate reports every fault of f, each with a hint.
func (f *opsFlags) validate() error {
	var faults []error
	if f.StopDelay < 0 {
		faults = append(faults, fmt.Errorf("stop delay: %s is negative (hint: 10s behind a balancer, 0s without one)",
			f.StopDelay))
	}
	if f.StopTimeout <= 0 {
		faults = append(faults, fmt.Errorf("stop timeout: %s cuts every request that is under way (hint: 10s)",
			f.StopTimeout))
	}
	if f.Connect && !f.Check {
		faults = append(faults, errors.New("connect: it belongs to --check (hint: --check --connect, or neither)"))
	}
	return errors.Join(faults...)
}

// listen opens both listeners, or none.
func listen(public, operators string) (net.Listener, net.Listener, error) {
	a, err := net.Listen("tcp", public)
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w (hint: is another program using it?)", err)
	}
	b, err := program.Listen(operators)
	if err != nil {
		_ = a.Close()
		return nil, nil, err
	}
	return a, b, nil
}
