package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/retention"
	"tributary/schemas"
)

// days are some UTC days after each other, of which events were received.
type days struct {
	first, last time.Time
	events      uint64 // received on them, repeated deliveries included
}

// eventDays returns the UTC days on which stored events were received, from since on and later than
// done (like 2026-03-31), sorted. Days of few events are joined as long as they have no more than
// most in all.
func eventDays(ctx context.Context, s *clickhouse.Store, since time.Time, done string, most uint64) ([]days, error) {
	var list []days
	err := s.Each(ctx, func(rows driver.Rows) error {
		var d days
		if err := rows.Scan(&d.first, &d.events); err != nil {
			return err
		}
		d.first = d.first.UTC()
		d.last = d.first
		n := len(list)
		switch {
		case d.first.Format(time.DateOnly) <= done:
		case n > 0 && list[n-1].events+d.events <= most:
			list[n-1].last = d.last
			list[n-1].events += d.events
		default:
			list = append(list, d)
		}
		return nil
	}, "SELECT toDate(received_at, 'UTC') AS day, count() FROM stripe_events WHERE received_at >= ? GROUP BY day ORDER BY day",
		since)
	return list, err
}

// EachEvent calls one for each raw event that was received in [since, until), in the order of
// receipt.
func EachEvent(ctx context.Context, s *clickhouse.Store, since, until time.Time,
	one func(*schemas.StripeEvent) error,
) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var e schemas.StripeEvent
		var body string
		var workspace string
		err := rows.Scan(&workspace, &e.ID, &e.Type, &e.Account, &e.Livemode, &e.APIVersion, &e.ReceivedAt, &body)
		if err != nil {
			return err
		}
		_, e.Unlisted, _ = schemas.ParseHeldWorkspace(workspace) // who signed what is held, or was
		e.ReceivedAt, e.Body = e.ReceivedAt.UTC(), []byte(body)
		return one(&e)
	}, `SELECT workspace, event_id, type, account, livemode, api_version, received_at, body FROM stripe_events FINAL
WHERE received_at >= ? AND received_at < ? ORDER BY received_at, event_id`, since, until)
}

// eachFirstName calls one for each name that the clicks received since then use, with what the
// first of them reports under it: for each foreign id the click, for each affiliate the programme.
// They are the edges that consume.Clicks makes. It is called again for what names has of them
// already: of two clicks with one id the table clicks keeps the first, and what the other one
// reported is nowhere else.
func eachFirstName(ctx context.Context, s *clickhouse.Store, names string, since time.Time,
	one func(vouched bool, e clickhouse.EdgeRow) error,
) error {
	for _, of := range []struct{ column, target, name, targetType, source string }{
		{"foreign_id", "UUIDNumToString(argMin(click_id, (received_at, click_id)))", identity.Reference, identity.Click,
			"click.foreign_id"},
		{"affiliate_id", "argMin(program_id, (received_at, click_id))", identity.Affiliate, identity.Program,
			"click.affiliate_id"},
	} {
		err := s.Each(ctx, func(rows driver.Rows) error {
			var name, target string
			var vouched bool
			e := clickhouse.EdgeRow{Edge: identity.Edge{Source: of.source}}
			if err := rows.Scan(&e.Workspace, &vouched, &name, &target, &e.At); err != nil {
				return err
			}
			e.A, e.B, e.At = identity.New(of.name, name), identity.New(of.targetType, target), e.At.UTC()
			return one(vouched, e)
		}, `SELECT workspace, vouched, `+of.column+`, `+of.target+`, min(received_at) FROM clicks FINAL
WHERE `+of.column+` != '' AND received_at >= ? GROUP BY workspace, vouched, `+of.column, since)
		if err != nil {
			return err
		}
	}
	return s.Each(ctx, func(rows driver.Rows) error {
		var e clickhouse.EdgeRow
		if err := rows.Scan(&e.Workspace, (*string)(&e.A), (*string)(&e.B), &e.Source, &e.At); err != nil {
			return err
		}
		name := identity.OfPublic(e.A)
		vouched := name == e.A
		e.A, e.At = name, e.At.UTC()
		return one(vouched, e)
	}, `SELECT workspace, name, target, source, at FROM `+names+` FINAL
WHERE startsWith(source, 'click.') AND at >= ?`, since)
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

// eachLead calls one for each lead that a backend or a browser reported and that was received since
// then, without its credit.
func eachLead(ctx context.Context, s *clickhouse.Store, leads string, since time.Time,
	one func(ledger.Lead) error,
) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var l ledger.Lead
		var id, hash string
		if err := rows.Scan(&l.Workspace, &id, &l.ReceivedAt, &l.OccurredAt, &l.ExternalID, &l.EventName,
			&l.Mode, &l.Quantity,
			&l.Livemode, &l.Vouched, &hash, &l.Metadata); err != nil {
			return err
		}
		l.ID, l.ReceivedAt, l.OccurredAt = [16]byte([]byte(id)), l.ReceivedAt.UTC(), l.OccurredAt.UTC()
		if l.EmailHash = hash; hash == clickhouse.NoHash {
			l.EmailHash = ""
		}
		return one(l.Uncredited())
	}, `SELECT workspace, lead_id, received_at, occurred_at, external_id, event_name, mode, quantity, livemode, vouched, email_hash,
    metadata
FROM `+leads+` FINAL WHERE mode != 'stripe' AND received_at >= ?`, since)
}

