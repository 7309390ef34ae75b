package clickhouse

import (
	"context"
	"slices"
	"time"

	"tributary/processor/enrich"
	"tributary/schemas"
)

// ClickRow is one click with what was parsed from its URL, referrer and user agent.
type ClickRow struct {
	*schemas.Click
	URL      enrich.Parts
	Agent    enrich.Agent
	Referrer string // domain
	Channel  string
}

var clickColumns = []nativeColumn[ClickRow]{
	repeated("workspace", func(r *ClickRow) string { return r.Workspace }),
	fixed("click_id", 16, func(r *ClickRow) []byte { return r.ClickId }),
	milliseconds("clicked_at", func(r *ClickRow) int64 { return r.ClickedAt }),
	milliseconds("received_at", func(r *ClickRow) int64 { return r.ReceivedAt }),
	text("foreign_id", func(r *ClickRow) string { return r.ForeignId }),
	repeated("program_id", func(r *ClickRow) string { return r.ProgramId }),
	text("affiliate_id", func(r *ClickRow) string { return r.AffiliateId }),
	text("link_id", func(r *ClickRow) string { return r.LinkId }),
	text("visitor_id", func(r *ClickRow) string { return r.VisitorId }),
	fixed("identity_hash", 8, func(r *ClickRow) []byte { return r.IdentityHash }),
	text("url", func(r *ClickRow) string { return r.Click.Url }),
	repeated("host", func(r *ClickRow) string { return r.URL.Host }),
	text("path", func(r *ClickRow) string { return r.URL.Path }),
	text("referrer", func(r *ClickRow) string { return r.Click.Referrer }),
	repeated("referrer_domain", func(r *ClickRow) string { return r.Referrer }),
	repeated("utm_source", func(r *ClickRow) string { return r.URL.UTM.Source }),
	repeated("utm_medium", func(r *ClickRow) string { return r.URL.UTM.Medium }),
	repeated("utm_campaign", func(r *ClickRow) string { return r.URL.UTM.Campaign }),
	text("utm_term", func(r *ClickRow) string { return r.URL.UTM.Term }),
	text("utm_content", func(r *ClickRow) string { return r.URL.UTM.Content }),
	repeated("ad_network", func(r *ClickRow) string { return r.URL.AdNetwork }),
	text("ad_click_id", func(r *ClickRow) string { return r.URL.AdClickID }),
	repeated("channel", func(r *ClickRow) string { return r.Channel }),
	repeated("country", func(r *ClickRow) string { return r.Country }),
	repeated("continent", func(r *ClickRow) string { return r.Continent }),
	repeated("region", func(r *ClickRow) string { return r.Region }),
	repeated("city", func(r *ClickRow) string { return r.City }),
	flag("datacenter", func(r *ClickRow) bool { return r.Datacenter }),
	repeated("browser", func(r *ClickRow) string { return r.Agent.Browser }),
	repeated("browser_version", func(r *ClickRow) string { return r.Agent.BrowserVersion }),
	repeated("os", func(r *ClickRow) string { return r.Agent.OS }),
	repeated("os_version", func(r *ClickRow) string { return r.Agent.OSVersion }),
	repeated("device", func(r *ClickRow) string { return r.Agent.Device }),
	repeated("user_agent", func(r *ClickRow) string { return r.UserAgent }),
	repeated("trigger", func(r *ClickRow) string { return r.Trigger }),
	flag("is_bot", func(r *ClickRow) bool { return r.Agent.Bot }),
	repeated("bot_reason", func(r *ClickRow) string { return r.Agent.BotReason }),
	repeated("consent", func(r *ClickRow) string { return r.Consent }),
	flag("vouched", func(r *ClickRow) bool { return r.Vouched }),
	pairs("properties", func(r *ClickRow) map[string]string { return r.Properties }),
	number("version", (*ClickRow).Version),
}

// vouchedFirst is how much earlier than it was received a click counts as received that a secret
// key vouched for: some 31 years, so that no public click under its id was received before it.
const vouchedFirst = 1_000_000_000_000 * time.Millisecond

// Version orders the clicks received under one id, of which one stays: what a backend says before
// what anybody may have written, then the one received first. Of page views, which credit nobody,
// the one received first stays.
func (r *ClickRow) Version() uint64 {
	received := time.UnixMilli(r.ReceivedAt)
	if r.Vouched && !r.IsPageView() {
		received = received.Add(-vouchedFirst)
	}
	return first(received)
}

// triggerPageView is the trigger of a page view, which is no arrival by a link.
const triggerPageView = "pageview"

// IsPageView reports whether the record is a page view. It is stored and counted by itself, and is
// neither credited nor another name for a click.
func (r *ClickRow) IsPageView() bool { return r.Trigger == triggerPageView }

// pageViewColumns are the columns of page_views: those of clicks that a page view has too, among
// them none that names an affiliate.
var pageViewColumns = func() []nativeColumn[ClickRow] {
	renamed := map[string]string{"click_id": "page_view_id", "clicked_at": "viewed_at"}
	shared := []string{"workspace", "received_at", "program_id", "link_id", "visitor_id", "identity_hash", "url", "host",
		"path", "referrer", "referrer_domain", "channel", "country", "continent", "region", "city", "datacenter", "browser",
		"browser_version", "os",
		"os_version", "device", "user_agent", "is_bot", "bot_reason", "consent", "properties", "version"}
	var columns []nativeColumn[ClickRow]
	for _, c := range clickColumns {
		if name, ok := renamed[c.name]; ok {
			c.name = name
			columns = append(columns, c)
		} else if slices.Contains(shared, c.name) {
			columns = append(columns, c)
		}
	}
	return columns
}()

// InsertClicks inserts clicks into clicks and page views into page_views, with one insert for each
// month: an insert into one partition is atomic. It may change the order of rows.
func (s *Store) InsertClicks(ctx context.Context, rows []ClickRow) error {
	for len(rows) > 0 {
		part, n := partOf(&rows[0]), 1
		for i := 1; i < len(rows); i++ {
			if partOf(&rows[i]) == part {
				if n < i {
					rows[n], rows[i] = rows[i], rows[n]
				}
				n++
			}
		}
		table, columns := "clicks", clickColumns
		if part.pageViews {
			table, columns = "page_views", pageViewColumns
		}
		if err := insertNative(ctx, s, table, columns, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// clickPart is a table and its partition.
type clickPart struct {
	pageViews bool
	month     int
}

func partOf(r *ClickRow) clickPart {
	t := schemas.ClickID(r.ClickId).Time()
	return clickPart{r.IsPageView(), t.Year()*12 + int(t.Month())}
}
