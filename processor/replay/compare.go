package replay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/retention"
	"tributary/schemas"
)

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
//   - money that is held, or was until a workspace listed its account. Such rows depend on when
//     that was, and are in no total.
//   - clicks and page views, unless they were consumed again (clicks) and not copied.
//   - the columns that clicks lose retentionDays after their receipt (0: never), and their copies
//     in the ledger.
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
