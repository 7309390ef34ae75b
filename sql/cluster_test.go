package sql_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/deploy/race"
	"tributary/sql"
)

// What stands between a statement for a cluster and one for the embedded engine, which has neither
// a queue for ON CLUSTER nor replication.
var (
	onCluster     = regexp.MustCompile(" ON CLUSTER `" + chdbtest.Cluster + "`")
	replicatedAs  = regexp.MustCompile(`Replicated(\w+)\('[^']*', '[^']*'(?:, )?`)
	ofMigration   = regexp.MustCompile(`(?m)^-- .*\n`)
	intoSharded   = regexp.MustCompile(`^INSERT INTO (?:clicks|page_views)`)
	notReplicated = "$1("
)

// The migrations as a cluster executes them, and then every question, on an engine that knows a
// cluster of two shards. Of shards that do not answer it reads nothing; what a cluster refuses when
// it analyses a statement, like a join of two sharded tables, is refused here.
func TestClusterLayout(t *testing.T) {
	dsn := chdbtest.Start(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	layout := sql.Layout{Kind: sql.Cluster, Cluster: chdbtest.Cluster, Database: strings.TrimPrefix(u.Path, "/")}
	dsn += "?skip_unavailable_shards=1&distributed_product_mode=" + fmt.Sprint(sql.Settings()["distributed_product_mode"])
	text, err := layout.Print()
	if err != nil {
		t.Fatal(err)
	}
	// No table here is replicated.
	for _, sync := range regexp.MustCompile(`(?m)^SYSTEM .*\n\n`).FindAllString(text, -1) {
		statement := strings.TrimSuffix(sync, ";\n\n")
		got := strings.Join(column(t, dsn, "SELECT formatQuerySingleLine('"+statement+"')"), " ")
		if got != strings.ReplaceAll(statement, "`", "") {
			t.Errorf("%s is read as %s", statement, got)
		}
		text = strings.Replace(text, sync, "", 1)
	}
	text = replicatedAs.ReplaceAllString(onCluster.ReplaceAllString(ofMigration.ReplaceAllString(text, ""), ""),
		notReplicated)
	for statement := range strings.SplitSeq(text, ";\n\n") {
		statement = strings.TrimSpace(statement)
		if statement == "" || intoSharded.MatchString(statement) { // no shard takes rows
			continue
		}
		ask(t, dsn, statement, nil)
	}
	differing := column(t, dsn, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table IN "+
		"('clicks', 'clicks_local') "+
		"GROUP BY name HAVING count() != 2 OR uniqExact(type, comment, default_expression) != 1")
	if len(differing) > 0 {
		t.Errorf("clicks and clicks_local differ in %v", differing)
	}
	questions, err := sql.Questions()
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range questions {
		if race.Enabled && i%6 != 0 {
			continue
		}
		ask(t, dsn, q.Text+"FORMAT Null", parameters(q))
	}
	if len(questions) < 10 || !slices.Contains(column(t, dsn,
		"SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'clicks'"), "Distributed") {
		t.Error("nothing was asked of a Distributed table")
	}
}
