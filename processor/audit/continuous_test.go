package audit

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// An audit that fails leaves the last report in the metrics, and the next one replaces it.
func TestContinuousReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		missing := Finding{Table: "ledger", What: "missing", Where: "2026-03-01 10:00", Key: "payment pi_1"}
		audits := []struct {
			report *Report
			err    error
			covers time.Duration
		}{
			// Another processor's audit may have been four hours ago.
			{report: &Report{Findings: []Finding{missing, missing, {Table: "revenue", What: "sum"}}}, covers: 5 * time.Hour},
			{err: errors.New("ClickHouse does not answer"), covers: 2 * time.Hour},
			{report: &Report{Records: 7}, covers: 3 * time.Hour},
		}
		var started []time.Time
		begin, reg, log := time.Now(), prometheus.NewRegistry(), new(logBuffer)
		var elected atomic.Bool
		elected.Store(true)
		c := NewContinuous(time.Hour, elected.Load, func(_ context.Context, since time.Time) (*Report, error) {
			started = append(started, time.Now())
			next := audits[len(started)-1]
			if want := time.Now().Add(-next.covers); !since.Equal(want) {
				t.Errorf("audited since %s, want %s", since, want)
			}
			return next.report, next.err
		}, reg, slog.New(slog.NewTextHandler(log, nil)))
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		next := firstAfter + time.Second
		wait := func(findings []float64, wantLog string) {
			t.Helper()
			time.Sleep(next)
			next = time.Hour
			synctest.Wait()
			got := values(t, reg, "processor_audit_findings")
			if zeros := len(derivedTables) + 1; len(got) < zeros {
				t.Errorf("%v findings by table and kind, want at least %d, for what is not there too", got, zeros)
			}
			got = slices.DeleteFunc(got, func(n float64) bool { return n == 0 })
			if !slices.Equal(got, findings) {
				t.Errorf("%v findings by table and kind, want %v", got, findings)
			}
			if text := log.take(); !strings.Contains(text, wantLog) {
				t.Errorf("the log lacks %q:\n%s", wantLog, text)
			}
		}
		wait([]float64{2, 1}, "pi_1")
		wait([]float64{2, 1}, "ClickHouse does not answer")
		if got, want := values(t, reg, "processor_audit_last_success_timestamp_seconds"),
			begin.Add(firstAfter).Unix(); int64(got[0]) != want {
			t.Errorf("last success at %v, want %d", got, want)
		}
		wait(nil, "nothing found")
		elected.Store(false)
		wait(nil, "")
		stop()
		if err := <-done; err != nil || len(started) != len(audits) {
			t.Errorf("%d audits, %v", len(started), err)
		}
	})
}

// However long an audit takes, it takes little of the time, and nothing is left out between two of
// them.
func TestContinuousPausesAfterALongAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var begun, since []time.Time
		c := NewContinuous(time.Hour, func() bool { return true }, func(_ context.Context, from time.Time) (*Report, error) {
			begun, since = append(begun, time.Now()), append(since, from)
			time.Sleep(30 * time.Second)
			return &Report{}, nil
		}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(3 * time.Hour)
		stop()
		if err := <-done; err != nil || len(begun) != 2 {
			t.Fatalf("%d audits in three hours, want 2; %v", len(begun), err)
		}
		if pause := begun[1].Sub(begun[0]); pause < idleShare*30*time.Second ||
			since[1].After(begun[0].Add(-55*time.Minute)) {
			t.Errorf("the second audit began %s after the first, and covers what was received %s before that", pause,
				begun[0].Sub(since[1]))
		}
	})
}

// logBuffer is a log that is written by one goroutine and read by another.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

// take returns what was written since the last call.
func (b *logBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	b.text.Reset()
	return text
}

// values returns the values of a gauge, sorted by their labels.
func values(t *testing.T, reg *prometheus.Registry, name string) []float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var list []float64
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				list = append(list, m.GetGauge().GetValue())
			}
		}
	}
	return list
}

// Without an interval nothing is audited.
func TestContinuousNever(t *testing.T) {
	c := NewContinuous(0, nil, nil, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err := c.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPrint(t *testing.T) {
	clean := &Report{Records: 3}
	many := &Report{Records: 3}
	for range maxPrinted + 5 {
		many.Findings = append(many.Findings, Finding{Table: "ledger", What: "altered", Where: "2026-03-01",
			Key: "payment pi_1"})
	}
	f := func(found, left *Report, repaired bool, lines int, last string) {
		t.Helper()
		var b strings.Builder
		if err := Print(&b, found, left, repaired); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(got) != lines || got[len(got)-1] != last {
			t.Errorf("%d lines, the last %q; want %d, %q", len(got), got[len(got)-1], lines, last)
		}
	}
	f(clean, clean, false, 2, "nothing is missing, nothing is altered, nothing is unexplained")
	partial := &Report{Records: 3, LeftOut: []string{"clicks", "leads"}}
	f(partial, partial, false, 4, "in what was checked nothing is missing, nothing is altered, nothing is unexplained")
	f(many, many, false, maxPrinted+3, "25 findings (hint: --repair repairs them)")
	f(many, clean, true, maxPrinted+3, "25 findings, all repaired")
	f(many, many, true, maxPrinted+3, "25 findings, 25 left after the repair")
}
