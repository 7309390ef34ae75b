// Package rolluptest computes clicks_by_day in tests, without the minute for which a day has to be
// quiet.
package rolluptest

import (
	"testing"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/rollup"
)

// Refresh computes every day that changed, as rollup.Refresh would an hour later: it moves what was
// noted an hour into the past.
func Refresh(tb testing.TB, store *clickhouse.Store) {
	tb.Helper()
	for _, statement := range []string{
		// click_days keeps the latest of times, so rows of an hour ago cannot be added to it. No time may
		// get before 1970: from the third execution of a statement the engine compiles max, and compares
		// DateTime64 without a sign (ClickHouse 26.7, pull request 114168 mends it).
		"CREATE TABLE click_days_of_an_hour_ago AS click_days",
		"INSERT INTO click_days_of_an_hour_ago SELECT * REPLACE (" +
			"greatest(changed_at - INTERVAL 1 HOUR, toDateTime64(0, 3)) AS changed_at, " +
			"greatest(computed_at - INTERVAL 1 HOUR, toDateTime64(0, 3)) AS computed_at) FROM click_days FINAL",
		"EXCHANGE TABLES click_days_of_an_hour_ago AND click_days",
		"DROP TABLE click_days_of_an_hour_ago SYNC",
	} {
		if err := store.Exec(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
	if err := rollup.Refresh(tb.Context(), store, time.Unix(0, 0), false); err != nil {
		tb.Fatal(err)
	}
}
