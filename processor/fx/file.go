package fx

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"tributary/processor/csvtable"
)

// fileFormat is the operator's file, its columns in any order.
//
//	currency    three letters
//	usd         USD per major unit
//	date        the day of a published rate, which converts that day and, until the next one, seven more
//	valid_from  instead of date: the first day of a rate that is fixed, such as a peg
//	valid_to    its last day; empty: no end
//	note        for people
var fileFormat = csvtable.Format{
	Columns: []csvtable.Column{
		{Name: "currency", Required: true}, {Name: "usd", Required: true},
		{Name: "date"}, {Name: "valid_from"}, {Name: "valid_to"}, {Name: "note"},
	},
	Comment: '#',
	Hint:    "the first line names the columns: date,currency,usd or currency,usd,valid_from,valid_to",
}

// parseFile reads the operator's own rates, a CSV file with a header. Lines that begin with # are
// comments. A rate that cannot be one, or a currency that is none, leaves out its row. Whatever
// shows that the file is not meant so, or is cut off, refuses it with the line: unknown columns, a
// row with more or fewer fields, a day that cannot be read, a dollar that is not worth one.
func parseFile(data []byte) ([]Rate, error) {
	rows := fileFormat.Open(bytes.NewReader(trimMark(data)))
	if rows.Err() == nil && !rows.Has("valid_from") && (!rows.Has("date") || rows.Has("valid_to")) {
		return nil, fmt.Errorf("line 1: the column date or valid_from is missing (hint: %s)", fileFormat.Hint)
	}
	var rates []Rate
	for rows.Next() {
		if rate, ok := readFileRow(rows); ok && rate.Currency != "usd" {
			rates = append(rates, rate)
		}
	}
	return rates, rows.Err()
}

// readFileRow reads one row. A fault that it notes refuses the file; a rate with a Fault only the
// row.
func readFileRow(rows *csvtable.Reader) (Rate, bool) {
	rate := Rate{Currency: strings.ToLower(rows.Value("currency"))}
	ok := true
	day := func(column string) Date {
		date, err := parseFileDate(rows.Value(column))
		if err != nil {
			rows.Fault(column, "%w", err)
			ok = false
		}
		return date
	}
	switch from := rows.Value("valid_from") != ""; {
	case from == (rows.Value("date") != ""):
		rows.Fault("currency", "give either date or valid_from")
		return Rate{}, false
	case from:
		rate.Date, rate.ValidTo = day("valid_from"), maxDate
		if rows.Value("valid_to") != "" {
			rate.ValidTo = day("valid_to")
		}
	case rows.Value("valid_to") != "":
		rows.Fault("valid_to", "it belongs to valid_from, not to date")
		return Rate{}, false
	default:
		rate.Date = day("date")
	}
	if !ok {
		return Rate{}, false
	}
	if !isCurrency(rate.Currency) {
		return faulty(rate.Currency, rate.Date, errNoCurrency), true
	}
	if rate.ValidTo != 0 && rate.ValidTo < rate.Date {
		return faulty(rate.Currency, rate.Date, errors.New("valid_to is before valid_from")), true
	}
	given, err := parsePositive(rows.Value("usd"))
	if err == nil {
		rate.USD, err = divide(given, one)
	}
	switch {
	case rate.Currency == "usd" && (err != nil || !rate.USD.Equal(one)):
		rows.Fault("usd", "a dollar is worth %s dollars; is the file's base another currency?",
			quoted(rows.Value("usd")))
		return Rate{}, false
	case err != nil:
		return faulty(rate.Currency, rate.Date, err), true
	}
	return rate, true
}

func parseFileDate(s string) (Date, error) {
	date, err := ParseDate(s)
	if err == nil && !date.storable() {
		err = fmt.Errorf("day %s: want one from %s to %s", s, Date(0), maxDate)
	}
	return date, err
}