// eachEdge calls one for each edge, in one direction, whose source is the given one or begins with
// it and a dot.
func eachEdge(ctx context.Context, s *clickhouse.Store, edges string, since time.Time, source string,
	one func(clickhouse.EdgeRow) error,
) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var e clickhouse.EdgeRow
		if err := rows.Scan(&e.Workspace, (*string)(&e.A), (*string)(&e.B), &e.Source, &e.At); err != nil {
			return err
		}
		e.At = e.At.UTC()
		return one(e)
	}, `SELECT workspace, key, target, source, at FROM `+edges+` FINAL
WHERE (source = ? OR startsWith(source, ?)) AND at >= ? AND key < target`, source, source+".", since)
}

// eachDeadLetter calls one for each dead letter that was set aside since then, for one reason or
// (if empty) for any, in the order in which they were set aside.
func eachDeadLetter(ctx context.Context, s *clickhouse.Store, since time.Time, reason string,
	one func(clickhouse.DeadLetterRow) error,
) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var r clickhouse.DeadLetterRow
		if err := rows.Scan(&r.At, &r.Reason, &r.Step, &r.Topic, &r.Partition, &r.Offset, &r.Error, &r.Key, &r.Headers,
			&r.Body); err != nil {
			return err
		}
		r.At = r.At.UTC()
		return one(r)
	}, `SELECT at, reason, step, topic, partition, offset, error, key, headers, body FROM dead_letters FINAL
WHERE at >= ? AND (? = '' OR reason = ?) ORDER BY at, topic, partition, offset`, since, reason, reason)
}

// received is a table of received records in two places, with the columns of their ids and of when
// they were received, and the condition of those that are compared.
type received struct{ live, shadow, id, at, where string }

// receivedLeads are the leads of two tables that were received as such. Those of events follow from
// them.
func receivedLeads(live, shadow string) received {
	return received{live, shadow, "lead_id", "received_at", "mode != 'stripe'"}
}

// receivedTables are the raw tables of two databases.
func receivedTables(live, shadow string) []received {
	of := func(table, id, at string) received {
		return received{clickhouse.Table(live, table), clickhouse.Table(shadow, table), id, at, "1"}
	}
	return []received{
		of("clicks", "click_id", "received_at"), of("page_views", "page_view_id", "received_at"),
		of("stripe_events", "workspace, event_id", "received_at"), of("dead_letters", "topic, partition, offset, step", "at"),
	}
}

