package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// send opens connections that each send a request and wait for its answer. It runs in a process of
// its own.
type send struct {
	Addr        string        `required:""`
	Path        string        `default:"/v1/click"`
	Clicks      int           `default:"1" help:"Clicks of one request."`
	Connections int           `default:"64"`
	For         time.Duration `default:"3s"`
	Reconnect   bool          `help:"Open a connection again that ended early."`
	Rate        float64       `help:"Requests a second of all connections together; 0: as fast as they are answered. Waits are counted from when a request was due."`
}

// senders is a process that sends.
type senders struct {
	cmd *exec.Cmd
	out io.Reader
}

// startSenders starts this program as one that sends, with these flags of send.
func startSenders(ctx context.Context, flags ...string) (*senders, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"send"}, flags...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &senders{cmd, out}, cmd.Start()
}

// wait waits until everything is sent, and returns what the senders saw.
func (s *senders) wait() (sent, error) {
	var seen sent
	err := json.NewDecoder(s.out).Decode(&seen)
	return seen, errors.Join(err, s.cmd.Wait())
}

// sent is what senders saw.
type sent struct {
	Requests int
	Failed   int
	Took     time.Duration
	P50, P99 time.Duration
	Broken   int // connections that ended early; each was opened again
}

// Run prints a sent as JSON.
func (s *send) Run(ctx context.Context) error {
	requests := make([][]byte, 256)
	for i := range requests {
		requests[i] = request(s.Path, i*s.Clicks, s.Clicks)
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		waits  []time.Duration
		failed atomic.Int64
		broken atomic.Int64
	)
	begin := time.Now()
	for c := range s.Connections {
		wg.Go(func() {
			for {
				mine, err := s.connection(ctx, c, begin, requests, &failed)
				mu.Lock()
				waits = append(waits, mine...)
				mu.Unlock()
				if err == nil {
					return
				}
				if !s.Reconnect {
					fmt.Fprintln(os.Stderr, "bench send:", err)
					failed.Add(1)
					return
				}
				broken.Add(1)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	out := sent{Requests: len(waits), Failed: int(failed.Load()), Took: time.Since(begin), Broken: int(broken.Load())}
	if len(waits) > 0 {
		slices.Sort(waits)
		out.P50, out.P99 = waits[len(waits)/2], waits[len(waits)*99/100]
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// connection is the c-th. It returns how long each of its answered requests took.
func (s *send) connection(
	ctx context.Context, c int, begin time.Time, requests [][]byte, failed *atomic.Int64,
) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	var waits []time.Duration
	every := time.Duration(0)
	if s.Rate > 0 {
		every = time.Duration(float64(s.Connections) / s.Rate * float64(time.Second))
	}
	due := begin.Add(every * time.Duration(c) / time.Duration(s.Connections))
	if every > 0 { // a connection that is opened again goes on where the time has come to
		due = due.Add(time.Since(begin).Truncate(every))
	}
	for i := c * 31; time.Since(begin) < s.For && ctx.Err() == nil; i++ {
		start := time.Now()
		if every > 0 {
			time.Sleep(time.Until(due))
			start, due = due, due.Add(every)
		}
		if _, err := conn.Write(requests[i%len(requests)]); err != nil {
			return waits, err
		}
		ok, err := readAnswer(answers)
		if err != nil {
			return waits, err
		}
		if !ok {
			failed.Add(1)
			continue
		}
		waits = append(waits, time.Since(start))
	}
	return waits, nil
}

// readAnswer reads one answer and reports whether it was a success.
func readAnswer(r *bufio.Reader) (ok bool, err error) {
	length, first := 0, true
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false, err
		}
		if first {
			ok, first = bytes.HasPrefix(line, []byte("HTTP/1.1 20")), false
		} else if v, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			length = 0
			for _, d := range bytes.TrimSpace(v) {
				length = length*10 + int(d-'0')
			}
		}
		if len(line) == 2 {
			_, err = r.Discard(length)
			return ok, err
		}
	}
}
