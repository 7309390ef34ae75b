package replay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/schemas"
)

// EventDays gives the UTC days on which stored events were received, from since on, the first day first.
func EventDays(ctx context.Context, s *clickhouse.Store, since time.Time) ([]time.Time, error) {
	var days []time.Time
	err := s.Each(ctx, func(rows driver.Rows) error {
		var day time.Time
		if err := rows.Scan(&day); err != nil {
			return err
		}
		days = append(days, day.UTC())
		return nil
	}, "SELECT DISTINCT toDate(received_at) AS day FROM stripe_events WHERE received_at >= ? ORDER BY day", since)
	return days, err
}

// EachEvent gives the raw events received from since until before, in that order.
func EachEvent(ctx context.Context, s *clickhouse.Store, since, until time.Time, one func(*schemas.StripeEvent) error) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var e schemas.StripeEvent
		var body string
		if err := rows.Scan(&e.ID, &e.Type, &e.Account, &e.Livemode, &e.APIVersion, &e.ReceivedAt, &body); err != nil {
			return err
		}
		e.ReceivedAt, e.Body = e.ReceivedAt.UTC(), []byte(body)
		return one(&e)
	}, "SELECT event_id, type, account, livemode, api_version, received_at, body FROM stripe_events FINAL WHERE received_at >= ? AND received_at < ? ORDER BY received_at, event_id", since, until)
}

// EachFirstName gives what the clicks received since then told first under a name, as consume makes it of each click: a foreign id, and an
// affiliate.
func EachFirstName(ctx context.Context, s *clickhouse.Store, since time.Time, one func(workspace string, vouched bool, e identity.Edge) error) error {
	for _, told := range []struct{ query, name, target, source string }{
		{"SELECT workspace, vouched, foreign_id, UUIDNumToString(argMin(click_id, (received_at, click_id))), min(received_at) FROM clicks FINAL WHERE foreign_id != '' AND received_at >= ? GROUP BY workspace, vouched, foreign_id", identity.Reference, identity.Click, "click.foreign_id"},
		{"SELECT workspace, vouched, affiliate_id, argMin(program_id, (received_at, click_id)), min(received_at) FROM clicks FINAL WHERE affiliate_id != '' AND received_at >= ? GROUP BY workspace, vouched, affiliate_id", identity.Affiliate, identity.Program, "click.affiliate_id"},
	} {
		err := s.Each(ctx, func(rows driver.Rows) error {
			var workspace, name, target string
			var vouched bool
			var at time.Time
			if err := rows.Scan(&workspace, &vouched, &name, &target, &at); err != nil {
				return err
			}
			return one(workspace, vouched, identity.Edge{A: identity.New(told.name, name), B: identity.New(told.target, target), Source: told.source, At: at.UTC()})
		}, told.query, since)
		if err != nil {
			return err
		}
	}
	return nil
}

// CopyPublicLeads copies what leads that browsers sent told first under a name: no table of leads keeps which of them was public.
func CopyPublicLeads(ctx context.Context, s *clickhouse.Store, database string, since time.Time) error {
	return s.Exec(ctx, "INSERT INTO first_names SELECT * FROM "+clickhouse.Table(database, "first_names")+" WHERE source = 'lead.public' AND at >= ?", since)
}

// EachLead gives the leads received since then that a backend told, without what they are credited to.
func EachLead(ctx context.Context, s *clickhouse.Store, database string, since time.Time, one func(ledger.Lead) error) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var l ledger.Lead
		var id, hash string
		if err := rows.Scan(&l.Workspace, &id, &l.ReceivedAt, &l.ExternalID, &l.EventName, &l.Mode, &l.Quantity, &l.Livemode, &hash, &l.Metadata); err != nil {
			return err
		}
		l.ID, l.ReceivedAt = [16]byte([]byte(id)), l.ReceivedAt.UTC()
		if l.EmailHash = hash; hash == clickhouse.NoHash {
			l.EmailHash = ""
		}
		return one(l.Uncredited())
	}, "SELECT workspace, lead_id, received_at, external_id, event_name, mode, quantity, livemode, email_hash, metadata FROM "+clickhouse.Table(database, "leads")+" FINAL WHERE mode != 'stripe' AND received_at >= ?", since)
}

// EachEdge gives the edges, each in one direction, whose source is the one given or begins with it and a dot.
func EachEdge(ctx context.Context, s *clickhouse.Store, database string, since time.Time, source string, one func(workspace string, e identity.Edge) error) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var workspace, a, b string
		var e identity.Edge
		if err := rows.Scan(&workspace, &a, &b, &e.Source, &e.At); err != nil {
			return err
		}
		e.A, e.B, e.At = identity.Node(a), identity.Node(b), e.At.UTC()
		return one(workspace, e)
	}, "SELECT workspace, key, target, source, at FROM "+clickhouse.Table(database, "identities")+" FINAL WHERE (source = ? OR startsWith(source, ?)) AND at >= ? AND key < target", source, source+".", since)
}

