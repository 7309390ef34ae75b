package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Flaw is one row that is not what the records say.
type Flaw struct {
	Table string `json:"table"`
	What  string `json:"what"`  // missing, behind (somebody knew more), altered, unexplained
	Where string `json:"where"` // an hour, a day or a partition, UTC
	Key   string `json:"key"`   // for people
}

// kept says of each table that records fill how two copies of it are compared. identity are the columns of its key; told is when the row was
// told, for people; name what a person would call the row; versioned: the greater version stands; otherwise a row is there or it is not.
var kept = []struct {
	table, identity, told, name string
	versioned                   bool
	where                       string
}{
	{"clicks", "click_id", "received_at", "UUIDNumToString(click_id)", true, ""},
	{"stripe_events", "workspace, event_id", "received_at", "concat(event_id, ' ', type)", true, ""},
	// When a hold ended, or whether it was needed at all, depends on who was ahead; the ledger says what came of it.
	{"facts", "workspace, object_id, kind, source, event_id", "received_at", "concat(kind, ' ', object_id, ' by ', source, ' ', event_id)", true, " WHERE kind != 'hold_ended'"},
	{"identities", "workspace, key, target", "at", "concat(key, ' = ', target)", false, ""},
	{"dead_letters", "topic, partition, offset, step", "at", "concat(topic, '/', toString(partition), '/', toString(offset))", false, ""},
	{"leads", "workspace, lead_id", "received_at", "concat(event_name, ' of ', external_id)", true, ""},
	{"ledger", "workspace, entry_id", "received_at", "concat(toString(kind), ' ', object_id)", true, ""},
}

const mostFlaws = 10_000 // of one table; there are no more to be read one by one

// Flaws compares what handling records again wrote into another database with what stands here. Rows that were told later, and are
// therefore better here, are no flaws, but for Unexplained.
func (s *Store) Flaws(ctx context.Context, database string) ([]Flaw, error) {
	var flaws []Flaw
	for _, k := range kept {
		version, content := "toUInt128(1)", "0"
		if k.versioned {
			version, content = "toUInt128(version)", "cityHash64(toString(tuple(*)))"
		}
		query := `SELECT multiIf(l.v = 0, 'missing', l.v < s.v, 'behind', 'altered'), formatDateTime(s.told, '%F %H:00'), s.name
FROM (SELECT tuple(` + k.identity + `) AS id, ` + version + ` AS v, ` + content + ` AS h, ` + k.told + ` AS told, ` + k.name + ` AS name FROM ` + Table(database, k.table) + ` FINAL` + k.where + `) AS s
LEFT JOIN (SELECT tuple(` + k.identity + `) AS id, ` + version + ` AS v, ` + content + ` AS h FROM ` + Table("", k.table) + ` FINAL
    WHERE (` + k.identity + `) IN (SELECT ` + k.identity + ` FROM ` + Table(database, k.table) + `)) AS l ON s.id = l.id
WHERE l.v < s.v OR l.v = s.v AND l.h != s.h
ORDER BY s.told, s.name LIMIT ` + fmt.Sprint(mostFlaws)
		err := s.Each(ctx, func(rows driver.Rows) error {
			f := Flaw{Table: k.table}
			if err := rows.Scan(&f.What, &f.Where, &f.Key); err != nil {
				return err
			}
			flaws = append(flaws, f)
			return nil
		}, query)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", k.table, err)
		}
	}
	return flaws, nil
}

// Unexplained gives the sales of ledger entries here that were received in [since, until) and that handling the records again did not write, or wrote
// with a smaller version. A sale that has been told more of meanwhile is among them; looked at once more, it is not.
func (s *Store) Unexplained(ctx context.Context, database string, since, until time.Time) (flaws []Flaw, sales []Sale, err error) {
	err = s.Each(ctx, func(rows driver.Rows) error {
		f := Flaw{Table: "ledger", What: "unexplained"}
		var sale Sale
		if err := rows.Scan(&f.Where, &f.Key, &sale.Workspace, &sale.ObjectID); err != nil {
			return err
		}
		flaws, sales = append(flaws, f), append(sales, sale)
		return nil
	}, `SELECT formatDateTime(l.received_at, '%F %H:00'), concat(toString(l.kind), ' ', l.object_id, ', entry ', lower(hex(l.entry_id))), l.workspace, l.sale_id
FROM (SELECT workspace, entry_id, version, received_at, kind, object_id, sale_id FROM ledger FINAL WHERE status != 'superseded' AND received_at >= ? AND received_at < ?) AS l
LEFT JOIN (SELECT workspace, entry_id, version FROM `+Table(database, "ledger")+` FINAL) AS s ON l.workspace = s.workspace AND l.entry_id = s.entry_id
WHERE l.version > s.version ORDER BY l.received_at, l.object_id LIMIT `+fmt.Sprint(mostFlaws), since, until)
	return flaws, sales, err
}

