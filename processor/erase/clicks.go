package erase

import (
	"context"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/rollup"
)

// redactClicks removes the person from clicks and page views, as List.Click does of rows that are
// consumed.
func redactClicks(ctx context.Context, s *clickhouse.Store, workspace string, clicks []string) error {
	const origin = "if(empty(domain(%)), '', concat(protocol(%), '://', substring(%, position(%, '://') + 3, " +
		"length(netloc(%))), '/'))"
	for _, t := range []struct{ table, id, more string }{ // page views are found by the clicks of their browser
		{"page_views", "page_view_id", ""}, {"clicks", "click_id", "ad_click_id = '', "},
	} {
		err := s.Exec(ctx, `ALTER TABLE `+t.table+` UPDATE visitor_id = '', identity_hash = toFixedString('', 8),
url = `+strings.ReplaceAll(origin, "%", "url")+`, path = '', referrer = `+strings.ReplaceAll(origin, "%", "referrer")+`,
`+t.more+`region = '', city = '', user_agent = '', properties = map()
WHERE workspace = ? AND has(?, UUIDNumToString(`+t.id+`))`, workspace, array(clicks))
		if err != nil {
			return err
		}
	}
	return nil
}

// recountClicks computes clicks_by_day again for the days of these clicks and page views, because
// it holds hashes of who came, and landing pages. Merging deletes the rows that were replaced; of a
// page that nobody has seen any more a row with its path and nothing counted remains, and is
// deleted then.
func recountClicks(ctx context.Context, s *clickhouse.Store, workspace string, clicks []string) error {
	var days []time.Time
	err := s.Each(ctx, func(rows driver.Rows) error {
		var day time.Time
		err := rows.Scan(&day)
		days = append(days, day)
		return err
	}, `SELECT DISTINCT toDate(clicked_at) AS day FROM clicks WHERE workspace = ? AND has(?, UUIDNumToString(click_id))
UNION DISTINCT SELECT toDate(viewed_at) FROM page_views WHERE workspace = ? AND has(?, UUIDNumToString(page_view_id))`,
		workspace, array(clicks), workspace, array(clicks))
	if err != nil {
		return err
	}
	months := make(map[string]bool)
	for _, day := range days {
		if err := rollup.Compute(ctx, s, rollup.Range{Workspace: workspace, First: day, Last: day}, true); err != nil {
			return err
		}
		months[day.Format("200601")] = true
	}
	for month := range months {
		if err := s.Exec(ctx, "OPTIMIZE TABLE "+rollup.Table+" PARTITION "+month+" FINAL"); err != nil {
			return err
		}
		err := s.Exec(ctx, "ALTER TABLE "+rollup.Table+" DELETE WHERE workspace = ? AND toYYYYMM(day) = "+month+
			" AND clicks + page_views + finalizeAggregation(visitors) = 0", workspace)
		if err != nil {
			return err
		}
	}
	return nil
}

// hours are what the names of the hours in which a customer paid contain (identity.Hour). Without a
// customer it is a text that no name contains.
func hours(nodes []string) []string {
	parts := []string{"\x00"}
	for _, n := range nodes {
		if typ, customer := identity.Node(n).Split(); typ == identity.Customer {
			parts = append(parts, "/"+customer+"/")
		}
	}
	return parts
}