// EachLetter gives the dead letters set aside since then, by reason where one is given, in the order in which they were set aside.
func EachLetter(ctx context.Context, s *clickhouse.Store, since time.Time, reason string, one func(clickhouse.DeadLetterRow) error) error {
	return s.Each(ctx, func(rows driver.Rows) error {
		var r clickhouse.DeadLetterRow
		if err := rows.Scan(&r.At, &r.Reason, &r.Step, &r.Topic, &r.Partition, &r.Offset, &r.Error, &r.Key, &r.Headers, &r.Body); err != nil {
			return err
		}
		r.At = r.At.UTC()
		return one(r)
	}, "SELECT at, reason, step, topic, partition, offset, error, key, headers, body FROM dead_letters FINAL WHERE at >= ? AND (? = '' OR reason = ?) ORDER BY at, topic, partition, offset", since, reason, reason)
}

// HeldSales gives every sale that is held.
func HeldSales(ctx context.Context, s *clickhouse.Store) ([]clickhouse.Sale, error) {
	var sales []clickhouse.Sale
	err := s.Each(ctx, func(rows driver.Rows) error {
		var sale clickhouse.Sale
		if err := rows.Scan(&sale.Workspace, &sale.ObjectID); err != nil {
			return err
		}
		sales = append(sales, sale)
		return nil
	}, "SELECT DISTINCT workspace, sale_id FROM ledger FINAL WHERE status = 'held' ORDER BY workspace, sale_id")
	return sales, err
}

// Parts gives the ids of a table's partitions that have rows.
func Parts(ctx context.Context, s *clickhouse.Store, database, table string) ([]string, error) {
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

// CopySince inserts what another database's table received since then.
func CopySince(ctx context.Context, s *clickhouse.Store, database, table, received string, since time.Time) error {
	return s.Exec(ctx, "INSERT INTO "+clickhouse.Table("", table)+" SELECT * FROM "+clickhouse.Table(database, table)+" WHERE "+received+" >= ? SETTINGS max_partitions_per_insert_block = 0", since)
}

// Copy inserts one partition of another database's table into the one of the same name here; its views see the rows.
func Copy(ctx context.Context, s *clickhouse.Store, database, table, partition string) error {
	return s.Exec(ctx, "INSERT INTO "+clickhouse.Table("", table)+" SELECT * FROM "+clickhouse.Table(database, table)+" WHERE _partition_id = ?", partition)
}

// CopyFacts copies the facts that no event tells: what an audit read of Stripe's balance.
func CopyFacts(ctx context.Context, s *clickhouse.Store, database string) error {
	return s.Exec(ctx, "INSERT INTO facts SELECT * FROM "+clickhouse.Table(database, "facts")+" WHERE source = 'balance_transaction' AND startsWith(event_id, 'txn_')")
}

// Exchange swaps a table with the one of the same name in another database, in one step. Views go on by name: what is inserted
// afterwards is seen by this database's.
func Exchange(ctx context.Context, s *clickhouse.Store, database, table string) error {
	return s.Exec(ctx, "EXCHANGE TABLES "+clickhouse.Table("", table)+" AND "+clickhouse.Table(database, table))
}

// Difference is how one table differs between two databases.
type Difference struct {
	Table string
	Here  uint64   // rows that only this database has
	There uint64   // rows that only the other has
	Rows  uint64   // here
	Some  []string // a few of the rows that differ, as tuples
}

// compared are the tables that a rebuild makes anew, with what of a row is compared: all but how far its booking has come, and for the
// rollups their cells' final figures. told says which rows are older than some moment.
var compared = []struct{ table, columns, key, told string }{
	// When a hold ended, or whether it was needed at all, depends on who was ahead; the ledger says what came of it.
	{"facts", "*", "object_id, kind, source, event_id", "kind != 'hold_ended' AND received_at < ?"},
	// That a public click told something of a name is told once by each processor, with the first click that it saw: when is nobody's
	// concern. What was told first stands in first_names.
	{"identities", "workspace, key, target, if(startsWith(source, 'click.'), toDateTime64(0, 3, 'UTC'), at) AS at", "key, target", "at < ?"},
	{"first_names", "*", "name, target", "at < ?"},
	{"ledger", "*", "kind, object_id, status, amount, version", "received_at < ?"},
	{"revenue", "*", "kind, object_id, status, amount, version", "occurred_at < ?"},
	{"leads", "*", "external_id, event_name, version", "received_at < ?"},
	{"leads_attributed", "*", "hex(lead_id), version", "received_at < ?"},
	{"clicks", "*", "UUIDNumToString(click_id)", "received_at < ?"},
	{"clicks_hourly", "workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country, uniqCombined64Merge(clicks) AS clicks, uniqCombined64Merge(visitors) AS visitors", "hour, affiliate_id, link_id, clicks, visitors", "hour < toStartOfHour(?)"},
}

// Differences compares the computed tables of this database with another's, row by row, those rows that were told before until; clicks and
// their rollups only where both were loaded, and not copied.
func Differences(ctx context.Context, s *clickhouse.Store, database string, clicks bool, until time.Time) ([]Difference, error) {
	var list []Difference
	for _, c := range compared {
		if strings.HasPrefix(c.table, "clicks") && !clicks {
			continue
		}
		from := func(database string) string {
			if strings.Contains(c.columns, "Merge(") {
				return "SELECT " + c.columns + " FROM " + clickhouse.Table(database, c.table) + " WHERE " + c.told + " GROUP BY workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country"
			}
			return "SELECT " + c.columns + " FROM " + clickhouse.Table(database, c.table) + " FINAL WHERE " + c.told
		}
		d := Difference{Table: c.table}
		here, there := from(""), from(database)
		err := s.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&d.Rows, &d.Here, &d.There) },
			"SELECT (SELECT count() FROM ("+here+")), (SELECT count() FROM ("+here+" EXCEPT "+there+")), (SELECT count() FROM ("+there+" EXCEPT "+here+"))", until, until, until, until, until)
		if err == nil && d.Here+d.There > 0 {
			err = s.Each(ctx, func(rows driver.Rows) error {
				var side, text string
				if err := rows.Scan(&side, &text); err != nil {
					return err
				}
				d.Some = append(d.Some, side+" "+text)
				return nil
			}, "SELECT * FROM (SELECT 'now' AS side, toString(tuple("+c.key+")) AS text FROM ("+here+" EXCEPT "+there+") UNION ALL SELECT 'rebuilt', toString(tuple("+c.key+")) FROM ("+there+" EXCEPT "+here+")) ORDER BY text, side LIMIT 10", until, until, until, until)
		}
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", c.table, err)
		}
		list = append(list, d)
	}
	return list, nil
}

