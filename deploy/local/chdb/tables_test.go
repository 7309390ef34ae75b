package chdb_test

import (
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"

	"tributary/deploy/local/chdb/chdbtest"
)

const manyTypes = `CREATE TABLE sale (
	id      FixedString(16),
	version UInt128,
	kind    Enum8('click' = 1, 'sale' = 2),
	country LowCardinality(String),
	maybe   LowCardinality(Nullable(String)),
	amount  Nullable(Decimal(18, 6)),
	at      DateTime64(3, 'UTC'),
	tags    Array(String),
	extra   Map(String, String)
) ENGINE = ReplacingMergeTree(version) ORDER BY id`

// TestTypes inserts 10,000 rows by columns, twice with a newer version for
// some, and reads them back.
func TestTypes(t *testing.T) {
	c := connect(t, chdbtest.Start(t))
	must(t, c.Exec(t.Context(), manyTypes))
	const n = 10_000
	base := time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)
	id := func(i int) string { return fmt.Sprintf("%016d", i) }
	versionOf := func(v int) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 100), big.NewInt(int64(v)))
	}
	insert := func(count, version int) time.Duration {
		started := time.Now()
		batch, err := c.PrepareBatch(t.Context(), "INSERT INTO sale")
		must(t, err)
		var (
			ids, kinds, countries []string
			versions              []*big.Int
			maybes                []*string
			amounts               []*decimal.Decimal
			ats                   []time.Time
			tags                  [][]string
			extras                []map[string]string
		)
		for i := range count {
			ids = append(ids, id(i))
			versions = append(versions, versionOf(version))
			kinds = append(kinds, []string{"click", "sale"}[i%2])
			countries = append(countries, []string{"DE", "FR", "PL"}[i%3])
			var maybe *string
			var amount *decimal.Decimal
			if i%2 == 1 {
				text := fmt.Sprint("m", i%7)
				value := decimal.New(int64(i)*1_000_001, -6)
				maybe, amount = &text, &value
			}
			maybes, amounts = append(maybes, maybe), append(amounts, amount)
			ats = append(ats, base.Add(time.Duration(i)*time.Millisecond))
			tags = append(tags, strings.Fields(strings.Repeat("tag ", i%3)))
			extras = append(extras, map[string]string{"i": fmt.Sprint(i), "v": fmt.Sprint(version)})
		}
		for i, values := range []any{ids, versions, kinds, countries, maybes, amounts, ats, tags, extras} {
			if err := batch.Column(i).Append(values); err != nil {
				t.Fatalf("column %d: %v", i, err)
			}
		}
		must(t, batch.Send())
		return time.Since(started)
	}
	t.Logf("insert of %d rows: %v", n, insert(n, 1))
	insert(n/10, 2)
	if got := number(t, c, "SELECT count() FROM sale FINAL"); got != n {
		t.Fatalf("FINAL gives %d rows, want %d", got, n)
	}
	if got := number(t, c, "SELECT count() FROM sale FINAL WHERE extra['v'] = '2'"); got != n/10 {
		t.Fatalf("%d rows have the newer version, want %d", got, n/10)
	}
	for _, i := range []int{0, 1, n - 1} {
		var (
			gotID, kind, country string
			version              big.Int
			maybe                *string
			amount               *decimal.Decimal
			at                   time.Time
			tags                 []string
			extra                map[string]string
		)
		must(t, c.QueryRow(t.Context(), "SELECT * FROM sale FINAL WHERE id = {id:String}", clickhouse.Named("id", id(i))).
			Scan(&gotID, &version, &kind, &country, &maybe, &amount, &at, &tags, &extra))
		wanted := map[bool]int{true: 2, false: 1}[i < n/10]
		if gotID != id(i) || version.Cmp(versionOf(wanted)) != 0 || !at.Equal(base.Add(time.Duration(i)*time.Millisecond)) ||
			len(tags) != i%3 || !reflect.DeepEqual(extra, map[string]string{"i": fmt.Sprint(i), "v": fmt.Sprint(wanted)}) {
			t.Errorf("row %d: %v %v %v %v %v %v", i, gotID, &version, kind, at, tags, extra)
		}
		if i%2 == 1 && (maybe == nil || amount == nil || !amount.Equal(decimal.New(int64(i)*1_000_001, -6))) || i%2 == 0 &&
			(maybe != nil || amount != nil) {
			t.Errorf("row %d: %v %v", i, maybe, amount)
		}
	}
}

