package fx

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

var fileHeader = []string{"date", "currency", "usd"}

// parseFile reads the operator's own rates: CSV with the header date,currency,usd; one row per day and currency; usd is
// USD per major unit. Lines that begin with # are comments. A row is refused, with its line, when it cannot be read or
// contradicts another.
func parseFile(data []byte, source string, fetchedAt time.Time) ([]Rate, error) {
	reader := csv.NewReader(bytes.NewReader(trimMark(data)))
	reader.Comment = '#'
	reader.FieldsPerRecord = len(fileHeader)
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if err != nil || !slices.EqualFunc(header, fileHeader, func(have, want string) bool {
		return strings.EqualFold(strings.TrimSpace(have), want)
	}) {
		return nil, errors.New("the first line is not the header date,currency,usd")
	}
	type key struct {
		currency string
		date     Date
	}
	var rates []Rate
	seen := make(map[key]int)
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rates, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read row: %w; each row is date,currency,usd", err)
		}
		line, _ := reader.FieldPos(0)
		date, err := ParseDate(strings.TrimSpace(record[0]))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		currency := strings.ToLower(strings.TrimSpace(record[1]))
		if !isCurrency(currency) {
			return nil, fmt.Errorf("line %d: currency %q: want three letters", line, record[1])
		}
		given, err := parsePositive(strings.TrimSpace(record[2]))
		if err != nil {
			return nil, fmt.Errorf("line %d, %s: %w", line, currency, err)
		}
		usd, err := divide(given, one)
		if err != nil {
			return nil, fmt.Errorf("line %d, %s: %w", line, currency, err)
		}
		if currency == "usd" {
			if !usd.Equal(one) {
				return nil, fmt.Errorf("line %d: a dollar is worth %s dollars; is the file's base another currency?", line, record[2])
			}
			continue
		}
		at := key{currency, date}
		if earlier, twice := seen[at]; twice {
			if rates[earlier].USD.Equal(usd) {
				continue
			}
			return nil, fmt.Errorf("line %d: %s on %s has another rate in an earlier line; keep one of them", line, currency, date)
		}
		seen[at] = len(rates)
		rates = append(rates, Rate{Currency: currency, Date: date, USD: usd, Source: source, FetchedAt: fetchedAt})
	}
}
