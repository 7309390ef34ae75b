package clickhouse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tributary/schemas"
)

// manyClicks returns clicks that make every kind of column long and short: dictionaries of one
// value, of more than 256 and of more than 65,536, and maps with and without pairs.
func manyClicks(n int) []ClickRow {
	rows := make([]ClickRow, n)
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for i := range rows {
		moment := at.Add(time.Duration(i) * time.Millisecond)
		id := schemas.NewClickID(moment)
		c := &schemas.Click{
			Workspace: "default", ClickId: id[:], ClickedAt: moment.UnixMilli(), ReceivedAt: moment.UnixMilli() + 20,
			AffiliateId: fmt.Sprint("aff_", i%200), Url: "https://shop.example/" + strings.Repeat("ä", i%200),
			UserAgent: fmt.Sprint("agent ", i), City: fmt.Sprint("city ", i%300), Vouched: i%2 == 0,
			Consent: []string{"", "granted", "denied"}[i%3],
		}
		if i%5 == 0 {
			c.IdentityHash = id[8:]
			c.Properties = map[string]string{"plan": "pro", fmt.Sprint("seats ", i%7): fmt.Sprint(i)}
		}
		if i%11 == 0 {
			c.Trigger = triggerPageView
		}
		rows[i] = ClickRow{Click: c, Channel: "email"}
		rows[i].Agent.Bot = i%3 == 0
	}
	return rows
}

// What is encoded here and what the driver encodes are the same rows.
func TestNativeBlockEqualsDriver(t *testing.T) {
	encoded, _ := testStore(t)
	driven, database := testStore(t)
	driven.encodes = false
	if !encoded.encodes {
		t.Fatal("blocks are not encoded over HTTP")
	}
	rows := manyClicks(73_000)
	for _, s := range []*Store{encoded, driven} {
		if err := s.InsertClicks(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"clicks", "page_views"} {
		var n uint64
		var same bool
		hash := "(SELECT sum(cityHash64(* EXCEPT properties, mapSort(properties))) FROM "
		query := "SELECT count(), toBool(" + hash + table + ") = " + hash + database + "." + table + ")) FROM " + table
		if err := encoded.conn.QueryRow(t.Context(), query).Scan(&n, &same); err != nil {
			t.Fatal(err)
		}
		if n < 6000 || !same {
			t.Errorf("%s: %d rows are not the same", table, n)
		}
	}
}
