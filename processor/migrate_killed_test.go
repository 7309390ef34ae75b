//go:build proof

package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
)

// A migration of a database with rows is killed after each of its statements, and run again each
// time: it comes to its end with the tables and the rows of one that nobody killed.
func TestMigrateKilled(t *testing.T) {
	t.Parallel()
	old := func() string {
		dsn := chdbtest.Start(t)
		options, err := clickhousego.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		migrateTo(t, clickhousego.OpenDB(options), upgradeFrom)
		fillOld(t, dsn)
		return dsn
	}
	want := old()
	if err := migrate(t.Context(), want, sql.Layout{}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	dsn := old()
	limit := chdbtest.NewLimit(t, dsn)
	kills := 0
	for n, before := 1, appliedMigrations(t, dsn); ; n++ {
		ctx, survived := limit.Allow(t.Context(), n)
		err := migrate(ctx, limit.DSN, sql.Layout{}, func(string) {})
		if survived() {
			if err != nil {
				t.Fatalf("after %d kills: %v", kills, err)
			}
			break
		}
		kills++
		if after := appliedMigrations(t, dsn); after != before {
			n, before = 0, after // the next one, from its first statement on
		}
	}
	if kills < 30 {
		t.Errorf("only %d kills", kills)
	}
	got, reference := contents(t, dsn), contents(t, want)
	for table := range maps.Keys(reference) {
		if got[table] != reference[table] {
			t.Errorf("after %d kills %s is\n%s\nand should be\n%s", kills, table, got[table], reference[table])
		}
	}
	if len(got) != len(reference) {
		t.Errorf("after %d kills there are the tables %v, and should be %v", kills, slices.Sorted(maps.Keys(got)),
			slices.Sorted(maps.Keys(reference)))
	}
}

func appliedMigrations(t *testing.T, dsn string) string {
	t.Helper()
	return askHTTP(t, dsn, "SELECT max(version_id) FROM "+sql.VersionTable, nil)
}

// contents returns of each table and view how it is made, and how many rows it has with which
// contents.
func contents(t *testing.T, dsn string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	tables := askHTTP(t, dsn, "SELECT name, engine LIKE '%MergeTree', replaceAll(create_table_query, "+
		"currentDatabase(), '') "+
		"FROM system.tables WHERE database = currentDatabase() AND name != '"+sql.VersionTable+"' ORDER BY name FORMAT TSV",
		nil)
	for line := range strings.Lines(tables) {
		fields := strings.SplitN(strings.TrimSpace(line), "\t", 3)
		name, rows := fields[0], ""
		if fields[1] == "1" {
			rows = askHTTP(t, dsn, "SELECT count(), groupBitXor(cityHash64(toString(tuple(* EXCEPT('^(since|changed_at)$'"+
				"))))) FROM `"+name+"` SETTINGS final = 1", nil)
		}
		all[name] = rows + fields[2]
	}
	return all
}
