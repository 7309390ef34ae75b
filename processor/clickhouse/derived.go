package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/sql"
)

// Derivation returns the query that computes a derived table, one that the materialized view
// TABLE_mv fills, from its source. It is the view's own, as ClickHouse stores it: a copy of it in
// this program could come to differ from the view. Run it with the setting final = 1. It tries
// once.
func Derivation(ctx context.Context, s *Store, table string) (string, error) {
	columns, err := s.Columns(ctx, table)
	if err != nil {
		return "", err
	}
	query := ""
	err = s.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&query) },
		"SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = ?", table+"_mv")
	if err != nil {
		return "", fmt.Errorf("read the view of %s: %w", table, err)
	}
	if query == "" {
		return "", fmt.Errorf("%s is not a derived table: there is no view %s_mv", table, table)
	}
	return "SELECT " + columns + " FROM (" + query + ")", nil
}

// Derived returns the query that reads those rows of a derived table that Derivation computes. It
// tries once.
func Derived(ctx context.Context, s *Store, table string) (string, error) {
	columns, err := s.Columns(ctx, table)
	return "SELECT " + columns + " FROM " + table, err
}

// RebuildDerived computes a derived table again beside the live one and exchanges the two in one
// step, while the live one is read and written. It then computes the table once more, for what
// reached the old one in the meantime: that adds nothing else, because rows have versions. Both
// times it waits until the server has what others took (Store.Sync). It tries once.
func RebuildDerived(ctx context.Context, s *Store, table string) error {
	query, err := Derivation(ctx, s, table)
	if err != nil {
		return err
	}
	sources := sql.Sources(query)
	query += " SETTINGS final = 1, max_partitions_per_insert_block = 0"
	rebuilt := table + "_rebuilt"
	for _, statement := range []string{
		"DROP TABLE IF EXISTS " + rebuilt + " SYNC",
		"CREATE TABLE " + rebuilt + " AS " + table,
		"INSERT INTO " + rebuilt + " " + query,
		"EXCHANGE TABLES " + rebuilt + " AND " + table,
		"INSERT INTO " + table + " " + query,
		"DROP TABLE " + rebuilt + " SYNC",
	} {
		if table == "revenue" && strings.HasPrefix(statement, "EXCHANGE") { // lists of before are of the old one
			if err := VoidFirstSales(ctx, s); err != nil {
				return err
			}
		}
		if strings.HasPrefix(statement, "INSERT") {
			if err := s.Sync(ctx, sources...); err != nil {
				return fmt.Errorf("rebuild %s: %w", table, err)
			}
		}
		if err := s.Exec(ctx, statement); err != nil {
			return fmt.Errorf("rebuild %s: %w", table, err)
		}
	}
	if table == "revenue" { // an entry that left a day in the meantime is there and under its new day
		const known = "INSERT INTO revenue_days SELECT workspace, entry_id, livemode, day, version FROM ledger"
		if err := s.Exec(ctx, known); err != nil {
			return err
		}
		if err := s.Sync(ctx, "revenue_days"); err != nil {
			return err
		}
		if err := s.Exec(ctx, insertMoved+"1"+ofSeveralDays); err != nil {
			return err
		}
		return VoidFirstSales(ctx, s)
	}
	return nil
}

// VoidFirstSales makes all lists of first sales void that were computed until now: questions look
// at all payments until the lists are computed again. Call it just before and after payments in
// revenue are altered, deleted or exchanged, for no insert into the ledger notes that: five
// minutes later new lists may be computed.
func VoidFirstSales(ctx context.Context, s *Store) error {
	// By a clock that was set back, now is before they were computed.
	if err := s.Exec(ctx, "INSERT INTO payments_written (workspace, livemode, written_at) "+
		"SELECT workspace, livemode, greatest(now64(3, 'UTC'), max(at)) FROM "+
		"(SELECT DISTINCT workspace, livemode, toDateTime64(0, 3, 'UTC') AS at FROM revenue "+
		"UNION ALL SELECT workspace, livemode, computed_at FROM first_sales) GROUP BY workspace, livemode"); err != nil {
		return fmt.Errorf("note that lists of first sales are void: %w", err)
	}
	return nil
}