// Mend puts the other database's rows into the place of those that are flawed here. A row of equal version and other content can only be deleted
// first: a version says what was known, and both claim to know the same.
func (s *Store) Mend(ctx context.Context, database string) error {
	for _, k := range kept {
		if k.versioned {
			altered := `SELECT ` + k.identity + ` FROM (SELECT ` + k.identity + `, version, cityHash64(toString(tuple(*))) AS h FROM ` + Table(database, k.table) + ` FINAL) AS s
INNER JOIN (SELECT ` + k.identity + `, version, cityHash64(toString(tuple(*))) AS h FROM ` + Table("", k.table) + ` FINAL) AS l USING (` + k.identity + `, version) WHERE s.h != l.h`
			if err := s.Exec(ctx, "ALTER TABLE "+Table("", k.table)+" DELETE WHERE ("+k.identity+") IN ("+altered+")"); err != nil {
				return err
			}
		}
		missing := `(` + k.identity + `) NOT IN (SELECT ` + k.identity + ` FROM ` + Table("", k.table) + `)`
		if k.versioned {
			missing = `(` + k.identity + `, version) NOT IN (SELECT ` + k.identity + `, version FROM ` + Table("", k.table) + `)`
		}
		if err := s.Exec(ctx, "INSERT INTO "+Table("", k.table)+" SELECT * FROM "+Table(database, k.table)+" FINAL WHERE "+missing); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes ledger entries that nothing explains, and their copies.
func (s *Store) Remove(ctx context.Context, flaws []Flaw) error {
	for _, f := range flaws {
		_, id, ok := strings.Cut(f.Key, ", entry ")
		if !ok || f.What != "unexplained" {
			continue
		}
		for _, table := range []string{"ledger", "revenue"} {
			if err := s.Exec(ctx, "ALTER TABLE "+table+" DELETE WHERE entry_id = unhex(?)", id); err != nil {
				return err
			}
		}
	}
	return nil
}

// narrow are the dashboards' tables that copy columns of another one: which rows, and what a person would call one.
var narrow = []struct{ table, source, where, identity, name, day string }{
	{"revenue", "ledger", "1", "workspace, entry_id", "concat(kind, ' ', object_id)", "day"},
	{"leads_attributed", "leads", "mode != 'deferred'", "workspace, lead_id", "hex(lead_id)", "toDate(received_at)"},
}

// rollups are the dashboards' tables that are computed from clicks: their cell, and since when they keep it.
var rollups = []struct{ table, moment, cell, since string }{
	{"clicks_hourly", "toStartOfHour(toDateTime(clicked_at, 'UTC')) AS hour", "workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country", "toDateTime(0)"},
	{"clicks_minutely", "toStartOfMinute(toDateTime(clicked_at, 'UTC')) AS minute", "workspace, minute", "now() - INTERVAL 70 HOUR"},
}

// Sums gives by currency and day where the dashboards' revenue and the ledger do not sum the same, to the last decimal.
func (s *Store) Sums(ctx context.Context) ([]Flaw, error) {
	var flaws []Flaw
	err := s.Each(ctx, func(rows driver.Rows) error {
		f := Flaw{Table: "revenue", What: "sum"}
		if err := rows.Scan(&f.Where, &f.Key); err != nil {
			return err
		}
		flaws = append(flaws, f)
		return nil
	}, `SELECT toString(day), concat(currency, ': ledger ', toString(sumIf(amount, side = 1)), ' minor units, ', toString(sumIf(usd, side = 1)), ' USD; dashboards ', toString(sumIf(amount, side = 2)), ', ', toString(sumIf(usd, side = 2)), ' USD')
FROM (SELECT day, currency, amount, coalesce(net_usd, 0) AS usd, 1 AS side FROM ledger FINAL WHERE status = 'booked'
    UNION ALL SELECT day, currency, amount, coalesce(net_usd, 0), 2 FROM revenue FINAL WHERE status = 'booked')
GROUP BY day, currency HAVING sumIf(amount, side = 1) != sumIf(amount, side = 2) OR sumIf(usd, side = 1) != sumIf(usd, side = 2) ORDER BY day, currency`)
	return flaws, err
}

// Copies compares the dashboards' tables with what they are copied or computed from, row by row and cell by cell. Rows newer than
// since are left out: they may be under way to one of the two.
func (s *Store) Copies(ctx context.Context, until time.Time) ([]Flaw, error) {
	flaws, err := s.Sums(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range narrow {
		columns, err := s.Columns(ctx, n.table)
		if err != nil {
			return nil, err
		}
		copied := "SELECT " + columns + " FROM " + n.table + " FINAL"
		source := "SELECT " + columns + " FROM " + n.source + " FINAL WHERE " + n.where
		err = s.Each(ctx, func(rows driver.Rows) error {
			f := Flaw{Table: n.table}
			if err := rows.Scan(&f.What, &f.Where, &f.Key); err != nil {
				return err
			}
			flaws = append(flaws, f)
			return nil
		}, `SELECT if(countIf(side = 2) = 0, 'missing', if(countIf(side = 1) = 0, 'unexplained', 'altered')) AS what, toString(min(told)), any(name) FROM
(SELECT tuple(`+n.identity+`) AS id, `+n.day+` AS told, `+n.name+` AS name, 1 AS side FROM (`+source+` EXCEPT `+copied+`)
 UNION ALL SELECT tuple(`+n.identity+`), `+n.day+`, `+n.name+`, 2 FROM (`+copied+` EXCEPT `+source+`))
GROUP BY id ORDER BY min(told), any(name) LIMIT `+fmt.Sprint(mostFlaws))
		if err != nil {
			return nil, fmt.Errorf("compare %s with %s: %w", n.table, n.source, err)
		}
	}
	for _, r := range rollups {
		moment := r.moment[strings.LastIndex(r.moment, " ")+1:]
		rolled := "SELECT " + r.cell + ", uniqCombined64Merge(clicks) AS clicks, uniqCombined64Merge(visitors) AS visitors FROM " + r.table + " WHERE " + moment + " >= " + r.since + " GROUP BY " + r.cell
		computed := "SELECT " + r.cell + ", uniqCombined64(click_id) AS clicks, uniqCombined64(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors FROM (SELECT *, " + r.moment + " FROM clicks FINAL WHERE NOT is_bot) WHERE " + moment + " >= " + r.since + " GROUP BY " + r.cell
		err := s.Each(ctx, func(rows driver.Rows) error {
			f := Flaw{Table: r.table, What: "altered"}
			if err := rows.Scan(&f.Where, &f.Key); err != nil {
				return err
			}
			flaws = append(flaws, f)
			return nil
		}, `SELECT formatDateTime(at, '%F %H:%i'), text FROM (SELECT `+moment+` AS at, concat('computed ', toString(tuple(*))) AS text FROM (`+computed+` EXCEPT `+rolled+`)
 UNION ALL SELECT `+moment+` AS at, concat('stands ', toString(tuple(*))) AS text FROM (`+rolled+` EXCEPT `+computed+`)) WHERE at < toStartOfHour(?) ORDER BY at, text LIMIT `+fmt.Sprint(mostFlaws), until)
		if err != nil {
			return nil, fmt.Errorf("compare %s with clicks: %w", r.table, err)
		}
	}
	return flaws, nil
}

// Recopy makes a dashboards' table anew beside the live one and exchanges the two in one step, while it is read and written. What reached
// the old one meanwhile is copied again from its source, where it is too: the ledger and the clicks are the truth.
func (s *Store) Recopy(ctx context.Context, table string) error {
	beside := table + "_anew"
	if err := s.Exec(ctx, "DROP TABLE IF EXISTS "+beside+" SYNC"); err != nil {
		return err
	}
	fill, err := s.filling(ctx, table)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		"CREATE TABLE " + beside + " AS " + table,
		"INSERT INTO " + beside + " " + fill + " SETTINGS max_partitions_per_insert_block = 0",
		"EXCHANGE TABLES " + beside + " AND " + table,
		"INSERT INTO " + table + " " + fill + " SETTINGS max_partitions_per_insert_block = 0",
		"DROP TABLE " + beside + " SYNC",
	} {
		if err := s.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make %s anew: %w", table, err)
		}
	}
	return nil
}

// filling is the statement that computes a whole table of the dashboards. Run twice it adds nothing: rows have versions, cells are sets.
func (s *Store) filling(ctx context.Context, table string) (string, error) {
	for _, n := range narrow {
		if n.table == table {
			columns, err := s.Columns(ctx, n.table)
			return "SELECT " + columns + " FROM " + n.source + " FINAL WHERE " + n.where, err
		}
	}
	for _, r := range rollups {
		if r.table == table {
			last := ""
			if table == "clicks_minutely" {
				last = ", max(received_at) AS last_received"
			}
			return "SELECT " + r.cell + ", uniqCombined64State(click_id) AS clicks, uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors" + last +
				" FROM (SELECT *, " + r.moment + " FROM clicks FINAL WHERE NOT is_bot) WHERE " + r.moment[strings.LastIndex(r.moment, " ")+1:] + " >= " + r.since + " GROUP BY " + r.cell, nil
		}
	}
	return "", fmt.Errorf("%s is no table of the dashboards", table)
}

// Scratch makes this database, which an audit is to write into and drop, empty.
func (s *Store) Scratch(ctx context.Context) error {
	for _, k := range kept {
		if err := s.Exec(ctx, "TRUNCATE TABLE "+k.table); err != nil {
			return err
		}
	}
	return nil
}