// firstDifference returns the first UTC day of which the two tables hold other records, if there is
// one. Hashes of records that are in both cancel each other out, so it needs little memory.
func firstDifference(ctx context.Context, s *clickhouse.Store, r received) (day time.Time, differs bool, err error) {
	of := func(table string) string {
		return "SELECT toDate(" + r.at + ", 'UTC') AS day, sipHash64(" + r.id + ") AS record FROM " + table +
			" FINAL WHERE " + r.where
	}
	err = s.Each(ctx, func(rows driver.Rows) error {
		differs = true
		err := rows.Scan(&day)
		day = day.UTC()
		return err
	}, "SELECT day FROM ("+of(r.live)+" UNION ALL "+of(r.shadow)+") GROUP BY day HAVING groupBitXor(record) != 0 "+
		"ORDER BY day LIMIT 1")
	if err != nil {
		err = fmt.Errorf("compare what %s has received: %w", r.live, err)
	}
	return day, differs, err
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

// Progress is how far the rebuild in a shadow database has come.
type Progress struct {
	Rules      uint32 // by which it books; 0: there is none
	Exchanging bool   // some tables are exchanged, or may be
	Exchanged  bool   // all are, and what was received meanwhile is booked
}

// ProgressOf returns the progress of the rebuild in a shadow database.
func ProgressOf(ctx context.Context, live *clickhouse.Store, shadow string) (p Progress, err error) {
	exists := false
	err = live.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&exists) },
		"SELECT count() > 0 FROM system.tables WHERE database = ? AND name = 'replay_progress'", shadow)
	if err != nil || !exists {
		return p, err
	}
	err = live.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&p.Rules, &p.Exchanging, &p.Exchanged) },
		"SELECT (SELECT max(rules) FROM "+clickhouse.Table(shadow, "ledger_rules")+"), "+
			"countIf(startsWith(step, 'exchange')) > 0, countIf(step = '"+exchangeDone+"') > 0 FROM "+
			clickhouse.Table(shadow, "replay_progress"))
	return p, err
}

// Drop removes what rebuilds have left: the shadow database, and tables in the live one.
func Drop(ctx context.Context, live *clickhouse.Store, shadow string) error {
	for _, table := range slices.Concat(computed, raw) {
		if err := live.Exec(ctx, "DROP TABLE IF EXISTS "+beside(table)+" SYNC"); err != nil {
			return err
		}
	}
	return live.Drop(ctx, shadow)
}

// exchangedRules are the rules of a ledger that is being exchanged: those of no program.
const exchangedRules = 0

// noteRules says by which rules the ledger is booked from now on.
func noteRules(ctx context.Context, s *clickhouse.Store, rules uint32) error {
	return s.Exec(ctx, "INSERT INTO ledger_rules VALUES (?, now64(3))", rules)
}

// Difference is how one table differs between two databases.
type Difference struct {
	Table string
	Here  uint64   // rows that only this database has
	There uint64   // rows that only the other has
	Rows  uint64   // here
	Some  []string // a few of the rows that differ, as tuples
}

// compared are the tables that a rebuild computes, with the columns that are compared. key is what
// a row that differs is shown by; before is the condition of rows older than a time.
var compared = []struct{ table, columns, key, before string }{
	// When a hold ended, or whether it was needed at all, depends on which processor was ahead; the
	// ledger shows the result.
	{"facts", "*", "object_id, kind, source, event_id, transaction_id", "kind != 'hold_ended' AND received_at < ?"},
	// Each processor writes the edge from a name to what the public says of it with the first click
	// that it handles, so its time may differ. What was said first is in first_names.
	{"identities", "workspace, key, target, if(startsWith(source, 'click.'), toDateTime64(0, 3, 'UTC'), at) AS at",
		"key, target", "at < ?"},
	{"first_names", "*", "name, target", "at < ?"},
	{"ledger", "*", "kind, object_id, status, amount, version", "received_at < ?"},
	{"revenue", "*", "kind, object_id, status, amount, version", "occurred_at < ?"},
	{"leads", "*", "external_id, event_name, version", "received_at < ?"},
	{"leads_attributed", "*", "hex(lead_id), version", "received_at < ?"},
	{"clicks", "*", "UUIDNumToString(click_id)", "received_at < ?"},
	{"page_views", "*", "UUIDNumToString(page_view_id)", "received_at < ?"},
}

