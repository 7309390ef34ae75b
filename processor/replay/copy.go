package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
)

// copied are the tables of a live database that a rebuild reads: what it copies, and what it books.
var copied = []string{"clicks", "page_views", "stripe_events", "dead_letters", "identities", "first_names", "leads",
	"fx_rates", "erasures", "facts"}

// syncTables waits until the servers have what others took of some tables (clickhouse.Store.Sync).
// Rows are copied, or booked, once: a row that the server lacks then would be missing for ever.
func syncTables(ctx context.Context, s *clickhouse.Store, name tableNames, tables ...string) error {
	named := make([]string, len(tables))
	for i, table := range tables {
		named[i] = name(table)
	}
	return s.Sync(ctx, named...)
}

// copyPublicLeads copies what leads that browsers sent reported first under a name.
func copyPublicLeads(ctx context.Context, s *clickhouse.Store, names string, since time.Time) error {
	return s.Exec(ctx, "INSERT INTO first_names SELECT * FROM "+names+
		" WHERE source = 'lead.public' AND at >= ?", since)
}

// copyReplacedClicks copies what clicks reported first under a name that stand in clicks no more: a
// stranger's click under an id that another click has was replaced, and its report was not.
func copyReplacedClicks(ctx context.Context, s *clickhouse.Store, names string, since time.Time) error {
	return s.Exec(ctx, "INSERT INTO first_names SELECT * FROM "+names+
		" AS live WHERE startsWith(source, 'click.') AND at >= ? AND (workspace, name) NOT IN "+
		"(SELECT workspace, name FROM first_names WHERE startsWith(source, 'click.'))", since)
}

// parts returns the ids of a table's partitions that have rows.
func parts(ctx context.Context, s *clickhouse.Store, database, table string) ([]string, error) {
	var parts []string
	err := s.Each(ctx, func(rows driver.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		parts = append(parts, id)
		return nil
	}, "SELECT DISTINCT _partition_id AS id FROM "+clickhouse.Table(database, table)+" ORDER BY id")
	return parts, err
}

// copySince inserts what another database's table received since then.
func copySince(ctx context.Context, s *clickhouse.Store, database, table, received string, since time.Time) error {
	return s.Exec(ctx, "INSERT INTO "+clickhouse.Table("", table)+" SELECT * FROM "+clickhouse.Table(database,
		table)+" WHERE "+received+" >= ? SETTINGS max_partitions_per_insert_block = 0", since)
}

// copyPartition inserts one partition of another database's table into a table here, whose views
// see the rows.
func copyPartition(ctx context.Context, s *clickhouse.Store, database, table, into, partition string) error {
	return s.Exec(ctx, "INSERT INTO "+into+" SELECT * FROM "+clickhouse.Table(database, table)+" WHERE _partition_id = ?",
		partition)
}

// linkPartition makes the parts of one partition of another database's table also those of the same
// table here, on a single server. They are linked on disk and not read, and no view sees the rows.
func linkPartition(ctx context.Context, s *clickhouse.Store, database, table, partition string) error {
	return s.Exec(ctx, "ALTER TABLE "+table+" ATTACH PARTITION ID '"+partition+"' FROM "+clickhouse.Table(database, table))
}

// copyFacts copies the facts that no event contains: what a reconciliation read of Stripe's
// balance.
func copyFacts(ctx context.Context, s *clickhouse.Store, database string) error {
	return s.Exec(ctx, "INSERT INTO facts SELECT * FROM "+clickhouse.Table(database,
		"facts")+" WHERE source = 'balance_transaction' AND startsWith(event_id, 'txn_')")
}

// tableNames returns the name of a table for a statement.
type tableNames func(table string) string

// inDatabase names the tables of a database.
func inDatabase(database string) tableNames {
	return func(table string) string { return clickhouse.Table(database, table) }
}

// beside names the tables that a rebuild makes in the live database, where a layout exchanges
// within one database only. Once they are exchanged they hold the old rows.
func beside(table string) string { return clickhouse.Table("", table+besideSuffix) }

const besideSuffix = "_replay"

// copyBeside makes a table beside the live one, with the rows of the table of the same name in
// another database.
func copyBeside(ctx context.Context, s *clickhouse.Store, database, table string) error {
	for _, statement := range []string{
		"DROP TABLE IF EXISTS " + beside(table) + " SYNC",
		"CREATE TABLE " + beside(table) + " AS " + clickhouse.Table("", table),
	} {
		if err := s.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := syncTables(ctx, s, inDatabase(database), table); err != nil {
		return err
	}
	parts, err := parts(ctx, s, database, table)
	for _, part := range parts {
		if err = copyPartition(ctx, s, database, table, beside(table), part); err != nil {
			break
		}
	}
	return err
}

// tableID returns the UUID of a table, which goes with it when it is exchanged. Of a sharded table
// it is that of the table with the rows.
func tableID(ctx context.Context, s *clickhouse.Store, database, table string) (id string, err error) {
	err = s.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&id) }, `SELECT toString(uuid) FROM system.tables
WHERE database = ? AND name IN (?, concat(?, '_local')) AND uuid != toUUID('00000000-0000-0000-0000-000000000000')
ORDER BY length(name) DESC LIMIT 1`, database, table, table)
	if err == nil && id == "" {
		err = fmt.Errorf("table %s has no UUID (hint: the database must be of the engine Atomic, Replicated or Shared)",
			clickhouse.Table(database, table))
	}
	return id, err
}

// copyErasures copies the list of erased names from another database, so that the rebuilt tables do
// not contain them either.
func copyErasures(ctx context.Context, s *clickhouse.Store, database string) error {
	return s.Exec(ctx, "INSERT INTO erasures SELECT * FROM "+clickhouse.Table(database, "erasures"))
}
