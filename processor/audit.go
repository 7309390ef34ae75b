package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/recompute"
	"tributary/processor/replay"
)

// auditCommand checks our own tables; comparing them with Stripe was once a part of it.
type auditCommand struct {
	Chain  auditChainCommand `cmd:"" default:"withargs" help:"Check that every record is where it belongs, from Kafka to the dashboards (the default)."`
	Stripe reconcileCommand  `cmd:"" hidden:"" help:"The old name of processor reconcile."`
}

// auditChainCommand checks everything between Kafka and the dashboards.
type auditChainCommand struct {
	kafkaSettings
	clickhouseSettings
	bookingSettings
	Since  string `help:"What was received from this moment on, UTC; without it the last two days. all: everything that is left." placeholder:"2006-01-02T15:04"`
	From   string `help:"Where the chain begins: kafka, or tables, the raw ones in ClickHouse, when Kafka's retention is over." enum:"kafka,tables" default:"kafka"`
	Repair bool   `help:"Mend what is found, while everything runs, and look again."`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// Help is shown under --help.
func (c *auditChainCommand) Help() string {
	return `The records that the processors have committed are handled once more, beside the live tables, and the two are compared: clicks, raw events, leads,
dead letters, facts, names and ledger entries that are missing, of poorer knowledge, altered, or explained by no record. Then the
dashboards' tables are compared with the ledger and the clicks, row by row and cell by cell. A difference of one cent is a finding.

    processor audit
    processor audit --since all --repair

Exit status: 0 nothing found or all of it mended, 2 findings, 1 anything else.`
}

func (c *auditChainCommand) Run(ctx context.Context, log *slog.Logger) error {
	since, err := time.Time{}, error(nil)
	switch c.Since {
	case "all":
	case "":
		since = time.Now().UTC().AddDate(0, 0, -2)
	default:
		since, err = moment("since", c.Since)
	}
	if err != nil {
		return err
	}
	live, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer live.Close()
	var topics *replay.Topics
	if c.From == "kafka" {
		if topics, err = c.topics(nil, log); err != nil {
			return err
		}
	}
	chain, closing, err := c.audit(ctx, c.ClickhouseDSN, live, topics, log)
	if err != nil {
		return err
	}
	defer closing()
	var found, left *audit.Report
	if c.Repair {
		found, left, err = chain.Repair(ctx, since)
	} else {
		found, err = chain.Run(ctx, since)
		left = found
	}
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(map[string]any{"records": found.Records, "found": found.Flaws, "left": left.Flaws})
	} else {
		err = printAudit(os.Stdout, found, left, c.Repair)
	}
	if len(left.Flaws) > 0 {
		err = errors.Join(err, errFlaws)
	}
	return err
}

var errFlaws = errors.New("the tables are not what the records say")

// audit prepares one that writes into a database of its own, which closing removes.
func (s *bookingSettings) audit(ctx context.Context, dsn string, live *clickhouse.Store, topics *replay.Topics, log *slog.Logger) (_ *audit.Audit, closing func(), err error) {
	database, err := live.Database(ctx)
	if err != nil {
		return nil, nil, err
	}
	beside := database + "_audit_" + strings.ToLower(rand.Text()[:8])
	besideDSN, err := inDatabase(dsn, beside)
	if err != nil {
		return nil, nil, err
	}
	if err := migrate(ctx, besideDSN, func(string) {}); err != nil {
		return nil, nil, fmt.Errorf("make a database to audit in (the user needs the right to create databases): %w", err)
	}
	store, err := openStore(ctx, besideDSN, log)
	if err != nil {
		return nil, nil, err
	}
	closing = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := errors.Join(store.Close(), live.Drop(ctx, beside)); err != nil {
			log.Warn("the audit's own database is left over; drop it", "database", beside, "error", err)
		}
	}
	return &audit.Audit{
		Live: live, Beside: store, BesideDB: beside, Topics: topics, Batch: batchRecords, Log: log,
		Handlers: func(ctx context.Context, over recompute.Store, now func() time.Time) (*replay.Handlers, error) {
			return s.handlersOver(ctx, live, over, now, log)
		},
	}, closing, nil
}

const mostPrinted = 20 // findings of one kind in one table

func printAudit(w io.Writer, found, left *audit.Report, repaired bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records handled again\n", found.Records)
	type kind struct{ table, what string }
	count := make(map[kind]int)
	for _, f := range found.Flaws {
		k := kind{f.Table, f.What}
		switch count[k]++; {
		case count[k] <= mostPrinted:
			fmt.Fprintf(&b, "%-17s %-12s %s  %s\n", f.Table, f.What, f.Where, f.Key)
		case count[k] == mostPrinted+1:
			fmt.Fprintf(&b, "%-17s %-12s and more\n", f.Table, f.What)
		}
	}
	switch {
	case len(found.Flaws) == 0:
		b.WriteString("nothing is missing, nothing is altered, nothing is unexplained\n")
	case !repaired:
		fmt.Fprintf(&b, "%d findings; --repair mends them\n", len(found.Flaws))
	case len(left.Flaws) == 0:
		fmt.Fprintf(&b, "%d findings, all mended\n", len(found.Flaws))
	default:
		fmt.Fprintf(&b, "%d findings, %d left after the repair\n", len(found.Flaws), len(left.Flaws))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// continuousAudit looks from time to time at what was received since the look before the last, and says what it finds.
type continuousAudit struct {
	every    time.Duration
	settings *bookingSettings
	dsn      string
	topics   *replay.Topics
	live     *clickhouse.Store
	log      *slog.Logger
	findings *prometheus.GaugeVec
	last     prometheus.Gauge
}

func newContinuousAudit(every time.Duration, settings *bookingSettings, dsn string, topics *replay.Topics, live *clickhouse.Store, log *slog.Logger) *continuousAudit {
	return &continuousAudit{
		every: every, settings: settings, dsn: dsn, topics: topics, live: live, log: log,
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "processor_audit_findings", Help: "What the last audit found, by table and kind. Alert on any; processor audit tells which rows, and mends them with --repair."}, []string{"table", "what"}),
		last:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "processor_audit_last_success_timestamp_seconds", Help: "When an audit last came to its end, whatever it found. Alert when it is old."}),
	}
}

// run returns when ctx ends. An audit that cannot be made is said, and does not stop the processor.
func (c *continuousAudit) run(ctx context.Context) error {
	for c.every > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.every):
		}
		if err := c.once(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("the audit could not be made", "error", err)
		}
	}
	return nil
}

func (c *continuousAudit) once(ctx context.Context) error {
	chain, closing, err := c.settings.audit(ctx, c.dsn, c.live, c.topics, c.log)
	if err != nil {
		return err
	}
	defer closing()
	report, err := chain.Run(ctx, time.Now().UTC().Add(-2*c.every))
	if err != nil {
		return err
	}
	c.findings.Reset()
	for _, f := range report.Flaws {
		c.findings.WithLabelValues(f.Table, f.What).Inc()
	}
	c.last.SetToCurrentTime()
	for i, f := range report.Flaws {
		if i == mostPrinted {
			c.log.Error("audit: and more", "findings", len(report.Flaws))
			break
		}
		c.log.Error("audit: the tables are not what the records say", "table", f.Table, "what", f.What, "where", f.Where, "row", f.Key)
	}
	if len(report.Flaws) == 0 {
		c.log.Info("audit: every record is where it belongs", "records", report.Records)
	}
	return nil
}
