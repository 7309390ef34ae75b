package replay

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/ledger"
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
