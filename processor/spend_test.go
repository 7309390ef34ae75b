package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"tributary/sql/sqltest"
)

// A file that is loaded again, and one with other amounts, replace what was loaded before; a file
// with a fault is not loaded in part.
func TestSpendCommand(t *testing.T) {
	dsn, db := sqltest.Open(t)
	load := func(content string) error {
		file := filepath.Join(t.TempDir(), "costs.csv")
		if err := os.WriteFile(file, []byte("day,channel,utm_campaign,currency,amount\n"+content), 0o600); err != nil {
			t.Fatal(err)
		}
		return execute(t.Context(), []string{"spend", file, "--clickhouse-dsn", dsn}, io.Discard, io.Discard)
	}
	const january = "2026-01-01,paid_search,brand,EUR,120.50\n2026-01-01,,,usd,0.1\n"
	for _, content := range []string{january, january, "2026-01-01,,,usd,0.2\n"} {
		if err := load(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := load("2026-01-02,,,usd,7\n2026-01-02,,,usd,7;50\n"); err == nil {
		t.Error("a file with a fault is loaded")
	}
	var got string
	err := db.QueryRowContext(t.Context(), `SELECT toString(arraySort(groupArray((toString(day), utm_campaign, currency, amount))))
		FROM spend FINAL WHERE workspace = 'default'`).Scan(&got)
	if want := "[('2026-01-01','','usd',0.2),('2026-01-01','brand','eur',120.5)]"; err != nil || got != want {
		t.Errorf("stored is %s, %v; want %s", got, err, want)
	}
}
