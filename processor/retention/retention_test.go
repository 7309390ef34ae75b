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
	full := func(table string) (list []string) {
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
		}, "SELECT toString(workspace), dateDiff('day', received_at, now64(3)) AS age, toUInt64("+strings.Join(kept, " + ")+
			") FROM "+table+" FINAL WHERE country = 'DE' AND host = 'shop.example' AND device = 'desktop' ORDER "+
			"BY workspace, age")
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	both := []string{"clicks", "page_views"}
	apply(nil, schemas.Workspace{ID: "acme"})
	apply(both, schemas.Workspace{ID: "acme", RetentionDays: 90}, schemas.Workspace{ID: odd, RetentionDays: 80},
		schemas.Workspace{ID: "zen"})
	apply(nil, schemas.Workspace{ID: "zen"}, schemas.Workspace{ID: odd, RetentionDays: 80},
		schemas.Workspace{ID: "acme", RetentionDays: 90})
	for _, table := range both {
		n := len(retention.Columns[table])
		want := []string{fmt.Sprintf("acme 89: %d of %d", n, n), fmt.Sprintf("acme 91: 0 of %d", n),
			fmt.Sprintf("%s 89: 0 of %d", odd, n), fmt.Sprintf("%s 91: 0 of %d", odd, n),
			fmt.Sprintf("zen 89: %d of %d", n, n), fmt.Sprintf("zen 91: %d of %d", n, n)}
		if got := full(table); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", table, got, want)
		}
	}
	apply(both, schemas.Workspace{ID: "acme", RetentionDays: 3650})
	apply(both, schemas.Workspace{ID: "acme"})
	apply(nil)
}