// differences compares the computed tables of this database with another's, row by row, and only
// rows older than until. It leaves out:
//
//   - money that is held, or was until a workspace listed its account. Such rows depend on when that
//     was, and are in no total.
//   - clicks and page views, unless they were consumed again (clicks) and not copied.
//   - the columns that clicks lose retentionDays after their receipt (0: never), and their copies in
//     the ledger.
func differences(ctx context.Context, s *clickhouse.Store, database string, clicks bool, retentionDays int,
	until time.Time,
) ([]Difference, error) {
	var list []Difference
	for _, c := range compared {
		if (strings.HasPrefix(c.table, "clicks") || strings.HasPrefix(c.table, "page_views")) && !clicks {
			continue
		}
		const booked = "NOT startsWith(workspace, '" + schemas.HeldPrefix + "') AND "
		columns := retained(c.table, c.columns, retentionDays)
		from := func(database string) string {
			return "SELECT " + columns + " FROM (SELECT " + clickhouse.Comparable(c.table) + " FROM " +
				clickhouse.Table(database, c.table) + " FINAL WHERE " + booked + c.before + ")"
		}
		d := Difference{Table: c.table}
		here, there := from(""), from(database)
		err := s.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&d.Rows, &d.Here, &d.There) },
			"SELECT (SELECT count() FROM ("+here+")), (SELECT count() FROM ("+here+" EXCEPT "+there+")), "+
				"(SELECT count() FROM ("+there+" EXCEPT "+here+"))", until, until, until, until, until)
		if err == nil && d.Here+d.There > 0 {
			err = s.Each(ctx, func(rows driver.Rows) error {
				var side, text string
				if err := rows.Scan(&side, &text); err != nil {
					return err
				}
				d.Some = append(d.Some, side+" "+text)
				return nil
			}, "SELECT * FROM "+
				"(SELECT 'now' AS side, toString(tuple("+c.key+")) AS text FROM ("+here+" EXCEPT "+there+") "+
				"UNION ALL SELECT 'rebuilt', toString(tuple("+c.key+")) FROM ("+there+" EXCEPT "+here+")) "+
				"ORDER BY text, side LIMIT 10", until, until, until, until)
		}
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", c.table, err)
		}
		list = append(list, d)
	}
	return list, nil
}

// retained returns the columns of a table without those that the retention empties: ClickHouse does
// so in the background, some time after they are due.
func retained(table, columns string, retentionDays int) string {
	emptied := retention.Columns[table]
	switch {
	case retentionDays == 0:
		return columns
	case table == "ledger":
		return "* EXCEPT (" + strings.Join(retention.Copies, ", ") + ")"
	case emptied == nil:
		return columns
	}
	list := make([]string, len(emptied))
	for i, column := range emptied {
		list[i] = fmt.Sprintf("if(received_at < now64(3) - toIntervalDay(%d), defaultValueOfArgumentType(%s), %[2]s) "+
			"AS %[2]s", retentionDays, column)
	}
	return "* REPLACE (" + strings.Join(list, ", ") + ")"
}

// Total is the ledger's sum in one currency.
type Total struct {
	Currency string
	Entries  uint64
	Amount   int64  // minor units
	USD      string // decimal
}

// totals returns the sums of the booked ledger by currency, live mode and test mode together.
func totals(ctx context.Context, s *clickhouse.Store) ([]Total, error) {
	var list []Total
	err := s.Each(ctx, func(rows driver.Rows) error {
		var t Total
		if err := rows.Scan(&t.Currency, &t.Entries, &t.Amount, &t.USD); err != nil {
			return err
		}
		list = append(list, t)
		return nil
	}, "SELECT toString(currency), count(), sum(amount), toString(sum(coalesce(amount_usd, 0))) FROM ledger_current "+
		"GROUP BY currency ORDER BY currency")
	return list, err
}

// position is where a step of a rebuild continues after an interruption.
type position struct{ Step, At string }

// positions reads where a rebuild in this database was interrupted; there are none if it is new.
func positions(ctx context.Context, s *clickhouse.Store) (map[string]string, error) {
	err := s.Exec(ctx, `CREATE TABLE IF NOT EXISTS replay_progress
(step String, position String, at DateTime64(6) DEFAULT now64(6)) ENGINE = ReplacingMergeTree(at) ORDER BY step`)
	if err != nil {
		return nil, err
	}
	steps := make(map[string]string)
	err = s.Each(ctx, func(rows driver.Rows) error {
		var p position
		if err := rows.Scan(&p.Step, &p.At); err != nil {
			return err
		}
		steps[p.Step] = p.At
		return nil
	}, "SELECT step, position FROM replay_progress FINAL")
	return steps, err
}

// reached stores positions.
func reached(ctx context.Context, s *clickhouse.Store, list ...position) error {
	for _, p := range list {
		if err := s.Exec(ctx, "INSERT INTO replay_progress (step, position) VALUES (?, ?)", p.Step, p.At); err != nil {
			return err
		}
	}
	return nil
}

// copyErasures copies the list of erased names from another database, so that the rebuilt tables do
// not contain them either.
func copyErasures(ctx context.Context, s *clickhouse.Store, database string) error {
	return s.Exec(ctx, "INSERT INTO erasures SELECT * FROM "+clickhouse.Table(database, "erasures"))
}
