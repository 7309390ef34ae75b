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
	run      func(ctx context.Context, since time.Time) (*Report, error)
	log      *slog.Logger
	findings *prometheus.GaugeVec
	last     prometheus.Gauge
}

// NewContinuous makes one that calls run every so often (0: never) with twice that time, so that
// each record is audited twice. Its metrics are registered with reg.
func NewContinuous(every time.Duration, run func(ctx context.Context, since time.Time) (*Report, error),
	reg prometheus.Registerer,
	log *slog.Logger,
) *Continuous {
	auto := promauto.With(reg)
	c := &Continuous{
		every: every, run: run, log: log,
		findings: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "processor_audit_findings",
			Help: "What the last audit found, by table and kind. Alert on any; processor audit lists the rows, and " +
				"--repair repairs them.",
		}, []string{"table", "what"}),
		last: auto.NewGauge(prometheus.GaugeOpts{
			Name: "processor_audit_last_success_timestamp_seconds",
			Help: "When an audit was last completed, whatever it found. Alert when it is old.",
		}),
	}
	c.none()
	return c
}

// none says that nothing is found, by a zero for each table: what is not there cannot be told from
// what is not known.
func (c *Continuous) none() {
	c.findings.Reset()
	for _, table := range append([]string{"ledger"}, derivedTables...) {
		c.findings.WithLabelValues(table, "missing").Set(0)
	}
}

// firstAfter is when a processor that has started audits at the latest, so that restarts cannot put
// the audit off for ever.
const firstAfter = 5 * time.Minute

// Run returns when ctx ends. An audit that fails is logged, and does not stop the processor.
func (c *Continuous) Run(ctx context.Context) error {
	wait := min(c.every, firstAfter)
	for ; c.every > 0; wait = c.every {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if err := c.once(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("audit failed", "error", err)
		}
	}
	return nil
}

func (c *Continuous) once(ctx context.Context) error {
	report, err := c.run(ctx, time.Now().UTC().Add(-2*c.every))
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