func TestParameters(t *testing.T) {
	c := connect(t, chdbtest.Start(t))
	for _, text := range []string{"plain", "it's", `back\slash`, "tab\tnew\nline", "ünïcode", "", "a&b=c+d%20"} {
		var got string
		must(t, c.QueryRow(t.Context(), "SELECT {x:String}", clickhouse.Named("x", text)).Scan(&got))
		if got != text {
			// clickhouse-go sends the value as it is, and ClickHouse reads
			// parameters as escaped text; a real server answers alike.
			t.Logf("{x:String} of %q gives %q", text, got)
			if !strings.ContainsAny(text, "\\\t\n") {
				t.Errorf("{x:String} of %q gives %q", text, got)
			}
		}
	}
	if got := number(t, c, "SELECT sum(x) FROM (SELECT arrayJoin({list:Array(UInt64)}) AS x)",
		clickhouse.Named("list", "[1,2,39]")); got != 42 {
		t.Errorf("array parameter: %d", got)
	}
	if got := number(t, c, "SELECT count() FROM system.{t:Identifier}", clickhouse.Named("t", "one")); got != 1 {
		t.Errorf("identifier parameter: %d", got)
	}
}

func TestInsertErrors(t *testing.T) {
	dsn := chdbtest.Start(t)
	c := connect(t, dsn)
	ctx := t.Context()
	must(t, c.Exec(ctx, "CREATE TABLE t (a UInt64, s String) ENGINE=MergeTree ORDER BY a"))
	must(t, c.Exec(ctx, "CREATE MATERIALIZED VIEW v ENGINE=MergeTree ORDER BY a AS SELECT a, throwIf(s = 'boom', 'the "+
		"view threw') AS x FROM t"))
	insert := func(s string) error {
		batch, err := c.PrepareBatch(ctx, "INSERT INTO t")
		must(t, err)
		for i := range 100 {
			must(t, batch.Append(uint64(i), s))
		}
		return batch.Send()
	}
	for range 3 {
		if err := insert("boom"); code(err) != 395 || !strings.Contains(err.Error(), "the view threw") {
			t.Fatalf("a view that throws: %v", err)
		}
		must(t, insert("fine"))
	}
	if got := number(t, c, "SELECT count() FROM v"); got != 300 {
		t.Errorf("%d rows in the view, want 300", got)
	}
	in := "database=" + database(dsn) + "&query="
	for query, want := range map[string]string{
		"INSERT+INTO+t+(nope)+FORMAT+TSV":  "16",
		"INSERT+INTO+nope+FORMAT+TSV":      "60",
		"INSERT+INTO+t+FORMAT+NoSuch":      "73",
		"INSERT+INTO+t+(a)+FORMAT+TSV":     "27",
		"INSERT+INTO+t+FORMAT+Native":      "33",
		"INSERT+INTO+t+(a)+FORMAT+Parquet": "",
	} {
		status, answer, header := post(t, in+query, "not a number\n")
		if status == 200 || want != "" && header.Get("X-ClickHouse-Exception-Code") != want {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
	if _, err := c.PrepareBatch(ctx, "INSERT INTO t (nope)"); err == nil {
		t.Error("a batch into a column that is not there")
	}
	// A batch prepared before the table went away fails in the engine.
	batch, err := c.PrepareBatch(ctx, "INSERT INTO t")
	must(t, err)
	must(t, batch.Append(uint64(1), "x"))
	must(t, c.Exec(ctx, "DROP TABLE v"))
	must(t, c.Exec(ctx, "DROP TABLE t"))
	if err := batch.Send(); code(err) != 60 {
		t.Errorf("insert into a dropped table: %v", err)
	}
}

func TestMaterializedView(t *testing.T) {
	c := connect(t, chdbtest.Start(t))
	ctx := t.Context()
	must(t, c.Exec(ctx, "CREATE TABLE src (k UInt64, n UInt64) ENGINE=MergeTree ORDER BY k"))
	must(t, c.Exec(ctx, "CREATE TABLE dst (k UInt64, n UInt64) ENGINE=SummingMergeTree ORDER BY k"))
	must(t, c.Exec(ctx, "CREATE MATERIALIZED VIEW mv TO dst AS SELECT k, n FROM src"))
	for range 5 {
		batch, err := c.PrepareBatch(ctx, "INSERT INTO src")
		must(t, err)
		for i := range 100 {
			must(t, batch.Append(uint64(i%10), uint64(1)))
		}
		must(t, batch.Send())
	}
	if got := number(t, c, "SELECT sum(n) FROM dst"); got != 500 {
		t.Errorf("sum %d, want 500", got)
	}
	if got := number(t, c, "SELECT count() FROM dst FINAL"); got != 10 {
		t.Errorf("%d keys, want 10", got)
	}
}

// TestConcurrency runs inserts, reads and a slow query at once.
func TestConcurrency(t *testing.T) {
	dsn := chdbtest.Start(t)
	c := connect(t, dsn, func(o *clickhouse.Options) { o.MaxOpenConns = 16 })
	ctx := t.Context()
	must(t, c.Exec(ctx, "CREATE TABLE t (a UInt64, s String) ENGINE=MergeTree ORDER BY a"))
	var wait sync.WaitGroup
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		post(t, "max_threads=1", "SELECT sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size=1")
	}()
	const writers, batches, rows = 6, 10, 500
	for w := range writers {
		wait.Go(func() {
			for b := range batches {
				batch, err := c.PrepareBatch(ctx, "INSERT INTO t")
				if err != nil {
					t.Error(err)
					return
				}
				for i := range rows {
					if err := batch.Append(uint64((w*batches+b)*rows+i), "x"); err != nil {
						t.Error(err)
						return
					}
				}
				if err := batch.Send(); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wait.Go(func() {
			for range 20 {
				var n, distinct uint64
				if err := c.QueryRow(ctx, "SELECT count(), uniqExact(a) FROM t").Scan(&n, &distinct); err != nil ||
					n != distinct || n%rows != 0 {
					t.Errorf("%d rows, %d distinct: %v", n, distinct, err)
				}
			}
		})
	}
	wait.Wait()
	if got := number(t, c, "SELECT uniqExact(a) FROM t"); got != writers*batches*rows {
		t.Errorf("%d rows, want %d", got, writers*batches*rows)
	}
	<-slow
}

func BenchmarkInsert10k(b *testing.B) {
	c := connect(b, chdbtest.Start(b))
	must(b, c.Exec(b.Context(), "CREATE TABLE t (a UInt64, s LowCardinality(String), d DateTime64(3,'UTC')) "+
		"ENGINE=MergeTree ORDER BY a"))
	numbers, texts, times := make([]uint64, 10_000), make([]string, 10_000), make([]time.Time, 10_000)
	for i := range numbers {
		numbers[i], texts[i], times[i] = uint64(i), "x", time.Unix(int64(i), 0)
	}
	for b.Loop() {
		batch, err := c.PrepareBatch(b.Context(), "INSERT INTO t")
		must(b, err)
		must(b, batch.Column(0).Append(numbers))
		must(b, batch.Column(1).Append(texts))
		must(b, batch.Column(2).Append(times))
		must(b, batch.Send())
	}
}
