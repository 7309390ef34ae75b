package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"tributary/deploy/process"
)

// task is what to start and how to know that it is up.
type task struct {
	name       string // in front of its lines, and the label process of its metrics
	path       string
	args       []string
	env        []string
	opsAddr    string                      // where its /metrics and /readyz are; empty if it has none
	ready      func(context.Context) error // nil once it does its work
	mayEnd     bool                        // status 0 means that its work is done, and not that it crashed
	stopWithin time.Duration               // from SIGTERM to SIGKILL
}

// child is a program that is kept running: one that ends without being asked to is started again.
type child struct {
	task
	lines *prefixed
	out   *output

	mu       sync.Mutex
	process  *process.Process // nil between an end and the next start
	restarts int              // ends that nobody asked for
	stopping bool
	wasReady bool // at least once: an end before that fails the start of the whole run

	quit  chan struct{} // closed with stopping
	ended chan struct{} // closed when it is not started again
	cause error         // why it is not; read after ended
}

// A child that keeps ending is started again after 1 s, 2 s, 4 s … 10 s. After a run of longRun the
// pauses begin anew.
const (
	firstPause = time.Second
	longPause  = 10 * time.Second
	longRun    = 30 * time.Second
)

// launch starts the program once. Its lines go to w.
func (p *task) launch(w *prefixed) (*process.Process, error) {
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = w, w
	return process.Start(cmd)
}

// complete runs a program that ends by itself, and returns an error unless it ended with status 0.
func (p *task) complete(ctx context.Context, out *output) error {
	lines := out.prefixed(p.name)
	running, err := p.launch(lines)
	if err != nil {
		return err
	}
	defer lines.flush()
	select {
	case <-running.Ended():
		err = running.Err()
	case <-ctx.Done():
		deadline, cancel := context.WithTimeout(context.Background(), p.stopWithin)
		defer cancel()
		_ = running.Stop(deadline) // that it had to be killed adds nothing to why it was stopped
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w%s", p.name, err, lines.lastComplaint())
	}
	return nil
}

// start starts the program and keeps it running from then on.
func start(p task, out *output) (*child, error) {
	c := &child{
		task: p, out: out, lines: out.prefixed(p.name), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	running, err := c.launch(c.lines)
	if err != nil {
		return nil, err
	}
	c.process = running
	go c.keep(running)
	return c, nil
}

// keep waits for the end of the process and starts the next one.
func (c *child) keep(running *process.Process) {
	defer close(c.ended)
	pause := firstPause
	for {
		began := time.Now()
		<-running.Ended()
		c.lines.flush()
		again, cause := c.afterEnd(running.Err())
		if !again {
			c.cause = cause
			return
		}
		if time.Since(began) > longRun {
			pause = firstPause
		}
		c.out.say("%s ended unasked (%s); starting it again in %s", c.name, ending(running.Err()), pause)
		if running, pause = c.restart(pause); running == nil {
			return
		}
	}
}

// afterEnd reports whether a process that has ended is to be started again, and if not, why it
// ended.
func (c *child) afterEnd(err error) (again bool, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process = nil
	switch {
	case c.stopping:
		return false, err
	case c.mayEnd && err == nil:
		c.out.say("%s is done", c.name)
		return false, nil
	case !c.wasReady && !c.mayEnd:
		return false, fmt.Errorf("%s ended at its start (%s)%s", c.name, ending(err), c.lines.lastComplaint())
	}
	c.restarts++
	return true, nil
}

// restart starts the program after a pause, and again after longer ones while that fails. It
// returns the pause before the next restart; no process when the child is being stopped.
func (c *child) restart(pause time.Duration) (*process.Process, time.Duration) {
	for {
		select {
		case <-time.After(pause):
		case <-c.quit:
			return nil, pause
		}
		pause = min(2*pause, longPause)
		c.mu.Lock()
		if c.stopping {
			c.mu.Unlock()
			return nil, pause
		}
		running, err := c.launch(c.lines)
		c.process = running
		c.mu.Unlock()
		if err == nil {
			return running, pause
		}
		c.out.say("%v; trying again in %s", err, pause)
	}
}

func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// pid of the present process, 0 between two.
func (c *child) pid() (pid, restarts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return 0, c.restarts
	}
	return c.process.PID(), c.restarts
}

// waitReady returns when the child is up for the first time. It returns an error, with the last
// reason that the child itself gave, when the child ends before that or takes too long.
func (c *child) waitReady(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		err := c.ready(ctx)
		if err == nil {
			c.mu.Lock()
			c.wasReady = true
			c.mu.Unlock()
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // a probe that was cut off by the end of the wait says nothing about the child
		}
		select {
		case <-c.ended:
			return c.cause
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("wait for %s: not ready after %s: %w%s", c.name, within, last, c.lines.lastComplaint())
			}
			return context.Cause(ctx)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// stop asks the child to end, for the first time or again, and waits. It is killed when its time is
// over or now is closed.
func (c *child) stop(now <-chan struct{}) {
	began := time.Now()
	c.mu.Lock()
	if !c.stopping {
		c.stopping = true
		close(c.quit)
	}
	running := c.process
	c.mu.Unlock()

	outcome := "stopped"
	if running != nil {
		ctx, cancel := context.WithTimeoutCause(context.Background(), c.stopWithin,
			fmt.Errorf("not ended within %s", c.stopWithin))
		defer cancel()
		go func() {
			select {
			case <-now:
				cancel()
			case <-ctx.Done():
			}
		}()
		if running.Stop(ctx) != nil {
			outcome = "killed"
		}
	}
	<-c.ended
	c.out.say("%s %s in %s", outcome, c.name, time.Since(began).Round(time.Millisecond))
}
