package fx

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// The bank publishes units of currency per euro, for about thirty currencies, each working day but TARGET holidays around
// 16:00 CET: page "Euro foreign exchange reference rates", files eurofxref-hist.zip, eurofxref-hist.xml,
// eurofxref-hist-90d.xml, eurofxref-daily.xml, eurofxref.zip. A cross rate to the dollar is the dollars per euro over
// the units per euro of the same day.

// parseECB reads any of the bank's files; which one it is shows in its first bytes.
func parseECB(data []byte, source string, fetchedAt time.Time) ([]Rate, error) {
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		unpacked, err := unzipCSV(data)
		if err != nil {
			return nil, err
		}
		data = unpacked
	}
	data = trimMark(data)
	collector := ecbCollector{source: source, fetchedAt: fetchedAt, seen: make(map[Date]bool)}
	var err error
	if bytes.HasPrefix(data, []byte("<")) {
		err = collector.readXML(data)
	} else {
		err = collector.readCSV(data)
	}
	if err != nil {
		return nil, err
	}
	return collector.rates, nil
}

// trimMark removes what may stand before the first character: white space and the byte order mark of spreadsheets.
func trimMark(data []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
}

// unzipCSV returns the one CSV file in a zip.
func unzipCSV(data []byte) ([]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("open zip: %w", err)
	}
	for _, entry := range archive.File {
		if !strings.HasSuffix(strings.ToLower(entry.Name), ".csv") {
			continue
		}
		file, err := entry.Open()
		if err != nil {
			return nil, fmt.Errorf("open %s in zip: %w", entry.Name, err)
		}
		defer file.Close()
		return readBounded(file, entry.Name)
	}
	return nil, errors.New("the zip holds no .csv; the bank's file is eurofxref-hist.zip")
}

type ecbCollector struct {
	source    string
	fetchedAt time.Time
	seen      map[Date]bool
	rates     []Rate
}

// perEuro is one published number: units of a currency per euro.
type perEuro struct {
	currency string
	units    decimal.Decimal
}

// addDay turns one day's numbers into rates. A day without the dollar has no cross rates and is left out.
func (c *ecbCollector) addDay(date Date, quotes []perEuro) error {
	if c.seen[date] {
		return fmt.Errorf("%s: the day is listed twice", date)
	}
	c.seen[date] = true
	var dollars decimal.Decimal
	for _, quote := range quotes {
		if quote.currency == "usd" {
			dollars = quote.units
		}
	}
	if dollars.IsZero() {
		return nil
	}
	euro := perEuro{currency: "eur", units: one}
	for _, quote := range append(quotes, euro) {
		if quote.currency == "usd" {
			continue // Table knows the dollar's rate without a source
		}
		rate, err := divide(dollars, quote.units)
		if err != nil {
			return fmt.Errorf("%s %s: %w", date, quote.currency, err)
		}
		c.rates = append(c.rates, Rate{Currency: quote.currency, Date: date, USD: rate, Source: c.source, FetchedAt: c.fetchedAt})
	}
	return nil
}

// readCSV reads the time series (days as 2006-01-02) and the file of the day (days as 2 January 2006, spaces after the
// commas). Both end their lines with a comma.
func (c *ecbCollector) readCSV(data []byte) error {
	reader := csv.NewReader(bytes.NewReader(data))
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil || len(header) < 2 || strings.TrimSpace(header[0]) != "Date" {
		return errors.New("the first line is not the bank's (Date,USD,…); give eurofxref-hist.zip, its CSV, or an eurofxref XML")
	}
	currencies := make([]string, len(header))
	for i, column := range header[1:] {
		code := strings.ToLower(strings.TrimSpace(column))
		if code != "" && !isCurrency(code) {
			return fmt.Errorf("column %q is not a currency", column)
		}
		currencies[i+1] = code
	}
	var quotes []perEuro
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read line: %w", err)
		}
		line, _ := reader.FieldPos(0)
		date, err := parseECBDate(strings.TrimSpace(record[0]))
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		// A short line means a download that broke off; a silent gap would look like a holiday.
		if len(record) != len(header) {
			return fmt.Errorf("line %d: %d columns where the header has %d; the file is cut off or damaged", line, len(record), len(header))
		}
		quotes = quotes[:0]
		for i, field := range record {
			field = strings.TrimSpace(field)
			// "N/A": not quoted on that day, because the currency was not yet followed, or is no more.
			if i == 0 || currencies[i] == "" || field == "" || field == "N/A" {
				continue
			}
			units, err := parsePositive(field)
			if err != nil {
				return fmt.Errorf("line %d, %s: %w", line, currencies[i], err)
			}
			quotes = append(quotes, perEuro{currency: currencies[i], units: units})
		}
		if err := c.addDay(date, quotes); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func parseECBDate(s string) (Date, error) {
	if date, err := ParseDate(s); err == nil {
		return date, nil
	}
	if t, err := time.Parse("2 January 2006", s); err == nil {
		return DateOf(t), nil
	}
	return 0, fmt.Errorf("parse date %q: want 2006-01-02", s)
}

// readXML reads Cube elements: one with the attribute time per day, and within it one per currency with the attributes
// currency and rate. The envelope around them is not looked at.
func (c *ecbCollector) readXML(data []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	var (
		date   Date
		inDay  bool
		depth  int
		day    int // depth of the day's element
		quotes []perEuro
	)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if len(c.seen) == 0 {
				return errors.New("the XML holds no day of reference rates; is this a web page instead of eurofxref-hist.xml?")
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("read XML: %w; is this a web page instead of eurofxref-hist.xml?", err)
		}
		switch element := token.(type) {
		case xml.StartElement:
			depth++
			if element.Name.Local != "Cube" {
				continue
			}
			attributes := make(map[string]string, len(element.Attr))
			for _, attribute := range element.Attr {
				attributes[attribute.Name.Local] = attribute.Value
			}
			if text, ok := attributes["time"]; ok {
				if date, err = ParseDate(text); err != nil {
					return err
				}
				inDay, day, quotes = true, depth, quotes[:0]
				continue
			}
			text, ok := attributes["currency"]
			if !ok || !inDay {
				continue
			}
			currency := strings.ToLower(text)
			if !isCurrency(currency) {
				return fmt.Errorf("%s: %q is not a currency", date, text)
			}
			units, err := parsePositive(attributes["rate"])
			if err != nil {
				return fmt.Errorf("%s %s: %w", date, currency, err)
			}
			quotes = append(quotes, perEuro{currency: currency, units: units})
		case xml.EndElement:
			if inDay && depth == day {
				inDay = false
				if err := c.addDay(date, quotes); err != nil {
					return err
				}
			}
			depth--
		}
	}
}
