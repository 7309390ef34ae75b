package histories

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/ledger"
)

// recorded are the records of five histories as the programs of commit 4ca0acf wrote them into the
// topics. testdata/4ca0acf/totals.txt is what that commit's processor booked of them: by day, kind,
// currency and affiliate, the number and the sum of the entries in minor units.
func recorded(tb testing.TB) []*kgo.Record {
	tb.Helper()
	file, err := os.Open("testdata/4ca0acf/records.jsonl.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	lines, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	var all []*kgo.Record
	for d := json.NewDecoder(lines); d.More(); {
		r := new(kgo.Record)
		if err := d.Decode(r); err != nil {
			tb.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// bookRecorded lets the handlers book records, in batches.
func bookRecorded(tb testing.TB, all []*kgo.Record) *processor {
	tb.Helper()
	h := newProcessor(tb, rates(), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC))
	for chunk := range slices.Chunk(all, 500) {
		if err := h.feed(chunk); err != nil {
			tb.Fatal(err)
		}
	}
	return h
}

// The topics of the first build give what it booked.
func TestTopicsOfTheFirstBuild(t *testing.T) {
	want, err := os.ReadFile("testdata/4ca0acf/totals.txt")
	if err != nil {
		t.Fatal(err)
	}
	type total struct{ n, amount int64 }
	totals := make(map[string]total)
	for _, e := range bookRecorded(t, recorded(t)).Ledger() {
		if e.Amount != 0 && e.Status == ledger.Booked {
			of := strings.Join([]string{e.OccurredAt.UTC().Format(time.DateOnly), e.Kind, e.Currency, e.Click.AffiliateID}, " ")
			totals[of] = total{totals[of].n + 1, totals[of].amount + e.Amount}
		}
	}
	var lines []string
	for of, sum := range totals {
		lines = append(lines, fmt.Sprintf("%s %d %d\n", of, sum.n, sum.amount))
	}
	slices.Sort(lines)
	if got := strings.Join(lines, ""); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// BenchmarkRecorded books the records of the first build, whose own handlers can be measured with
// the same input: deploy/bench/handlers.sh.
func BenchmarkRecorded(b *testing.B) {
	all := recorded(b)
	for b.Loop() {
		bookRecorded(b, all)
	}
}
