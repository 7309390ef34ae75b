//go:build unix

// Package process runs the programs of a test that are to be killed, frozen and started again. None of them outlives
// whoever started it, on Linux not even when that is killed itself.
package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is one life of a program.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed after err is set
	err   error
}

// starts are done on one thread that lives as long as the test: Linux delivers Pdeathsig when the *thread* that started a
// child ends, and the Go runtime ends threads as it likes.
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

// Start begins a life. The command's process group is its own, so that what it starts dies with it.
func Start(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = 2 * time.Second // for pipes that a process of its own making holds on to
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	result := make(chan error)
	starts <- func() { result <- cmd.Start() }
	if err := <-result; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err tells how the process ended; nil for status 0, and while it lives.
func (p *Process) Err() error {
	select {
	case <-p.ended:
		return p.err
	default:
		return nil
	}
}

// Alive tells whether the process has not ended. One that is suspended is alive.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Kill ends the process by kill -9, suspended or not, and returns when it is gone.
func (p *Process) Kill() {
	if p.Alive() {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
	<-p.ended
}

// Stop asks the process to end (SIGTERM) and waits. When ctx ends first, it is killed and the error says so.
func (p *Process) Stop(ctx context.Context) error {
	if p.Alive() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("stop %s: killed, because it did not end: %w", p.cmd.Path, context.Cause(ctx))
	}
}

// ErrEnded is the error of a signal to a process that is gone.
var ErrEnded = errors.New("the process has ended")

// Suspend freezes the process (SIGSTOP): it holds its connections and answers nobody.
func (p *Process) Suspend() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a suspended process go on (SIGCONT) as if no time had passed.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if !p.Alive() {
		return fmt.Errorf("send %s to %s: %w", s, p.cmd.Path, ErrEnded)
	}
	if err := syscall.Kill(p.PID(), s); err != nil {
		return fmt.Errorf("send %s to %s: %w", s, p.cmd.Path, err)
	}
	return nil
}
