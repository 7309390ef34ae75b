package audit

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Continuous audits again and again what was received lately, and reports what it finds in the log
// and in metrics.
type Continuous struct {
	every    time.Duration
	elected  func() bool
	run      func(ctx context.Context, since time.Time) (*Report, error)
	log      *slog.Logger
	findings *prometheus.GaugeVec
	last     prometheus.Gauge
}

// NewContinuous makes one that calls run every so often (0: never), each time with what was
// received since an interval before the last success, so that each record is audited twice. It does
// so only while elected reports that this processor is the one that audits. Its metrics are
// registered with reg.
func NewContinuous(every time.Duration, elected func() bool,
	run func(ctx context.Context, since time.Time) (*Report, error),
	reg prometheus.Registerer,
	log *slog.Logger,
) *Continuous {
	auto := promauto.With(reg)
	c := &Continuous{
		every: every, elected: elected, run: run, log: log,
		findings: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "processor_audit_findings",
			Help: "What the last audit found, by table and kind. Alert on any; processor audit lists the rows, and " +
				"--repair repairs them.",
		}, []string{"table", "what"}),
		last: auto.NewGauge(prometheus.GaugeOpts{
			Name: "processor_audit_last_success_timestamp_seconds",
			Help: "When this processor last completed an audit, whatever it found. Alert when the greatest of all processors' " +
				"is old: one of them audits.",
		}),
	}
	c.none()
	return c
}

// none sets the metric of each table to 0: where a metric is missing, nobody knows whether
// something was found.
func (c *Continuous) none() {
	c.findings.Reset()
	for _, table := range append([]string{"ledger"}, derivedTables...) {
		c.findings.WithLabelValues(table, "missing").Set(0)
	}
}

// firstAfter is when a processor that has started audits at the latest, so that restarts cannot put
// the audit off for ever.
const firstAfter = 5 * time.Minute

// idleShare is how many times as long as an audit took its pause is, so that it takes little of a
// core however large the tables are; but at most maxPause intervals, because what took long may
// have been an outage of ClickHouse.
const (
	idleShare = 300
	maxPause  = 4
)

// Pause returns how long to wait before an audit is run again that took so long and is to run every
// so often.
func Pause(every, took time.Duration) time.Duration {
	return max(every, min(idleShare*took, maxPause*every))
}

// Run audits again and again until ctx ends. An audit that fails is logged, and does not stop the
// processor.
//
// The first audit after a start, or after another processor's, checks what is as old as the longest
// pause: this processor does not know when the last audit succeeded.
func (c *Continuous) Run(ctx context.Context) error {
	var last time.Time // when this processor's last audit that succeeded began
	wait := min(c.every, firstAfter)
	for c.every > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if !c.elected() {
			c.none() // another processor says what is found
			wait, last = c.every, time.Time{}
			continue
		}
		began := time.Now()
		if last.IsZero() {
			last = began.Add(-maxPause * c.every)
		}
		err := c.once(ctx, last.UTC().Add(-c.every))
		if err == nil {
			last = began
		} else if ctx.Err() == nil {
			c.log.Warn("audit failed", "error", err)
		}
		wait = Pause(c.every, time.Since(began))
	}
	return nil
}

func (c *Continuous) once(ctx context.Context, since time.Time) error {
	report, err := c.run(ctx, since)
	if err != nil {
		return err
	}
	c.none()
	for _, f := range report.Findings {
		c.findings.WithLabelValues(f.Table, f.What).Inc()
	}
	c.last.SetToCurrentTime()
	for i, f := range report.Findings {
		if i == maxPrinted {
			c.log.Error("audit: there are more findings", "findings", len(report.Findings))
			break
		}
		c.log.Error("audit: a row is not what the records say", "table", f.Table, "what", f.What, "where", f.Where,
			"row", f.Key)
	}
	if len(report.Findings) == 0 {
		c.log.Info("audit: nothing found", "records", report.Records, "not_checked", strings.Join(report.LeftOut, "; "))
	}
	return nil
}
