package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/replay"
	"tributary/processor/retention"
	"tributary/schemas"
	"tributary/sql"
)

// replayCommand books again. Booking twice changes nothing: each row has its key, and of two rows
// of one key the greater version stands.
type replayCommand struct {
	Range       replayRangeCommand       `cmd:"" help:"Handle the records of a range of time again, from Kafka into the live tables: rows that were lost are stored again."`
	DeadLetters replayDeadLettersCommand `cmd:"" help:"Handle dead letters again, after a fix of why they could not be read."`
	Letters     replayDeadLettersCommand `cmd:"" hidden:"" help:"The old name of replay dead-letters."`
	Rebuild     replayRebuildCommand     `cmd:"" help:"Compute every computed table again in a shadow database, compare the two, and on request exchange them."`
}

type replayRangeCommand struct {
	kafkaSettings
	clickhouseSettings
	bookingSettings
	replicaSettings
	Since string `help:"From this time on, UTC; without it from the oldest record that Kafka keeps." placeholder:"2006-01-02T15:04"`
	Until string `help:"Up to this time, UTC; without it to the newest record." placeholder:"2006-01-02T15:04"`
}

func (c *replayRangeCommand) Run(ctx context.Context, log *slog.Logger) error {
	since, until, err := parsePeriod(c.Since, c.Until)
	if err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	handlers, err := c.handlers(ctx, store, store, time.Now, log)
	if err != nil {
		return err
	}
	topics, err := c.topics("replay", replay.DeadLetterTable(store), log)
	if err != nil {
		return err
	}
	var result *replay.Result
	err = c.bookLive(ctx, store, handlers, func(ctx context.Context) (err error) {
		result, err = topics.Range(ctx, handlers, since, until, batchRecords)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d records handled again\n", result.Records)
	return nil
}

type replayDeadLettersCommand struct {
	clickhouseSettings
	bookingSettings
	replicaSettings
	stripeAPISettings
	Since  string `help:"Those set aside from this time on, UTC; without it all." placeholder:"2006-01-02T15:04"`
	Reason string `help:"Those of this reason only; without it all of them: unreadable, unknown_shape, not_an_event, thin_event (needs --stripe-api-key), rejected, unlisted_account (of earlier versions)."`
}

func (c *replayDeadLettersCommand) Run(ctx context.Context, log *slog.Logger) error {
	since, _, err := parsePeriod(c.Since, "")
	client, err2 := c.client()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	handlers, err := c.handlers(ctx, store, store, time.Now, log)
	if err != nil {
		return err
	}
	if client != nil {
		client.Log = log
		handlers.Thin = &consume.Thin{API: client, Log: log}
	}
	var result *replay.DeadLetters
	err = c.bookLive(ctx, store, handlers, func(ctx context.Context) (err error) {
		result, err = replay.HandleDeadLetters(ctx, store, handlers, since, c.Reason, batchRecords, log)
		return err
	})
	if err != nil {
		return err
	}
	refused := 0
	for _, n := range result.Refused {
		refused += n
	}
	fmt.Printf("%d dead letters: %d handled, %d refused again\n", result.Tried, result.Tried-refused-result.NoHeaders,
		refused)
	for _, reason := range slices.Sorted(maps.Keys(result.Refused)) {
		fmt.Printf("  %d %s\n", result.Refused[reason], reason)
	}
	if result.NoHeaders > 0 {
		fmt.Printf("%d were set aside by an earlier version without their headers (hint: processor replay range "+
			"handles them)\n", result.NoHeaders)
	}
	return nil
}

type replayRebuildCommand struct {
	kafkaSettings
	clickhouseSettings
	bookingSettings
	From     string        `help:"Where the records come from: tables, the raw ones in ClickHouse, which keep everything; or kafka, which also computes clicks and raw events again." enum:"tables,kafka" default:"tables"`
	Exchange bool          `env:"-" help:"Exchange the rebuilt tables with the live ones, and book what was received meanwhile. The processors may keep running."`
	StopWait time.Duration `name:"stop-wait" help:"How long an exchange waits for the processors of the other version to stop, where the rules of the ledger have changed: a minute, plus the lag of replicas." default:"90s"`
	IfOlder  bool          `name:"if-older" help:"Do nothing unless the ledger was booked by an earlier version's rules."`
	Drop     bool          `env:"-" help:"Remove the shadow database of an earlier rebuild: its tables, or after an exchange the old ones."`
}

// shadowSuffix stands behind the live database's name in that of the shadow.
const shadowSuffix = "_replay"

// Help is shown under --help.
func (c *replayRebuildCommand) Help() string {
	return `Everything is booked again in the database NAME_replay, on the same server, and then compared with the
live tables row by row. Nothing live changes without --exchange. The command logs its progress, may be
interrupted, and continues where it stopped. The processors may keep running: rows of the last minute
are not compared, but an older row that changed in that minute may be among the differences.

    processor replay rebuild             build and compare
    processor replay rebuild --exchange  and exchange the tables
    processor replay rebuild --drop      remove the shadow database

Use it after a change of the rules or of an account's workspace, after damage that an audit found, or to
see that nothing would change.
Exit status: 0 equal or exchanged, 2 differences, 1 anything else.`
}

func (c *replayRebuildCommand) Run(ctx context.Context, log *slog.Logger) error {
	dsn, err := withSettings(c.ClickhouseDSN, map[string]string{"read_timeout": readTimeout})
	if err != nil {
		return err
	}
	c.ClickhouseDSN = dsn
	live, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer live.Close()
	if c.IfOlder {
		rules, _, err := live.LedgerRules(ctx)
		if err != nil || rules == sql.LedgerRules {
			return err
		}
		log.Info("the ledger was booked by older rules: everything is booked again", "rules", rules, "now", sql.LedgerRules)
	}
	database, err := live.Database(ctx)
	if err != nil {
		return err
	}
	if !c.Drop {
		if err := refuseNewer(ctx, c.ClickhouseDSN); err != nil {
			return err
		}
	}
	shadowDB := database + shadowSuffix
	progress, err := c.begin(ctx, live, shadowDB)
	if err != nil || c.Drop {
		return err
	}
	shadow, err := c.openShadow(ctx, shadowDB, log)
	if err != nil {
		return err
	}
	defer shadow.Close()
	rebuild, err := c.rebuild(ctx, live, shadow, database, log)
	if err != nil {
		return err
	}
	equal := true
	if !progress.Exchanging {
		result, err := rebuild.Run(ctx)
		if err != nil {
			return err
		}
		if err := result.Print(os.Stdout, shadowDB); err != nil {
			return err
		}
		equal = result.Equal()
	}
	if c.Exchange {
		if err := rebuild.Exchange(ctx); err != nil {
			return err
		}
		fmt.Printf("\nexchanged; the old tables are kept until processor replay rebuild --drop\n")
		return nil
	}
	if !equal {
		return errDifferences
	}
	return nil
}

// begin returns how far an earlier rebuild came, after it has removed what must not be continued.
func (c *replayRebuildCommand) begin(ctx context.Context, live *clickhouse.Store, shadow string) (
	replay.Progress, error,
) {
	progress, err := replay.ProgressOf(ctx, live, shadow)
	if err != nil {
		return progress, err
	}
	removes, err := c.removes(progress, shadow)
	if err != nil || !removes {
		return progress, err
	}
	if err := replay.Drop(ctx, live, shadow); err != nil {
		return progress, err
	}
	fmt.Printf("%s is removed\n", shadow)
	return replay.Progress{}, nil
}

// removes reports whether what an earlier rebuild left is to be removed, or returns why it must not
// be continued as it is.
func (c *replayRebuildCommand) removes(p replay.Progress, shadow string) (bool, error) {
	otherRules := p.Rules != 0 && p.Rules != sql.LedgerRules
	switch interrupted := p.Exchanging && !p.Exchanged; {
	case interrupted && !otherRules && !c.Exchange:
		return false, errors.New("an exchange of tables was interrupted: some are rebuilt, and some are old (hint: " +
			"processor replay rebuild --exchange continues it)")
	case c.Drop, c.IfOlder && (otherRules || p.Exchanged):
		return true, nil
	case otherRules:
		return false, fmt.Errorf("%s was rebuilt by the rules of another version (hint: processor replay rebuild --drop, "+
			"then rebuild again)", shadow)
	case p.Exchanged:
		return false, fmt.Errorf("what was rebuilt in %s is exchanged already, and %[1]s has the old tables (hint: "+
			"processor replay rebuild --drop, then rebuild again)", shadow)
	}
	return false, nil
}

// rebuild returns what books everything of the database again in shadow.
func (c *replayRebuildCommand) rebuild(
	ctx context.Context, live, shadow *clickhouse.Store, database string, log *slog.Logger,
) (*replay.Rebuild, error) {
	var workspaces []schemas.Workspace
	if c.Workspaces != "" {
		var err error
		if workspaces, err = schemas.ReadWorkspaces(c.Workspaces); err != nil {
			return nil, err
		}
		if err := retain(ctx, shadow, workspaces, log); err != nil { // the tables become the live ones
			return nil, err
		}
	}
	layout, err := live.Layout(ctx)
	if err != nil {
		return nil, err
	}
	rebuild := &replay.Rebuild{
		Live: live, Shadow: shadow, LiveDB: database, ShadowDB: database + shadowSuffix, Batch: rebuildRecords, Log: log,
		RetentionDays: retention.Shortest(workspaces), StopWait: c.StopWait,
		OneDatabase: layout.Kind == sql.ReplicatedDatabase || layout.Kind == sql.Cloud,
		Handlers: func(ctx context.Context, store *clickhouse.Store) (*replay.Handlers, error) {
			return c.handlers(ctx, store, store, time.Now, log)
		},
	}
	if c.From == "kafka" {
		rebuild.Topics, err = c.topics("rebuild", replay.DeadLetterTable(shadow), log)
	}
	return rebuild, err
}

// openShadow migrates the database in which everything is booked again, and opens it.
func (c *replayRebuildCommand) openShadow(ctx context.Context, database string, log *slog.Logger) (
	*clickhouse.Store, error,
) {
	dsn, err := inDatabase(c.ClickhouseDSN, database)
	if err != nil {
		return nil, err
	}
	if err := migrateBeside(ctx, c.ClickhouseDSN, dsn,
		func(step string) { log.Info("prepare", "step", step) }); err != nil {
		return nil, err
	}
	return openStore(ctx, dsn, log)
}

var errDifferences = errors.New("the rebuilt tables differ from the live ones")