// Total is what the ledger sums in one currency.
type Total struct {
	Currency string
	Entries  uint64
	Amount   int64  // minor units
	USD      string // decimal
}

// Totals of the booked ledger by currency, live mode and test mode together.
func Totals(ctx context.Context, s *clickhouse.Store) ([]Total, error) {
	var list []Total
	err := s.Each(ctx, func(rows driver.Rows) error {
		var t Total
		if err := rows.Scan(&t.Currency, &t.Entries, &t.Amount, &t.USD); err != nil {
			return err
		}
		list = append(list, t)
		return nil
	}, "SELECT toString(currency), count(), sum(amount), toString(sum(coalesce(amount_usd, 0))) FROM ledger_current GROUP BY currency ORDER BY currency")
	return list, err
}

// Position is how far a step of a rebuild has come.
type Position struct{ Step, At string }

// Positions reads where a rebuild in this database was interrupted; none: it is new.
func Positions(ctx context.Context, s *clickhouse.Store) (map[string]string, error) {
	if err := s.Exec(ctx, "CREATE TABLE IF NOT EXISTS replay_progress (step String, position String, at DateTime64(6) DEFAULT now64(6)) ENGINE = ReplacingMergeTree(at) ORDER BY step"); err != nil {
		return nil, err
	}
	positions := make(map[string]string)
	err := s.Each(ctx, func(rows driver.Rows) error {
		var p Position
		if err := rows.Scan(&p.Step, &p.At); err != nil {
			return err
		}
		positions[p.Step] = p.At
		return nil
	}, "SELECT step, position FROM replay_progress FINAL")
	return positions, err
}

// Reached remembers a position.
func Reached(ctx context.Context, s *clickhouse.Store, positions ...Position) error {
	for _, p := range positions {
		if err := s.Exec(ctx, "INSERT INTO replay_progress (step, position) VALUES (?, ?)", p.Step, p.At); err != nil {
			return err
		}
	}
	return nil
}

// CopyErasures copies the list to this database from another, so that what is rebuilt here forgets the same people.
func CopyErasures(ctx context.Context, s *clickhouse.Store, database string) error {
	return s.Exec(ctx, "INSERT INTO erasures SELECT * FROM "+clickhouse.Table(database, "erasures"))
}
