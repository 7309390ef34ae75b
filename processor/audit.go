package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/health"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/retention"
	"tributary/schemas"
)

// auditCommand checks our own tables; comparing them with Stripe was once a part of it.
type auditCommand struct {
	Chain  auditChainCommand `cmd:"" default:"withargs" help:"Check that every record is stored and booked, from Kafka to the dashboards (the default)."`
	Stripe reconcileCommand  `cmd:"" hidden:"" help:"The old name of processor reconcile."`
}

// auditChainCommand checks everything between Kafka and the dashboards.
type auditChainCommand struct {
	kafkaSettings
	clickhouseSettings
	bookingSettings
	Since  string `help:"Check what was received from this time on, UTC; without it the last two days; all: everything that Kafka or the raw tables still have." placeholder:"2006-01-02T15:04"`
	From   string `help:"Where records are read: kafka, or tables, the raw ones in ClickHouse, after Kafka's retention." enum:"kafka,tables" default:"kafka"`
	Repair bool   `env:"-" help:"Repair what is found, while everything runs, and check again."`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// Help is shown under --help.
func (c *auditChainCommand) Help() string {
	return `The records that the processors have committed are handled again into a database of their own, which is
compared with the live one: clicks, raw events, leads, dead letters, facts, identities and ledger entries
that are missing, altered, of a smaller version, or explained by no record. Then the dashboards' tables and
the log of the ledger are compared with the ledger and the clicks, row by row and cell by cell. A
difference of one cent is a finding.

    processor audit
    processor audit --since all --repair

A row of clicks, page views, raw events, leads, facts or identities that no record explains is a finding
that --repair leaves: find out who wrote it.

Exit status: 0 nothing found or everything repaired, 2 findings, 1 anything else.`
}

func (c *auditChainCommand) Run(ctx context.Context, log *slog.Logger) error {
	since, err := time.Time{}, error(nil)
	switch c.Since {
	case "all":
	case "":
		since = time.Now().UTC().AddDate(0, 0, -2)
	default:
		since, _, err = parsePeriod(c.Since, "")
	}
	if err != nil {
		return err
	}
	if c.ClickhouseDSN, err = withSettings(c.ClickhouseDSN, map[string]string{"read_timeout": readTimeout}); err != nil {
		return err
	}
	live, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer live.Close()
	var topics *replay.Topics
	if c.From == "kafka" {
		if topics, err = c.topics("audit", nil, log); err != nil {
			return err
		}
	}
	checks, closing, err := c.newAudit(ctx, c.ClickhouseDSN, live, topics, log)
	if err != nil {
		return err
	}
	defer closing()
	var found, left *audit.Report
	if c.Repair {
		found, left, err = checks.Repair(ctx, since)
	} else {
		found, err = checks.Run(ctx, since)
		left = found
	}
	if err != nil {
		return err
	}
	health.Store(ctx, live, health.Audit(time.Now().UTC(), found, left), log)
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(map[string]any{"records": found.Records, "found": found.Findings, "left": left.Findings,
			"left_out": found.LeftOut})
	} else {
		err = audit.Print(os.Stdout, found, left, c.Repair)
	}
	if len(left.Findings) > 0 {
		err = errors.Join(err, errFindings)
	}
	return err
}

var errFindings = errors.New("the tables are not what the records say")

// newAudit makes an audit that writes into a database of its own, which closing removes.
func (s *bookingSettings) newAudit(ctx context.Context, dsn string, live *clickhouse.Store, topics *replay.Topics,
	log *slog.Logger) (
	_ *audit.Audit, closing func(), err error,
) {
	var workspaces []schemas.Workspace
	if s.Workspaces != "" {
		var err error
		if workspaces, err = schemas.ReadWorkspaces(s.Workspaces); err != nil {
			return nil, nil, err
		}
	}
	database, err := live.Database(ctx)
	if err != nil {
		return nil, nil, err
	}
	shadowDB := database + "_audit_" + strings.ToLower(rand.Text()[:8])
	shadowDSN, err := inDatabase(dsn, shadowDB)
	if err != nil {
		return nil, nil, err
	}
	drop := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := live.Drop(ctx, shadowDB); err != nil {
			log.Warn("the audit's database is left over (hint: drop it)", "database", shadowDB, "error", err)
		}
	}
	if err := migrateBeside(ctx, dsn, shadowDSN, func(string) {}); err != nil {
		drop() // or each audit of a server that refuses a migration leaves one
		return nil, nil, fmt.Errorf("create the audit's database: %w", err)
	}
	shadow, err := openStore(ctx, shadowDSN, log)
	if err != nil {
		drop()
		return nil, nil, err
	}
	closing = func() {
		if err := shadow.Close(); err != nil {
			log.Warn("close the audit's connections", "error", err)
		}
		drop()
	}
	return &audit.Audit{
		Live: live, Shadow: shadow, ShadowDB: shadowDB, Topics: topics, Batch: batchRecords, Log: log,
		RetentionDays: retention.Shortest(workspaces),
		Handlers: func(ctx context.Context, store recompute.Store, now func() time.Time) (*replay.Handlers, error) {
			return s.handlers(ctx, live, store, now, log)
		},
	}, closing, nil
}

// auditSince runs one audit of what was received since then, in a database of its own. Nobody waits
// for it: each of its queries takes one thread, so that the time that it takes is no less than its
// CPU.
func (s *bookingSettings) auditSince(ctx context.Context, since time.Time, dsn string, topics *replay.Topics,
	log *slog.Logger,
) (*audit.Report, error) {
	dsn, err := withSettings(dsn, map[string]string{"max_threads": "1", "read_timeout": readTimeout})
	if err != nil {
		return nil, err
	}
	live, err := openStore(ctx, dsn, log)
	if err != nil {
		return nil, err
	}
	defer live.Close()
	a, closing, err := s.newAudit(ctx, dsn, live, topics, log)
	if err != nil {
		return nil, err
	}
	defer closing()
	return a.Run(ctx, since)
}
