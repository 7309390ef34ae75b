package sql_test

import (
	"fmt"
	"strings"
	"testing"

	"tributary/sql"
	"tributary/sql/sqltest"
)

// A server that lags behind other replicas computes no lists, and asks none: it does not know what
// was written. The engine replicates nothing, so a table says how far each table lags.
func TestFirstSalesOfServerThatLags(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	lagging := strings.NewReplacer("system.replicas", "lags")
	ask(t, dsn, "CREATE TABLE lags (database String, table String, absolute_delay UInt64) ENGINE = MergeTree ORDER BY table", nil)
	ask(t, dsn, "INSERT INTO payments_written (workspace, livemode, written_at, day, entry_id) "+
		"SELECT 'shop', true, now64(3), today(), unhex('01')", nil)
	values := map[string]string{"workspace": "shop", "livemode": "true"}
	lag := func(table, seconds string) {
		ask(t, dsn, "TRUNCATE TABLE lags", nil)
		ask(t, dsn, "INSERT INTO lags SELECT currentDatabase(), '"+table+"', "+seconds, nil)
	}
	listed := func() string {
		_, ok, err := sql.LookUpFirstSales(func(statement string) ([]string, error) {
			rows := strings.Split(strings.TrimSuffix(ask(t, dsn, lagging.Replace(statement), values), "\n"), "\n")
			if strings.HasPrefix(rows[0], "none 0 ") && rows[0] != "none 0 " {
				t.Errorf("what was written is read without lists: %s", rows[0])
			}
			return rows, nil
		})
		return fmt.Sprint(ok, err)
	}
	for _, c := range []struct{ table, seconds, slices string }{
		{"revenue", "61", "0"}, {"payments_written", "61", "0"}, {"ledger", "1900000000", "0"},
		{"revenue", "60", "16"}, {"clicks", "1000", "16"},
	} {
		ask(t, dsn, "TRUNCATE TABLE first_sales", nil)
		lag(c.table, c.seconds)
		at := strings.TrimSpace(ask(t, dsn, "SELECT now64(3, 'UTC')", nil))
		ask(t, dsn, lagging.Replace(sql.ComputeFirstSales), map[string]string{
			"workspace": "shop", "livemode": "true", "computed_at": at})
		slices := strings.TrimSpace(ask(t, dsn, "SELECT count() FROM first_sales", nil))
		if slices != c.slices {
			t.Errorf("%s lags by %s s: %s slices were computed, want %s", c.table, c.seconds, slices, c.slices)
		}
		if want := map[string]string{"0": "false <nil>", "16": "true <nil>"}[c.slices]; listed() != want {
			t.Errorf("%s lags by %s s: what the lookup finds is %s, want %s", c.table, c.seconds, listed(), want)
		}
	}
	if lag("revenue", "61"); listed() != "false <nil>" {
		t.Errorf("a server that lags reads lists: %s", listed())
	}
}
