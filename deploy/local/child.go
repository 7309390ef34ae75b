package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// program is what to start and how to know that it is up.
type program struct {
	name       string // in front of its lines, and the label process of its metrics
	path       string
	args       []string
	env        []string
	opsAddr    string                      // where its /metrics and /readyz are; empty if it has none
	ready      func(context.Context) error // nil once it does its work
	mayEnd     bool                        // status 0 means that its work is done, and not that it died
	stopWithin time.Duration               // from SIGTERM to SIGKILL
}

// child is a program that is kept running: one that dies unasked is started again.
type child struct {
	program
	out *output

	mu       sync.Mutex
	cmd      *exec.Cmd // nil between two lives
	began    time.Time // of this life
	restarts int       // deaths that nobody asked for
	stopping bool
	settled  bool // was ready once: a death before that ends the start

	quit  chan struct{} // closed with stopping
	ended chan struct{} // closed when it is down for good
	cause error         // why it is down for good; read after ended
}

// A child that keeps dying is started again after 1 s, 2 s, 4 s … 10 s. One that lived for a while begins anew.
const (
	firstPause = time.Second
	longPause  = 10 * time.Second
	longLife   = 30 * time.Second
)

// starts are done on one thread that lives as long as the process: Linux delivers Pdeathsig when the *thread* that
// started a child ends, and the Go runtime ends threads as it likes.
var starts = func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}()

func startProcess(cmd *exec.Cmd) error {
	result := make(chan error)
	starts <- func() { result <- cmd.Start() }
	return <-result
}

func (p *program) command(out *output) (*exec.Cmd, func()) {
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = p.env
	cmd.SysProcAttr = attributes()
	lines := out.prefixed(p.name)
	cmd.Stdout, cmd.Stderr = lines, lines
	cmd.WaitDelay = 2 * time.Second // for pipes that a process of its own making holds on to
	return cmd, lines.flush
}

// complete runs a program that ends by itself, and returns an error unless it ended well.
func (p *program) complete(ctx context.Context, out *output) error {
	cmd, flush := p.command(out)
	if err := startProcess(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	var err error
	done := make(chan struct{}) // closed after err is set
	go func() {
		err = cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(p.stopWithin):
			killGroup(cmd)
			<-done
		}
		err = context.Cause(ctx)
	}
	flush()
	if err != nil {
		return fmt.Errorf("run %s: %w", p.name, err)
	}
	return nil
}

// start begins the child's first life and keeps it running from then on.
func start(p program, out *output) (*child, error) {
	c := &child{program: p, out: out, quit: make(chan struct{}), ended: make(chan struct{})}
	cmd, flush := c.command(out)
	if err := startProcess(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	c.cmd, c.began = cmd, time.Now()
	go c.keep(cmd, flush)
	return c, nil
}

// keep waits for the end of each life and begins the next.
func (c *child) keep(cmd *exec.Cmd, flush func()) {
	defer close(c.ended)
	pause := firstPause
	for {
		err := cmd.Wait()
		flush()
		c.mu.Lock()
		c.cmd = nil
		lived := time.Since(c.began)
		if c.stopping {
			c.mu.Unlock()
			c.cause = err
			return
		}
		if c.mayEnd && err == nil {
			c.mu.Unlock()
			c.out.say("%s is done", c.name)
			return
		}
		if !c.settled && !c.mayEnd {
			c.mu.Unlock()
			c.cause = fmt.Errorf("%s ended at its start (%s): its own lines above say why", c.name, ending(err))
			return
		}
		c.restarts++
		c.mu.Unlock()

		if lived > longLife {
			pause = firstPause
		}
		c.out.say("%s ended unasked (%s); starting it again in %s", c.name, ending(err), pause)
		for {
			select {
			case <-time.After(pause):
			case <-c.quit:
				return
			}
			pause = min(2*pause, longPause)
			c.mu.Lock()
			if c.stopping {
				c.mu.Unlock()
				return
			}
			cmd, flush = c.command(c.out)
			err := startProcess(cmd)
			if err == nil {
				c.cmd, c.began = cmd, time.Now()
			}
			c.mu.Unlock()
			if err == nil {
				break
			}
			c.out.say("start %s: %v; trying again in %s", c.name, err, pause)
		}
	}
}

func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// pid of the present life, 0 between two.
func (c *child) pid() (pid, restarts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return 0, c.restarts
	}
	return c.cmd.Process.Pid, c.restarts
}

// waitReady returns when the child is up for the first time, and an error when it ends before or takes too long.
func (c *child) waitReady(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		if last = c.ready(ctx); last == nil {
			c.mu.Lock()
			c.settled = true
			c.mu.Unlock()
			return nil
		}
		select {
		case <-c.ended:
			return c.cause
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("wait for %s: not ready after %s: %w", c.name, within, last)
			}
			return context.Cause(ctx)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// stop asks the child to end, waits, and kills it when its time is over or now is done. It says how long that took.
func (c *child) stop(now <-chan struct{}) {
	began := time.Now()
	c.mu.Lock()
	c.stopping = true
	close(c.quit)
	if c.cmd != nil {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
	}
	c.mu.Unlock()
	deadline := time.NewTimer(c.stopWithin)
	defer deadline.Stop()
	select {
	case <-c.ended:
		c.out.say("stopped %s in %s", c.name, time.Since(began).Round(time.Millisecond))
		return
	case <-now:
		c.out.say("killing %s", c.name)
	case <-deadline.C:
		c.out.say("%s did not stop within %s: killing it", c.name, c.stopWithin)
	}
	c.mu.Lock()
	if c.cmd != nil {
		killGroup(c.cmd)
	}
	c.mu.Unlock()
	<-c.ended
}

func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
