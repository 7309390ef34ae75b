package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"tributary/processor/clickhouse"
	"tributary/processor/replay"
)

// replayCommand books again. Doing it again is free: rows carry their identity, and versions say which one stands.
type replayCommand struct {
	Range   replayRangeCommand   `cmd:"" help:"Handle the records of a stretch of time again, from Kafka into the live tables: what was lost is there again."`
	Letters replayLettersCommand `cmd:"" help:"Handle dead letters again, after a fix of what could not be read."`
	Rebuild replayRebuildCommand `cmd:"" help:"Make every computed table anew beside the live ones, compare, and on request exchange them."`
}

type replayRangeCommand struct {
	kafkaSettings
	clickhouseSettings
	bookingSettings
	Since string `help:"From this moment on, UTC; without it from the oldest record that Kafka keeps." placeholder:"2006-01-02T15:04"`
	Until string `help:"Up to this moment; without it to the newest." placeholder:"2006-01-02T15:04"`
}

func (c *replayRangeCommand) Run(ctx context.Context, log *slog.Logger) error {
	since, err := moment("since", c.Since)
	until, err2 := moment("until", c.Until)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	handlers, err := c.handlers(ctx, store, log)
	if err != nil {
		return err
	}
	topics, err := c.topics(replay.DeadLetterTable(store), log)
	if err != nil {
		return err
	}
	result, err := topics.Range(ctx, handlers, since, until, batchRecords)
	if err != nil {
		return err
	}
	fmt.Printf("%d records handled again\n", result.Records)
	return nil
}

type replayLettersCommand struct {
	clickhouseSettings
	bookingSettings
	Since  string `help:"Those set aside from this moment on, UTC." placeholder:"2006-01-02T15:04"`
	Reason string `help:"Those of one reason: unreadable, unlisted_account, unknown_shape, not_an_event, rejected."`
}

func (c *replayLettersCommand) Run(ctx context.Context, log *slog.Logger) error {
	since, err := moment("since", c.Since)
	if err != nil {
		return err
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	handlers, err := c.handlers(ctx, store, log)
	if err != nil {
		return err
	}
	result, err := replay.HandleDeadLetters(ctx, store, handlers, since, c.Reason, batchRecords, log)
	if err != nil {
		return err
	}
	refused := 0
	for _, n := range result.Refused {
		refused += n
	}
	fmt.Printf("%d dead letters: %d handled, %d refused again\n", result.Tried, result.Tried-refused-result.NoHeaders, refused)
	for _, reason := range slices.Sorted(maps.Keys(result.Refused)) {
		fmt.Printf("  %d %s\n", result.Refused[reason], reason)
	}
	if result.NoHeaders > 0 {
		fmt.Printf("%d were set aside by an earlier program, without their headers: handle them with replay range\n", result.NoHeaders)
	}
	return nil
}

type replayRebuildCommand struct {
	kafkaSettings
	clickhouseSettings
	bookingSettings
	From     string `help:"Where the records come from: tables, the raw ones in ClickHouse, which keep everything; or kafka, which also makes clicks and raw events anew." enum:"tables,kafka" default:"tables"`
	Exchange bool   `help:"Put the rebuilt tables into the place of the live ones, and book what came meanwhile. The processors may go on."`
	Drop     bool   `help:"Remove what an earlier rebuild left: its tables, or after an exchange the ones from before it."`
}

// Help is shown under --help.
func (c *replayRebuildCommand) Help() string {
	return `Everything is booked again in the database NAME_replay, on the same server, and then compared with the live tables row by row. Nothing
live changes without --exchange. It shows progress, may be interrupted, and goes on where it was. The processors may go on: what came in the last
minute is not compared, but a row that was told more of in that minute may be among the differences.

    processor replay rebuild             build and compare
    processor replay rebuild --exchange  and take its place
    processor replay rebuild --drop      remove what is left over

Use it after a change of the rules or of an account's workspace, after damage that an audit found, or to see that nothing would change.
Exit status: 0 equal or exchanged, 2 differences, 1 anything else.`
}

func (c *replayRebuildCommand) Run(ctx context.Context, log *slog.Logger) error {
	live, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer live.Close()
	database, err := live.Database(ctx)
	if err != nil {
		return err
	}
	shadowDB := database + "_replay"
	if c.Drop {
		if err := live.Drop(ctx, shadowDB); err != nil {
			return err
		}
		fmt.Printf("%s is gone\n", shadowDB)
		return nil
	}
	dsn, err := inDatabase(c.ClickhouseDSN, shadowDB)
	if err != nil {
		return err
	}
	if err := migrate(ctx, dsn, func(step string) { log.Info("prepare", "step", step) }); err != nil {
		return err
	}
	shadow, err := openStore(ctx, dsn, log)
	if err != nil {
		return err
	}
	defer shadow.Close()
	rebuild := &replay.Rebuild{
		Live: live, Shadow: shadow, LiveDB: database, ShadowDB: shadowDB, Batch: batchRecords, Log: log,
		Handlers: func(ctx context.Context, store *clickhouse.Store) (*replay.Handlers, error) {
			return c.handlers(ctx, store, log)
		},
	}
	if c.From == "kafka" {
		if rebuild.Topics, err = c.topics(replay.DeadLetterTable(shadow), log); err != nil {
			return err
		}
	}
	result, err := rebuild.Run(ctx)
	if err != nil {
		return err
	}
	if err := result.Print(os.Stdout, shadowDB); err != nil {
		return err
	}
	switch {
	case c.Exchange:
		if err := rebuild.Exchange(ctx); err != nil {
			return err
		}
		fmt.Printf("\nexchanged; the tables as they were are in %s until processor replay rebuild --drop\n", shadowDB)
		return nil
	case !result.Equal():
		return errDifferences
	}
	return nil
}

var errDifferences = errors.New("the rebuilt tables differ from the live ones")
