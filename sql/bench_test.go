package sql_test

import "testing"

// BenchmarkTotals asks for the totals of 90 days with a million clicks, of which every tenth repeats
// the one before it of the same visitor and link.
func BenchmarkTotals(b *testing.B) {
	dsn, _ := migrated(b)
	ask(b, dsn, `INSERT INTO clicks_by_visitor
		SELECT 'shop', toStartOfHour(at), sipHash64(number - (number % 10 = 9)), at, toString(number % 200),
			toString(number % 500), 'spring'
		FROM (SELECT number, toDateTime64('2050-03-12 00:00:00', 3, 'UTC') + number * 7.7 AS at FROM numbers(1000000))
		SETTINGS max_partitions_per_insert_block = 0`, nil)
	text := question(b, "totals").Text + "FORMAT TSV"
	for b.Loop() {
		ask(b, dsn, text, map[string]string{
			"workspace": "shop", "livemode": "true", "from": "2050-03-12 00:00:00", "to": "2050-06-12 00:00:00",
		})
	}
}
