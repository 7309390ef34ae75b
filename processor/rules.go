package main

import (
	"context"
	"fmt"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/replay"
	"tributary/sql"
)

// checkInsert returns an error if the user may read and not insert, or the DSN says readonly.
func checkInsert(ctx context.Context, store *clickhouse.Store) error {
	const nothing = "INSERT INTO pipeline_status SELECT * FROM pipeline_status WHERE false"
	if err := store.Exec(ctx, nothing); err != nil {
		return fmt.Errorf("try to insert no rows: %w", clickhouse.WithHint(err))
	}
	return nil
}

// watchRules returns an error once the ledger is booked by other rules than this program's: a
// rebuild of another version has begun to exchange it, and what this program books would stand in
// the new tables.
func watchRules(ctx context.Context, store *clickhouse.Store) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(replay.StopWithin / 6):
		}
		if err := checkRules(ctx, store); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// checkRules returns an error if the ledger was booked by other rules than this program's: its rows
// would outrank what is booked now.
func checkRules(ctx context.Context, store *clickhouse.Store) error {
	rules, _, err := store.LedgerRules(ctx)
	if err != nil {
		return fmt.Errorf("read by which rules the ledger is booked: %w", err)
	}
	if rules != sql.LedgerRules {
		return fmt.Errorf("the ledger is booked by rules %d, and this program books by rules %d "+
			"(hint: run `processor replay rebuild --exchange`, which books everything again and makes "+
			"processors of other rules stop; then start this one)", rules, sql.LedgerRules)
	}
	return nil
}
