package retention_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/clickhouse"
	"tributary/processor/enrich"
	"tributary/processor/retention"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

const day = 24 * time.Hour

// row is a click or a page view of a workspace, received some time ago, with everything that can be
// emptied.
func row(workspace, trigger string, n byte, ago time.Duration) clickhouse.ClickRow {
	at := time.Now().Add(-ago)
	id := schemas.ClickIDOf(at, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, n})
	return clickhouse.ClickRow{
		Click: &schemas.Click{
			Workspace: workspace, ClickId: id[:], ClickedAt: at.UnixMilli(), ReceivedAt: at.UnixMilli(), Trigger: trigger,
			AffiliateId: "ann", VisitorId: "v", IdentityHash: []byte("12345678"), Url: "https://shop.example/p?gclid=g",
			Referrer: "https://x.example/q", UserAgent: "Firefox", Country: "DE", Region: "BE", City: "Berlin",
			Properties: map[string]string{"plan": "pro"},
		},
		URL: enrich.URL("https://shop.example/p?gclid=g&utm_campaign=c&utm_term=t&utm_content=n"), Channel: "affiliate",
		Agent: enrich.Agent{Browser: "Firefox", BrowserVersion: "140", OS: "Linux", OSVersion: "6", Device: "desktop"},
	}
}

func TestApply(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const odd = "o'd`d\\?"
	var rows []clickhouse.ClickRow
	for i, workspace := range []string{"acme", odd, "zen"} {
		for _, trigger := range []string{"link", "pageview"} {
			rows = append(rows, row(workspace, trigger, byte(10*i+1), 89*day), row(workspace, trigger, byte(10*i+2), 91*day))
		}
	}
	if err := store.InsertClicks(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO leads (workspace, lead_id, received_at, external_id, metadata) SELECT workspace, toString(days), " +
			"now64(3) - INTERVAL days DAY, 'user', map('plan', 'pro') FROM (SELECT arrayJoin(['acme', 'zen']) AS workspace, " +
			"arrayJoin([89, 91]) AS days)",
		"INSERT INTO dead_letters (at, topic, offset, error, key, headers, body) SELECT now64(3) - INTERVAL days DAY, topic, " +
			"days, 'e', 'k', map('h', 'v'), 'b' FROM (SELECT arrayJoin(['clicks.v1', 'stripe.v1']) AS topic, " +
			"arrayJoin([79, 81]) AS days)",
	} {
		if err := store.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	apply := func(want []string, workspaces ...schemas.Workspace) {
		t.Helper()
		changed, err := retention.Apply(t.Context(), store, workspaces)
		if err != nil || !slices.Equal(changed, want) {
			t.Errorf("%v: changed %v, %v; want %v", workspaces, changed, err, want)
		}
		if differs, err := retention.Differs(t.Context(), store, workspaces); differs || err != nil {
			t.Errorf("%v: after Apply they differ: %t, %v", workspaces, differs, err)
		}
	}
	full := func(table, group, at string) (list []string) {
		t.Helper()
		var kept []string
		for _, column := range retention.Columns[table] {
			kept = append(kept, "("+column+" != defaultValueOfArgumentType("+column+"))")
		}
		err := store.Each(t.Context(), func(rows driver.Rows) error {
			var workspace string
			var age int64
			var columns uint64
			err := rows.Scan(&workspace, &age, &columns)
			list = append(list, fmt.Sprintf("%s %d: %d of %d", workspace, age, columns, len(kept)))
			return err
		}, fmt.Sprintf("SELECT toString(%s) AS name, age('day', %s, now64(3)) AS age, toUInt64(%s) FROM %s FINAL "+
			"ORDER BY name, age", group, at, strings.Join(kept, " + "), table))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	all := []string{"clicks", "dead_letters", "leads", "page_views"}
	apply(nil, schemas.Workspace{ID: "acme"})
	apply(all, schemas.Workspace{ID: "acme", RetentionDays: 90}, schemas.Workspace{ID: odd, RetentionDays: 80},
		schemas.Workspace{ID: "zen"})
	apply(nil, schemas.Workspace{ID: "zen"}, schemas.Workspace{ID: odd, RetentionDays: 80},
		schemas.Workspace{ID: "acme", RetentionDays: 90})
	for _, table := range []string{"clicks", "page_views"} {
		n := len(retention.Columns[table])
		want := []string{fmt.Sprintf("acme 89: %d of %d", n, n), fmt.Sprintf("acme 91: 0 of %d", n),
			fmt.Sprintf("%s 89: 0 of %d", odd, n), fmt.Sprintf("%s 91: 0 of %d", odd, n),
			fmt.Sprintf("zen 89: %d of %d", n, n), fmt.Sprintf("zen 91: %d of %d", n, n)}
		if got := full(table, "workspace", "received_at"); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", table, got, want)
		}
	}
	if got := full("leads", "workspace", "received_at"); !slices.Equal(got,
		[]string{"acme 89: 1 of 1", "acme 91: 0 of 1", "zen 89: 1 of 1", "zen 91: 1 of 1"}) {
		t.Errorf("leads: %q", got)
	}
	// Whose a dead letter is nobody knows: the shortest time holds. What may be money stays.
	if got := full("dead_letters", "topic", "at"); !slices.Equal(got, []string{"clicks.v1 79: 4 of 4",
		"clicks.v1 81: 0 of 4", "stripe.v1 79: 4 of 4", "stripe.v1 81: 4 of 4"}) {
		t.Errorf("dead letters: %q", got)
	}
	apply(all, schemas.Workspace{ID: "acme", RetentionDays: 3650})
	apply(all, schemas.Workspace{ID: "acme"})
	apply(nil)
}

// A day is whole on which ClickHouse has emptied nothing yet, also by a clock that is an hour fast.
func TestWhole(t *testing.T) {
	for _, c := range []struct {
		days      int
		now, want string
	}{
		{0, "2026-11-28T12:00:00Z", "1970-01-01"},
		{30, "2026-11-28T00:00:00Z", "2026-10-30"},
		{30, "2026-11-28T22:59:59Z", "2026-10-30"},
		{30, "2026-11-28T23:30:00Z", "2026-10-31"},
		{30, "2026-11-29T01:30:00+02:00", "2026-10-31"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := retention.Whole(c.days, now).Format(time.DateOnly); got != c.want {
			t.Errorf("%d days, %s: %s, want %s", c.days, c.now, got, c.want)
		}
	}
}
