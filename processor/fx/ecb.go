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

// The bank publishes units of currency per euro, for about thirty currencies, each working day but
// TARGET holidays around 16:00 CET: page "Euro foreign exchange reference rates", files
// eurofxref-hist.zip, eurofxref-hist.xml, eurofxref-hist-90d.xml, eurofxref-daily.xml,
// eurofxref.zip. A cross rate to the dollar is the dollars per euro over the units per euro of the
// same day.

// parseECB reads any of the bank's files; which one it is shows in its first bytes. A number that
// cannot be a rate leaves out its currency on its day; what shows that the file is another one, or
// not the whole one, refuses it.
func parseECB(data []byte) ([]Rate, error) {
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		unpacked, err := unzipCSV(data)
		if err != nil {
			return nil, err
		}
		data = unpacked
	}
	data = trimMark(data)
	var file ecbFile
	read := file.readCSV
	if bytes.HasPrefix(data, []byte("<")) {
		read = file.readXML
	}
	if err := read(data); err != nil {
		return nil, err
	}
	return file.rates, nil
}

// trimMark removes what may stand before the first character: white space and the byte order mark
// of spreadsheets.
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
	return nil, errors.New("the zip holds no .csv (hint: the bank's file is eurofxref-hist.zip)")
}

type ecbFile struct{ rates []Rate }

// perEuro is one published number: units of a currency per euro.
type perEuro struct{ currency, units string }

// addDay turns one day's numbers into rates. A day without the dollar has no cross rates and is
// left out. A dollar that is no number leaves out every currency of its day, which are crossed by
// it.
func (f *ecbFile) addDay(date Date, quotes []perEuro) {
	var dollars decimal.Decimal
	var fault error
	for _, quote := range quotes {
		if quote.currency != "usd" {
			continue
		}
		units, err := parsePositive(quote.units)
		if err == nil && !dollars.IsZero() && !units.Equal(dollars) {
			err = errContradiction
		}
		if dollars = units; err != nil && fault == nil {
			fault = fmt.Errorf("the dollar of this day: %w", err)
		}
	}
	if dollars.IsZero() && fault == nil {
		return
	}
	for _, quote := range append(quotes, perEuro{currency: "eur", units: "1"}) {
		if quote.currency == "usd" {
			continue // Table knows the dollar's rate without a source
		}
		f.rates = append(f.rates, cross(dollars, fault, quote, date))
	}
}

// cross returns the rate of one currency by the dollars per euro, or why there is none.
func cross(dollars decimal.Decimal, fault error, quote perEuro, date Date) Rate {
	if fault != nil {
		return faulty(quote.currency, date, fault)
	}
	if !isCurrency(quote.currency) {
		return faulty(quote.currency, date, errNoCurrency)
	}
	units, err := parsePositive(quote.units)
	if err != nil {
		return faulty(quote.currency, date, err)
	}
	usd, err := divide(dollars, units)
	if err != nil {
		return faulty(quote.currency, date, fmt.Errorf("%s: %w", quoted(quote.units), err))
	}
	return Rate{Currency: quote.currency, Date: date, USD: usd}
}

// readCSV reads the time series (days as 2006-01-02) and the file of the day (days as 2 January
// 2006, spaces after the commas). Both end their lines with a comma.
func (f *ecbFile) readCSV(data []byte) error {
	reader := csv.NewReader(bytes.NewReader(data))
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil || len(header) < 2 || strings.TrimSpace(header[0]) != "Date" {
		return errors.New("the first line is not the bank's, Date,USD,… " +
			"(hint: give eurofxref-hist.zip, its CSV, or an eurofxref XML)")
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
			return fmt.Errorf("line %d: %d columns where the header has %d; the file is cut off or damaged",
				line, len(record), len(header))
		}
		quotes = quotes[:0]
		for i, field := range record {
			field = strings.TrimSpace(field)
			// "N/A": not quoted on that day, because the currency was not yet followed, or is no
			// more.
			if i > 0 && currencies[i] != "" && field != "" && field != "N/A" {
				quotes = append(quotes, perEuro{currencies[i], field})
			}
		}
		f.addDay(date, quotes)
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

// readXML reads Cube elements: one with the attribute time per day, and within it one per currency
// with the attributes currency and rate. The envelope around them is not looked at.
func (f *ecbFile) readXML(data []byte) error {
	var file struct {
		Days []struct {
			Time   string `xml:"time,attr"`
			Quotes []struct {
				Currency string `xml:"currency,attr"`
				Rate     string `xml:"rate,attr"`
			} `xml:"Cube"`
		} `xml:"Cube>Cube"`
	}
	const hint = "(hint: is this a web page instead of eurofxref-hist.xml?)"
	if err := xml.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("read XML: %w %s", err, hint)
	}
	if len(file.Days) == 0 {
		return errors.New("the XML holds no day of reference rates " + hint)
	}
	for _, day := range file.Days {
		date, err := ParseDate(day.Time)
		if err != nil {
			return err
		}
		quotes := make([]perEuro, 0, len(day.Quotes))
		for _, q := range day.Quotes {
			quotes = append(quotes, perEuro{strings.ToLower(q.Currency), strings.TrimSpace(q.Rate)})
		}
		f.addDay(date, quotes)
	}
	return nil
}
