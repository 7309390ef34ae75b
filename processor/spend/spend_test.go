package spend_test

import (
	"strings"
	"testing"
	"time"

	"tributary/processor/spend"
)

// A file as a spreadsheet saves it is read, its columns in any order, with a byte order mark.
func TestRead(t *testing.T) {
	now := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	rows, err := spend.Read(strings.NewReader("\ufeffDay,Amount,Currency,utm_campaign,channel\r\n"+
		"2024-02-29,120.50,EUR,\"a, b\",paid_search\r\n2024-02-29,-0.000001,usd,,\r\n"), "shop", now)
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	for i, want := range []spend.Key{
		{Day: day, Channel: "paid_search", Campaign: "a, b", Currency: "eur"}, {Day: day, Currency: "usd"},
	} {
		if r := rows[i]; r.Key != want || r.Workspace != "shop" || !r.LoadedAt.Equal(now) ||
			r.Amount.String() != []string{"120.5", "-0.000001"}[i] {
			t.Errorf("row %d is %+v", i, r)
		}
	}
}

// ClickHouse's own reader of CSV takes each of these without a word, or says nothing of the line.
func TestReadRefuses(t *testing.T) {
	const head = "day,channel,utm_campaign,currency,amount\n"
	for file, want := range map[string]string{
		"":   "the file is empty",
		head: "the file has no rows",
		strings.ReplaceAll(head, ",", ";") + "2026-01-01;;c;eur;1\n":  "separate the columns by commas",
		"date,currency,amount\n2026-01-01,eur,1\n":                    `column "date" is not known`,
		"day,amount\n2026-01-01,1\n":                                  "the column currency is missing",
		head + "01/02/2026,,c,eur,1\n":                                `line 2, column 1: day: "01/02/2026" is no day`,
		head + "2026-02-29,,c,eur,1\n":                                "is no day",
		head + "1969-12-31,,c,eur,1\n":                                "is no day",
		head + "2026-01-01,,c,eur,\"10,50\"\n":                        `amount: "10,50" is no amount (hint: write 1234.50`,
		head + "2026-01-01,,c,eur,\"1,234.50\"\n":                     "is no amount",
		head + "2026-01-01,,c,eur,10,50\n":                            "6 values where the header has 5 columns",
		head + "2026-01-01,,c,eur,€10\n":                              "is no amount",
		head + "2026-01-01,,c,eur,1e3\n":                              "is no amount",
		head + "2026-01-01,,c,eur,0.1234567\n":                        "is no amount",
		head + "2026-01-01,,c,eur,\n":                                 "is no amount",
		head + "2026-01-01,,c,,1\n":                                   "is no currency",
		head + "2026-01-01,,c,euro,1\n":                               `"euro" is no currency`,
		head + "2026-01-01,Paid Search,c,eur,1\n":                     `"Paid Search" is no channel (hint: one of direct, `,
		head + "2026-01-01,,c,eur,1\n2026-01-01,,c,EUR,2\n":           "line 3, column 1: day: line 2 has the same day",
		head + "2026-01-01,,\xff,eur,1\n":                             "is not UTF-8",
		head + "2026-01-01,," + strings.Repeat("c", 201) + ",eur,1\n": "201 bytes",
	} {
		if _, err := spend.Read(strings.NewReader(file), "shop", time.Now()); err == nil ||
			!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}
