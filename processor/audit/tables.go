package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
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
	{"clicks", "workspace, click_id", "received_at", "UUIDNumToString(click_id)", true, ""},
	{"stripe_events", "workspace, event_id", "received_at", "concat(event_id, ' ', type)", true, ""},
	// When a hold ended, or whether it was needed at all, depends on who was ahead; the ledger says what came of it.
	{"facts", "workspace, object_id, kind, source, event_id", "received_at", "concat(kind, ' ', object_id, ' by ', source, ' ', event_id)", true, " WHERE kind != 'hold_ended'"},
	{"identities", "workspace, key, target", "at", "concat(key, ' = ', target)", false, ""},
	{"first_names", "workspace, name", "at", "concat(name, ' = ', target)", true, ""},
	{"dead_letters", "topic, partition, offset, step", "at", "concat(topic, '/', toString(partition), '/', toString(offset))", false, ""},
	{"leads", "workspace, lead_id", "received_at", "concat(event_name, ' of ', external_id)", true, ""},
	{"ledger", "workspace, entry_id", "received_at", "concat(toString(kind), ' ', object_id)", true, ""},
}

const mostFlaws = 10_000 // of one table; there are no more to be read one by one

// Flaws compares what handling records again wrote into another database with what stands here. Rows that were told later, and are
// therefore better here, are no flaws, but for Unexplained.
func Flaws(ctx context.Context, s *clickhouse.Store, database string) ([]Flaw, error) {
	var flaws []Flaw
	for _, k := range kept {
		version, content := "toUInt128(1)", "0"
		if k.versioned {
			version, content = "toUInt128(version)", "cityHash64(toString(tuple(*)))"
		}
		query := `SELECT multiIf(l.v = 0, 'missing', l.v < s.v, 'behind', 'altered'), formatDateTime(s.told, '%F %H:00'), s.name
FROM (SELECT tuple(` + k.identity + `) AS id, ` + version + ` AS v, ` + content + ` AS h, ` + k.told + ` AS told, ` + k.name + ` AS name FROM ` + clickhouse.Table(database, k.table) + ` FINAL` + k.where + `) AS s
LEFT JOIN (SELECT tuple(` + k.identity + `) AS id, ` + version + ` AS v, ` + content + ` AS h FROM ` + clickhouse.Table("", k.table) + ` FINAL
    WHERE (` + k.identity + `) IN (SELECT ` + k.identity + ` FROM ` + clickhouse.Table(database, k.table) + `)) AS l ON s.id = l.id
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
func Unexplained(ctx context.Context, s *clickhouse.Store, database string, since, until time.Time) (flaws []Flaw, sales []clickhouse.Sale, err error) {
	err = s.Each(ctx, func(rows driver.Rows) error {
		f := Flaw{Table: "ledger", What: "unexplained"}
		var sale clickhouse.Sale
		if err := rows.Scan(&f.Where, &f.Key, &sale.Workspace, &sale.ObjectID); err != nil {
			return err
		}
		flaws, sales = append(flaws, f), append(sales, sale)
		return nil
	}, `SELECT formatDateTime(l.received_at, '%F %H:00'), concat(toString(l.kind), ' ', l.object_id, ', entry ', lower(hex(l.entry_id))), l.workspace, l.sale_id
FROM (SELECT workspace, entry_id, version, received_at, kind, object_id, sale_id FROM ledger FINAL WHERE status != 'superseded' AND received_at >= ? AND received_at < ?) AS l
LEFT JOIN (SELECT workspace, entry_id, version FROM `+clickhouse.Table(database, "ledger")+` FINAL) AS s ON l.workspace = s.workspace AND l.entry_id = s.entry_id
WHERE l.version > s.version ORDER BY l.received_at, l.object_id LIMIT `+fmt.Sprint(mostFlaws), since, until)
	return flaws, sales, err
}

// Mend puts the other database's rows into the place of those that are flawed here. A row of equal version and other content can only be deleted
// first: a version says what was known, and both claim to know the same.
func Mend(ctx context.Context, s *clickhouse.Store, database string) error {
	for _, k := range kept {
		if k.versioned {
			altered := `SELECT ` + k.identity + ` FROM (SELECT ` + k.identity + `, version, cityHash64(toString(tuple(*))) AS h FROM ` + clickhouse.Table(database, k.table) + ` FINAL) AS s
INNER JOIN (SELECT ` + k.identity + `, version, cityHash64(toString(tuple(*))) AS h FROM ` + clickhouse.Table("", k.table) + ` FINAL) AS l USING (` + k.identity + `, version) WHERE s.h != l.h`
			if err := s.Exec(ctx, "ALTER TABLE "+clickhouse.Table("", k.table)+" DELETE WHERE ("+k.identity+") IN ("+altered+")"); err != nil {
				return err
			}
		}
		missing := `(` + k.identity + `) NOT IN (SELECT ` + k.identity + ` FROM ` + clickhouse.Table("", k.table) + `)`
		if k.versioned {
			missing = `(` + k.identity + `, version) NOT IN (SELECT ` + k.identity + `, version FROM ` + clickhouse.Table("", k.table) + `)`
		}
		if err := s.Exec(ctx, "INSERT INTO "+clickhouse.Table("", k.table)+" SELECT * FROM "+clickhouse.Table(database, k.table)+" FINAL WHERE "+missing); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes ledger entries that nothing explains, and their copies.
func Remove(ctx context.Context, s *clickhouse.Store, flaws []Flaw) error {
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

// Sums gives by currency and day where the dashboards' revenue and the ledger do not sum the same, to the last decimal.
func Sums(ctx context.Context, s *clickhouse.Store) ([]Flaw, error) {
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
func Copies(ctx context.Context, s *clickhouse.Store, until time.Time) ([]Flaw, error) {
	flaws, err := Sums(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, n := range clickhouse.Narrow {
		columns, err := s.Columns(ctx, n.Table)
		if err != nil {
			return nil, err
		}
		copied := "SELECT " + columns + " FROM " + n.Table + " FINAL"
		source := "SELECT " + columns + " FROM " + n.Source + " FINAL WHERE " + n.Where
		err = s.Each(ctx, func(rows driver.Rows) error {
			f := Flaw{Table: n.Table}
			if err := rows.Scan(&f.What, &f.Where, &f.Key); err != nil {
				return err
			}
			flaws = append(flaws, f)
			return nil
		}, `SELECT if(countIf(side = 2) = 0, 'missing', if(countIf(side = 1) = 0, 'unexplained', 'altered')) AS what, toString(min(told)), any(name) FROM
(SELECT tuple(`+n.Identity+`) AS id, `+n.Day+` AS told, `+n.Name+` AS name, 1 AS side FROM (`+source+` EXCEPT `+copied+`)
 UNION ALL SELECT tuple(`+n.Identity+`), `+n.Day+`, `+n.Name+`, 2 FROM (`+copied+` EXCEPT `+source+`))
GROUP BY id ORDER BY min(told), any(name) LIMIT `+fmt.Sprint(mostFlaws))
		if err != nil {
			return nil, fmt.Errorf("compare %s with %s: %w", n.Table, n.Source, err)
		}
	}
	for _, r := range clickhouse.Rollups {
		moment := r.Moment[strings.LastIndex(r.Moment, " ")+1:]
		rolled := "SELECT " + r.Cell + ", uniqCombined64Merge(clicks) AS clicks, uniqCombined64Merge(visitors) AS visitors FROM " + r.Table + " WHERE " + moment + " >= " + r.Since + " GROUP BY " + r.Cell
		computed := "SELECT " + r.Cell + ", uniqCombined64(click_id) AS clicks, uniqCombined64(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors FROM (SELECT *, " + r.Moment + " FROM clicks FINAL WHERE NOT is_bot) WHERE " + moment + " >= " + r.Since + " GROUP BY " + r.Cell
		err := s.Each(ctx, func(rows driver.Rows) error {
			f := Flaw{Table: r.Table, What: "altered"}
			if err := rows.Scan(&f.Where, &f.Key); err != nil {
				return err
			}
			flaws = append(flaws, f)
			return nil
		}, `SELECT formatDateTime(at, '%F %H:%i'), text FROM (SELECT `+moment+` AS at, concat('computed ', toString(tuple(*))) AS text FROM (`+computed+` EXCEPT `+rolled+`)
 UNION ALL SELECT `+moment+` AS at, concat('stands ', toString(tuple(*))) AS text FROM (`+rolled+` EXCEPT `+computed+`)) WHERE at < toStartOfHour(?) ORDER BY at, text LIMIT `+fmt.Sprint(mostFlaws), until)
		if err != nil {
			return nil, fmt.Errorf("compare %s with clicks: %w", r.Table, err)
		}
	}
	return flaws, nil
}

// Scratch makes this database, which an audit is to write into and drop, empty.
func Scratch(ctx context.Context, s *clickhouse.Store) error {
	for _, k := range kept {
		if err := s.Exec(ctx, "TRUNCATE TABLE "+k.table); err != nil {
			return err
		}
	}
	return nil
}
