// Package retention empties the columns by which a visitor could be known again, some days after
// the click was received, as the workspaces file says (retention_days). The row stays, with its id,
// affiliate, link, campaign, channel, country and device: what was credited, counted and paid does
// not change.
package retention

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/schemas"
)

// Columns are what is emptied, by table.
var Columns = map[string][]string{
	"clicks": {"visitor_id", "identity_hash", "url", "path", "referrer", "utm_term", "utm_content", "ad_click_id",
		"region", "city", "browser_version", "os_version", "user_agent", "properties"},
	"page_views": {"visitor_id", "identity_hash", "url", "path", "referrer", "region", "city", "browser_version",
		"os_version", "user_agent", "properties"},
	"leads": {"metadata"},
	// Of clicks that could not be read only: any other record may be money.
	"dead_letters": {"error", "key", "headers", "body"},
}

// Copies are the columns that the ledger copies from a click when an entry is booked. An entry that
// is booked again after the click was emptied has them no more.
var Copies = []string{"visitor_id", "utm_term", "utm_content"}

// never is when the columns of a workspace without retention_days are emptied: ClickHouse's
// DateTime, which a TTL needs, ends there.
const never = "toDateTime('2106-01-01 00:00:00', 'UTC')"

// Shortest returns the days after which something is emptied first, 0 if nothing ever is.
func Shortest(workspaces []schemas.Workspace) int {
	shortest := 0
	for i := range workspaces {
		if days := workspaces[i].RetentionDays; days > 0 && (shortest == 0 || days < shortest) {
			shortest = days
		}
	}
	return shortest
}

// clocksDiffer is how much ClickHouse's clock, by which it empties columns, may be ahead of ours.
const clocksDiffer = time.Hour

// Whole returns the UTC day from which on all clicks are as they were received, where days is what
// Shortest returns. Days before may have lost their visitors, and cannot be counted again. So may the
// first whole day be, in the last hour of a UTC day: where ClickHouse's clock has the next one.
func Whole(days int, now time.Time) time.Time {
	if days == 0 {
		return time.Unix(0, 0).UTC()
	}
	return now.Add(clocksDiffer).UTC().AddDate(0, 0, 1-days)
}

// expression is the TTL of a table's columns, "" for none. Workspaces stand in it by their ids in
// hexadecimal, for an id may hold any character, quotes too. A dead letter knows no workspace, so
// that the shortest time of all of them holds.
func expression(table string, workspaces []schemas.Workspace) string {
	named := make(map[int][]string)
	for i := range workspaces {
		if w := &workspaces[i]; w.RetentionDays > 0 {
			named[w.RetentionDays] = append(named[w.RetentionDays], fmt.Sprintf("'%X'", w.ID))
		}
	}
	if len(named) == 0 {
		return ""
	}
	if table == "dead_letters" {
		return fmt.Sprintf("if(topic = '%s', toDateTime(at, 'UTC') + toIntervalDay(%d), %s)", schemas.TopicClicks,
			Shortest(workspaces), never)
	}
	var s strings.Builder
	s.WriteString("multiIf(")
	for _, days := range slices.Sorted(maps.Keys(named)) {
		slices.Sort(named[days])
		fmt.Fprintf(&s, "has([%s], hex(workspace)), toDateTime(received_at, 'UTC') + toIntervalDay(%d), ",
			strings.Join(named[days], ", "), days)
	}
	s.WriteString(never + ")")
	return s.String()
}

// Apply makes the tables' TTLs those of the workspaces, and waits until what is already older is
// empty. It returns the tables that it changed. Applied again, it changes nothing.
func Apply(ctx context.Context, store *clickhouse.Store, workspaces []schemas.Workspace) ([]string, error) {
	statements, err := statements(ctx, store, workspaces)
	if err != nil {
		return nil, fmt.Errorf("read how long tables keep what they hold: %w", err)
	}
	tables := slices.Sorted(maps.Keys(statements))
	for _, table := range tables {
		if err := store.Exec(ctx, statements[table]); err != nil {
			return nil, fmt.Errorf("set the retention of %s: %w", table, err)
		}
	}
	return tables, nil
}

// Differs reports whether Apply would change anything.
func Differs(ctx context.Context, store *clickhouse.Store, workspaces []schemas.Workspace) (bool, error) {
	statements, err := statements(ctx, store, workspaces)
	return len(statements) > 0, err
}

// statements returns what changes the tables that are not as the workspaces say.
func statements(ctx context.Context, store *clickhouse.Store, workspaces []schemas.Workspace) (map[string]string,
	error) {
	layout, err := store.Layout(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]string)
	for table, columns := range Columns {
		ttl := expression(table, workspaces)
		err := store.Each(ctx, func(rows driver.Rows) error {
			var definition, formatted string
			if err := rows.Scan(&definition, &formatted); err != nil {
				return err
			}
			formatted = strings.TrimPrefix(formatted, "SELECT ")
			var changes []string
			for _, column := range columns {
				now := ttlOf(definition, column)
				switch {
				case ttl == "" && now != "":
					changes = append(changes, "MODIFY COLUMN "+column+" REMOVE TTL")
				case ttl != "" && !strings.HasPrefix(now, formatted):
					changes = append(changes, "MODIFY COLUMN "+column+" TTL "+ttl)
				}
			}
			if len(changes) > 0 {
				found[table] = "ALTER TABLE " + clickhouse.Table("", table) + " " + strings.Join(changes, ", ")
			}
			return nil
		}, `SELECT create_table_query, formatQuerySingleLine(?) FROM system.tables
WHERE database = currentDatabase() AND name = ?`, "SELECT "+cmp.Or(ttl, "1"), layout.Stored(table))
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ttlOf returns what follows TTL in a column's definition, up to the next column, "" without one.
func ttlOf(definition, column string) string {
	match := regexp.MustCompile("`" + column + "` [^`]*? TTL ([^`]*)").FindStringSubmatch(definition)
	if match == nil {
		return ""
	}
	return match[1]
}
