package retention

import (
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
	"tributary/schemas"
	"tributary/sql"
)

// alone makes a statement for the servers of a cluster one for the embedded engine, which has neither
// a queue for ON CLUSTER nor replication.
func alone(statement string) string {
	statement = strings.ReplaceAll(statement, " ON CLUSTER `"+chdbtest.Cluster+"`", "")
	return regexp.MustCompile(`Replicated(\w+)\('[^']*', '[^']*'(?:, )?`).ReplaceAllString(statement, "$1(")
}

// On a cluster the columns of clicks are emptied where the rows are, and a second run finds that they
// are: the Distributed table above them has no TTL.
func TestStatementsOnCluster(t *testing.T) {
	dsn := chdbtest.Start(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	options, err := clickhouse.Options(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	execute := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := db.ExecContext(t.Context(), alone(statement)); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	layout := sql.Layout{Kind: sql.Cluster, Cluster: chdbtest.Cluster, Database: strings.TrimPrefix(u.Path, "/")}
	text, err := layout.Print()
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^-- .*\n`).ReplaceAllString(text, "")
	for statement := range strings.SplitSeq(text, ";\n\n") {
		switch verb, _, _ := strings.Cut(strings.TrimSpace(statement), " "); verb {
		case "", "INSERT", "SYSTEM": // there are no rows, no shard takes any, and no replica is waited for
		default:
			execute(strings.TrimSpace(statement))
		}
	}
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, days := range []int{90, 30, 0} {
		workspaces := []schemas.Workspace{{ID: "acme", RetentionDays: days}}
		changes, err := statements(t.Context(), store, workspaces)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) != len(Columns) {
			t.Errorf("%d days change the tables %v, want all of %v", days, changes, Columns)
		}
		for _, change := range changes {
			rendered, err := layout.Render(change)
			if err != nil {
				t.Fatal(err)
			}
			execute(rendered...)
		}
		if differs, err := Differs(t.Context(), store, workspaces); err != nil || differs {
			t.Errorf("%d days are in force, and a second run changes something: %t, %v", days, differs, err)
		}
	}
}
