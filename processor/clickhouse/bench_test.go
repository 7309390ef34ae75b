package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/enrich"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

// BenchmarkInsertClicks compares loading clicks through the Store with posting the same rows to the
// engine as ready-made Native bytes, in turn, in one run: the second is what no loader can beat.
// The ratio is the figure to quote.
func BenchmarkInsertClicks(b *testing.B) {
	dsn, _ := sqltest.Open(b)
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		b.Fatal(err)
	}
	store, err := Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()

	const n = 10_000
	rows := make([]ClickRow, n)
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for i := range rows {
		moment := at.Add(time.Duration(i) * time.Millisecond)
		id := schemas.NewClickID(moment)
		c := &schemas.Click{
			Workspace: "default", ClickId: id[:], ClickedAt: moment.UnixMilli(), ReceivedAt: moment.UnixMilli() + 20,
			LinkId:      fmt.Sprintf("link_%d", i%50),
			AffiliateId: fmt.Sprintf("aff_%d", i%200), VisitorId: fmt.Sprintf("v%d", i),
			Url:       fmt.Sprintf("https://shop.example/p/%d?utm_source=news&utm_campaign=c%d", i%1000, i%20),
			UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Country: "DE",
			Trigger: "link",
		}
		rows[i] = ClickRow{Click: c, URL: enrich.URL(c.Url), Agent: enrich.BuiltinAgents().Read(c.UserAgent, c.Vouched,
			c.Trigger), Channel: "email"}
	}
	ctx := context.Background()
	if err := store.InsertClicks(ctx, rows); err != nil {
		b.Fatal(err)
	}
	post := func(query string, body io.Reader) []byte {
		res, err := http.Post(chdbtest.Address(b)+"/?async_insert=0&database="+url.QueryEscape(options.Auth.Database)+
			"&query="+url.QueryEscape(query), "", body)
		if err != nil {
			b.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatalf("%d %s %v", res.StatusCode, answer, err)
		}
		return answer
	}
	native := post("SELECT * FROM clicks FORMAT Native", nil)

	var ours, floor time.Duration
	for b.Loop() {
		start := time.Now()
		if err := store.InsertClicks(ctx, rows); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		post("INSERT INTO clicks FORMAT Native", bytes.NewReader(native))
		ours, floor = ours+middle.Sub(start), floor+time.Since(middle)
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N)/n, "ns/row")
	b.ReportMetric(float64(floor.Nanoseconds())/float64(b.N)/n, "native-ns/row")
	b.ReportMetric(float64(ours)/float64(floor), "x-native")
}
