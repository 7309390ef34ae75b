//go:build unix

// Package process starts, suspends and ends the processes of the local run and of the tests. On
// Linux none of them outlives the process that started it, not even when that one is killed.
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

// Process is a program that was started once.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed after err is set
	err   error
}

// starts is the queue of one thread that exists as long as this process: Linux delivers Pdeathsig
// when the *thread* that started a child ends, and the Go runtime ends threads as it likes.
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

// Start starts a command in a process group of its own: [Process.Kill] then ends what the command
// has started too, and Ctrl-C in the terminal reaches the caller alone, who can stop its children
// in order.
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

// Err returns how the process ended; nil for status 0, and while it runs.
func (p *Process) Err() error {
	select {
	case <-p.ended:
		return p.err
	default:
		return nil
	}
}

// Alive reports whether the process has not ended. One that is suspended is alive.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Kill ends the process group by SIGKILL, suspended or not, and returns when the process is gone.
func (p *Process) Kill() {
	if p.Alive() {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
	<-p.ended
}

// Stop asks the process to end (SIGTERM) and waits. If ctx ends first, the process is killed and
// the error says so.
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

// Suspend suspends the process (SIGSTOP): it keeps its connections and answers nobody.
func (p *Process) Suspend() error { return p.signal(syscall.SIGSTOP) }

// Resume continues a suspended process (SIGCONT).
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
