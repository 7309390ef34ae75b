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
		err = encoder.Encode(map[string]any{"records": found.Records, "found": found.Findings, "left": left.Findings})
	} else {
		err = audit.Print(os.Stdout, found, left, c.Repair)
	}
	if len(left.Findings) > 0 {
		err = errors.Join(err, errFindings)
	}
	return err
}

var errFindings = errors.New("the tables are not what the records say")

// audit makes an audit that writes into a database of its own, which closing removes.
func (s *bookingSettings) audit(ctx context.Context, dsn string, live *clickhouse.Store, topics *replay.Topics, log *slog.Logger) (
	_ *audit.Audit, closing func(), err error,
) {
	database, err := live.Database(ctx)
	if err != nil {
		return nil, nil, err
	}
	shadowDB := database + "_audit_" + strings.ToLower(rand.Text()[:8])
	shadowDSN, err := inDatabase(dsn, shadowDB)
	if err != nil {
		return nil, nil, err
	}
	if err := migrate(ctx, shadowDSN, func(string) {}); err != nil {
		return nil, nil, fmt.Errorf("create the audit's database: %w (hint: the user needs the right to create databases)", err)
	}
	shadow, err := openStore(ctx, shadowDSN, log)
	if err != nil {
		return nil, nil, err
	}
	closing = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := errors.Join(shadow.Close(), live.Drop(ctx, shadowDB)); err != nil {
			log.Warn("the audit's database is left over (hint: drop it)", "database", shadowDB, "error", err)
		}
	}
	return &audit.Audit{
		Live: live, Shadow: shadow, ShadowDB: shadowDB, Topics: topics, Batch: batchRecords, Log: log,
		Handlers: func(ctx context.Context, store recompute.Store, now func() time.Time) (*replay.Handlers, error) {
			return s.handlersOver(ctx, live, store, now, log)
		},
	}, closing, nil
}

// auditSince runs one audit of what was received since then, in a database of its own.
func (s *bookingSettings) auditSince(ctx context.Context, since time.Time, dsn string, live *clickhouse.Store, topics *replay.Topics, log *slog.Logger) (
	*audit.Report, error,
) {
	a, closing, err := s.audit(ctx, dsn, live, topics, log)
	if err != nil {
		return nil, err
	}
	defer closing()
	return a.Run(ctx, since)
}
