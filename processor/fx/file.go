package fx

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// fileColumns are the columns of the operator's file, in any order.
//
//	currency    three letters
//	usd         USD per major unit
//	date        the day of a published rate, which converts that day and, until the next one, seven more
//	valid_from  instead of date: the first day of a rate that is fixed, such as a peg
//	valid_to    its last day; empty: no end
//	note        for people
var fileColumns = []string{"currency", "usd", "date", "valid_from", "valid_to", "note"}

const fileHint = "(hint: the first line names the columns: date,currency,usd or currency,usd,valid_from,valid_to)"

// parseFile reads the operator's own rates, a CSV file with a header. Lines that begin with # are
// comments. A rate that cannot be one, or a currency that is none, leaves out its row. Whatever
// shows that the file is not meant so, or is cut off, refuses it with the line: unknown columns, a
// row with more or fewer fields, a day that cannot be read, a dollar that is not worth one.
func parseFile(data []byte) ([]Rate, error) {
	reader := csv.NewReader(bytes.NewReader(trimMark(data)))
	reader.Comment = '#'
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("the file has no header %s", fileHint)
	}
	columns, err := readFileHeader(header)
	if err != nil {
		return nil, err
	}
	var rates []Rate
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rates, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read row: %w %s", err, fileHint)
		}
		line, _ := reader.FieldPos(0)
		field := func(column string) string {
			if at := slices.Index(columns, column); at >= 0 {
				return strings.TrimSpace(record[at])
			}
			return ""
		}
		rate, err := readFileRow(field)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if rate.Currency != "usd" {
			rates = append(rates, rate)
		}
	}
}

func readFileHeader(header []string) ([]string, error) {
	columns := make([]string, len(header))
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case !slices.Contains(fileColumns, name):
			return nil, fmt.Errorf("column %s is unknown %s", quoted(name), fileHint)
		case slices.Contains(columns, name):
			return nil, fmt.Errorf("column %q is there twice %s", name, fileHint)
		}
		columns[i] = name
	}
	has := func(name string) bool { return slices.Contains(columns, name) }
	if !has("currency") || !has("usd") || !has("date") && !has("valid_from") || has("valid_to") &&
		!has("valid_from") {
		return nil, fmt.Errorf("a column is missing %s", fileHint)
	}
	return columns, nil
}

// readFileRow reads one row. An error refuses the file; a rate with a Fault only the row.
func readFileRow(field func(column string) string) (Rate, error) {
	rate := Rate{Currency: strings.ToLower(field("currency"))}
	var err error
	switch date, from := field("date"), field("valid_from"); {
	case (date == "") == (from == ""):
		return Rate{}, errors.New("give either date or valid_from")
	case from != "":
		rate.ValidTo = MaxDate
		if to := field("valid_to"); to != "" {
			if rate.ValidTo, err = parseFileDate(to); err != nil {
				return Rate{}, err
			}
		}
		rate.Date, err = parseFileDate(from)
	case field("valid_to") != "":
		return Rate{}, errors.New("valid_to belongs to valid_from, not to date")
	default:
		rate.Date, err = parseFileDate(date)
	}
	if err != nil {
		return Rate{}, err
	}
	if !isCurrency(rate.Currency) {
		return faulty(rate.Currency, rate.Date, errNoCurrency), nil
	}
	if rate.ValidTo != 0 && rate.ValidTo < rate.Date {
		return faulty(rate.Currency, rate.Date, errors.New("valid_to is before valid_from")), nil
	}
	given, err := parsePositive(field("usd"))
	if err == nil {
		rate.USD, err = divide(given, one)
	}
	switch {
	case rate.Currency == "usd" && (err != nil || !rate.USD.Equal(one)):
		return Rate{}, fmt.Errorf("a dollar is worth %s dollars; is the file's base another currency?",
			quoted(field("usd")))
	case err != nil:
		return faulty(rate.Currency, rate.Date, err), nil
	}
	return rate, nil
}

func parseFileDate(s string) (Date, error) {
	date, err := ParseDate(s)
	if err == nil && !date.storable() {
		err = fmt.Errorf("day %s: want one from %s to %s", s, Date(0), MaxDate)
	}
	return date, err
}
