package clickhouse

import (
	"context"
	"fmt"
	"strings"
)

// Narrow are the dashboards' tables that copy columns of another one: which rows, and what a person would call one.
var Narrow = []struct{ Table, Source, Where, Identity, Name, Day string }{
	{"revenue", "ledger", "1", "workspace, entry_id", "concat(kind, ' ', object_id)", "day"},
	{"leads_attributed", "leads", "mode != 'deferred'", "workspace, lead_id", "hex(lead_id)", "toDate(received_at)"},
}

// Rollups are the dashboards' tables that are computed from clicks: their cell, and since when they keep it.
var Rollups = []struct{ Table, Moment, Cell, Since string }{
	{"clicks_hourly", "toStartOfHour(toDateTime(clicked_at, 'UTC')) AS hour", "workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country", "toDateTime(0)"},
	{"clicks_minutely", "toStartOfMinute(toDateTime(clicked_at, 'UTC')) AS minute", "workspace, minute", "now() - INTERVAL 70 HOUR"},
}

// Recopy makes a dashboards' table anew beside the live one and exchanges the two in one step, while it is read and written. What reached
// the old one meanwhile is copied again from its source, where it is too: the ledger and the clicks are the truth.
func Recopy(ctx context.Context, s *Store, table string) error {
	beside := table + "_anew"
	if err := s.Exec(ctx, "DROP TABLE IF EXISTS "+beside+" SYNC"); err != nil {
		return err
	}
	fill, err := filling(ctx, s, table)
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
func filling(ctx context.Context, s *Store, table string) (string, error) {
	for _, n := range Narrow {
		if n.Table == table {
			columns, err := s.Columns(ctx, n.Table)
			return "SELECT " + columns + " FROM " + n.Source + " FINAL WHERE " + n.Where, err
		}
	}
	for _, r := range Rollups {
		if r.Table == table {
			last := ""
			if table == "clicks_minutely" {
				last = ", max(received_at) AS last_received"
			}
			return "SELECT " + r.Cell + ", uniqCombined64State(click_id) AS clicks, uniqCombined64State(if(visitor_id != '', visitor_id, hex(identity_hash))) AS visitors" + last +
				" FROM (SELECT *, " + r.Moment + " FROM clicks FINAL WHERE NOT is_bot) WHERE " + r.Moment[strings.LastIndex(r.Moment, " ")+1:] + " >= " + r.Since + " GROUP BY " + r.Cell, nil
		}
	}
	return "", fmt.Errorf("%s is no table of the dashboards", table)
}
