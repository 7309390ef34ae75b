package sql

import (
	"errors"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateLayouts = flag.Bool("update-layouts", false, "rewrite testdata/layouts")

var (
	onCluster  = Layout{Kind: Cluster, Database: "tributary", Cluster: "main"}
	replicated = Layout{Kind: ReplicatedDatabase, Database: "tributary"}
)

// The migrations in each layout: of every statement its first line, and the line of its engine. A
// migration for which there is no rule fails here.
func TestMigrationsInLayouts(t *testing.T) {
	for file, layout := range map[string]Layout{"cluster": onCluster, "replicated": replicated} {
		text, err := layout.Print()
		if err != nil {
			t.Fatal(err)
		}
		path := "testdata/layouts/" + file + ".golden.sql"
		if *updateLayouts {
			if err := os.WriteFile(path, []byte(heads(text)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := heads(text); got != string(want) {
			t.Errorf("%s differs; if the change is meant, run go test ./sql -run Layouts -update-layouts\n%s", path, got)
		}
	}
	single, err := Layout{Kind: Single}.Print()
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := Layout{Kind: Cloud, Database: "default"}.Print()
	waits := regexp.MustCompile("(?m)^SYSTEM SYNC REPLICA `default`.\\w+ LIGHTWEIGHT;\n\n")
	if n := len(waits.FindAllString(cloud, -1)); n < 10 {
		t.Errorf("ClickHouse Cloud waits %d times for rows that migrations copy", n)
	}
	if err != nil || !slices.Equal(split(waits.ReplaceAllString(cloud, "")), split(single)) ||
		strings.Contains(single, "Replicated") || strings.Contains(single, "CLUSTER") {
		t.Errorf("a single server and ClickHouse Cloud do not execute the migrations as they are written (%v)", err)
	}
}

var comment = regexp.MustCompile(` COMMENT '.*`)

func heads(text string) string {
	var out strings.Builder
	first := true
	for line := range strings.Lines(text) {
		blank := strings.TrimSpace(line) == ""
		if !blank && (first || strings.HasPrefix(line, "ENGINE") || strings.HasPrefix(line, "-- ")) {
			out.WriteString(strings.TrimRight(comment.ReplaceAllString(strings.TrimSpace(line), ""), ";") + "\n")
		}
		first = blank || strings.HasPrefix(line, "-- ")
	}
	return out.String()
}

func TestRender(t *testing.T) {
	for _, c := range []struct {
		layout    Layout
		statement string
		want      []string
	}{
		{onCluster, "CREATE TABLE IF NOT EXISTS t (a String COMMENT 'ENGINE = MergeTree; FROM clicks') ENGINE = " +
			"ReplacingMergeTree(v, d) ORDER BY a", []string{
			"CREATE TABLE IF NOT EXISTS t ON CLUSTER `main` (a String COMMENT 'ENGINE = MergeTree; FROM clicks') ENGINE = " +
				"ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}', '{shard}-{replica}', v, d) ORDER BY a",
		}},
		{replicated, "CREATE TABLE t (a String) ENGINE = AggregatingMergeTree ORDER BY a", []string{
			"CREATE TABLE t (a String) ENGINE = ReplicatedAggregatingMergeTree ORDER BY a",
		}},
		{onCluster, "CREATE TABLE page_views_rebuilt AS page_views", []string{
			"CREATE TABLE page_views_rebuilt_local ON CLUSTER `main` AS page_views_local",
			"CREATE OR REPLACE TABLE page_views_rebuilt ON CLUSTER `main` AS page_views_rebuilt_local\nENGINE = " +
				"Distributed('main', 'tributary', 'page_views_rebuilt_local', cityHash64(page_view_id))",
		}},
		{onCluster, "ALTER TABLE clicks DELETE WHERE url LIKE '%MODIFY COLUMN%'", []string{
			"ALTER TABLE clicks_local ON CLUSTER `main` DELETE WHERE url LIKE '%MODIFY COLUMN%'",
		}},
		{onCluster, "ALTER TABLE clicks ATTACH PARTITION ALL FROM clicks_0017", []string{
			"ALTER TABLE clicks_local ON CLUSTER `main` ATTACH PARTITION ALL FROM clicks_0017_local",
		}},
		{onCluster, "ALTER TABLE ledger DELETE WHERE true", []string{"ALTER TABLE ledger DELETE WHERE true"}},
		{onCluster, "ALTER TABLE ledger MODIFY SETTING fsync_after_insert = 1", []string{
			"ALTER TABLE ledger ON CLUSTER `main` MODIFY SETTING fsync_after_insert = 1",
		}},
		{onCluster, "EXCHANGE TABLES `ledger` AND `shadow`.`ledger`", []string{
			"EXCHANGE TABLES `ledger` AND `shadow`.`ledger` ON CLUSTER `main`",
		}},
		{onCluster, "EXCHANGE TABLES `clicks` AND `shadow`.`clicks`", []string{
			"EXCHANGE TABLES `clicks_local` AND `shadow`.`clicks_local` ON CLUSTER `main`",
			"CREATE OR REPLACE TABLE `clicks` ON CLUSTER `main` AS `clicks_local`\nENGINE = Distributed('main', 'tributary', " +
				"'clicks_local', cityHash64(click_id))",
			"CREATE OR REPLACE TABLE `shadow`.`clicks` ON CLUSTER `main` AS `shadow`.`clicks_local`\nENGINE = " +
				"Distributed('main', 'shadow', 'clicks_local', cityHash64(click_id))",
		}},
		{onCluster, "DROP TABLE clicks_0017 SETTINGS max_table_size_to_drop = 0", []string{
			"DROP TABLE clicks_0017 ON CLUSTER `main` SETTINGS max_table_size_to_drop = 0",
			"DROP TABLE clicks_0017_local ON CLUSTER `main` SETTINGS max_table_size_to_drop = 0",
		}},
		{onCluster, "INSERT INTO clicks SELECT * FROM clicks_0017 WHERE _part IN (SELECT name FROM system.parts WHERE " +
			"table = 'clicks_0017')", []string{
			"INSERT INTO clicks SELECT * FROM clicks_0017 WHERE _part IN (SELECT name FROM system.parts WHERE table = " +
				"'clicks_0017_local')",
		}},
		{onCluster, "CREATE MATERIALIZED VIEW m_mv TO m AS SELECT 'FROM clicks' FROM clicks", []string{
			"CREATE MATERIALIZED VIEW m_mv ON CLUSTER `main` TO m AS SELECT 'FROM clicks' FROM clicks_local",
		}},
		{onCluster, "CREATE VIEW v AS SELECT * FROM numbers(2) JOIN activity(a = 2) ARRAY JOIN range(3) AS r", []string{
			"CREATE VIEW v ON CLUSTER `main` AS SELECT * FROM numbers(2) JOIN `tributary`.activity(a = 2) ARRAY " +
				"JOIN range(3) AS r",
		}},
		{onCluster, "DROP DATABASE IF EXISTS `shadow`", []string{"DROP DATABASE IF EXISTS `shadow` ON CLUSTER `main`"}},
	} {
		got, err := c.layout.Render(c.statement)
		if err != nil || strings.Join(got, ";\n") != strings.Join(c.want, ";\n") {
			t.Errorf("%s\nis %v\n%s\nwant\n%s", c.statement, err, strings.Join(got, ";\n"), strings.Join(c.want, ";\n"))
		}
	}
}

// What would be executed on one server of several is refused.
func TestNotRendered(t *testing.T) {
	for _, statement := range []string{
		"CREATE TABLE t (a String)",
		"CREATE TABLE t (a String) ENGINE = Memory",
		"CREATE TABLE t (a String COMMENT 'ENGINE = MergeTree')",
		"CREATE TABLE some_clicks AS clicks",
		"CREATE MATERIALIZED VIEW v TO t AS SELECT 1",
		"CREATE MATERIALIZED VIEW t_mv ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a",
		"CREATE MATERIALIZED VIEW clicks_mv TO clicks AS SELECT 1",
		"CREATE DICTIONARY d (a String) PRIMARY KEY a",
		"EXCHANGE TABLES clicks AND some",
		"RENAME TABLE a TO b",
		"DELETE FROM ledger WHERE true",
		"SYSTEM STOP MERGES",
	} {
		if got, err := onCluster.Render(statement); !errors.Is(err, ErrNotRendered) {
			t.Errorf("%s is %q, %v", statement, got, err)
		}
	}
	if _, err := replicated.Render("EXCHANGE TABLES ledger AND shadow.ledger"); !errors.Is(err, ErrNotRendered) {
		t.Errorf("a Replicated database exchanges tables with another one: %v", err)
	}
}

func TestLayout(t *testing.T) {
	const money, clicks = "ReplacingMergeTree(version) ORDER BY x",
		"Distributed('main', 'tributary', 'clicks_local', cityHash64(click_id))"
	fit := seen{databaseEngine: "Atomic", shard: "1", replica: "a", keeper: true, hosts: 4, others: "main"}
	with := func(change func(*seen)) seen {
		s := fit
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		seen    seen
		cluster string
		kind    Kind
		refused string // in the error
	}{
		"one server":                     {seen{databaseEngine: "Atomic"}, "", Single, ""},
		"its tables, later on a cluster": {with(func(s *seen) { s.ledger = money }), "", Single, ""},
		"empty, on a cluster, no flag":   {fit, "", "", "(hint: migrate --cluster NAME)"},
		"empty, on a cluster":            {fit, "main", Cluster, ""},
		"laid out before":                {with(func(s *seen) { s.clicks = clicks }), "", Cluster, ""},
		"laid out on another":            {with(func(s *seen) { s.clicks = clicks }), "other", "", "leave --cluster out"},
		"tables of a single server":      {with(func(s *seen) { s.ledger = money }), "main", "", "migrate a new database"},
		"no such cluster":                {with(func(s *seen) { s.hosts = 0 }), "main", "", "there is no cluster main"},
		"no macros":                      {with(func(s *seen) { s.replica = "" }), "main", "", "<macros>"},
		"no Keeper":                      {with(func(s *seen) { s.keeper = false }), "main", "", "<zookeeper>"},
		"replicas not internal":          {with(func(s *seen) { s.unreplicated = 1 }), "main", "", "<internal_replication>"},
		"Replicated": {seen{databaseEngine: "Replicated", replicatedShards: 1, others: "x"}, "",
			ReplicatedDatabase, ""},
		"Replicated, two shards":    {seen{databaseEngine: "Replicated", replicatedShards: 2}, "", "", "2 shards"},
		"Replicated, local ledger":  {seen{databaseEngine: "Replicated", ledger: money}, "", "", "does not replicate"},
		"Replicated, and a cluster": {seen{databaseEngine: "Replicated"}, "main", "", "leave --cluster out"},
		"Cloud":                     {seen{databaseEngine: "Replicated", cloud: "1", others: "default"}, "", Cloud, ""},
		"Cloud, and a cluster":      {seen{databaseEngine: "Shared", cloud: "1"}, "default", "", "leave --cluster out"},
	} {
		got, err := c.seen.layout(c.cluster)
		if c.refused == "" && (err != nil || got.Kind != c.kind) || c.refused != "" &&
			(err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %q, %v", name, got.Kind, err)
		}
	}
}
