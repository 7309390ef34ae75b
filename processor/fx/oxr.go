package fx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Open Exchange Rates answers with units of many currencies per unit of one base, for a moment or
// for a day: https://docs.openexchangerates.org/reference/historical-json. Unlike a central bank it
// publishes all day long.

// oxrDays is how many days up to today are asked for one by one where the address has a place for
// the date.
const oxrDays = 10

// datePlace in an address is replaced by the day, 2006-01-02.
const datePlace = "{date}"

// errNoDay says that the source has nothing for a day: before its history, or not published yet.
var errNoDay = errors.New("no rates for the day")

// fetchOXR reads a file, every .json of a directory, an address, or an address for each of the last
// days.
func (s Source) fetchOXR(ctx context.Context, fetchedAt time.Time) ([]Rate, error) {
	var locations []string
	days := make(map[string]Date)
	switch info, err := os.Stat(s.location); {
	case isURL(s.location) && strings.Contains(s.location, datePlace):
		for i := range oxrDays {
			day := DateOf(fetchedAt) - Date(i)
			location := strings.ReplaceAll(s.location, datePlace, day.String())
			locations = append(locations, location)
			days[location] = day
		}
	case isURL(s.location) || err == nil && !info.IsDir():
		locations = []string{s.location}
	case err != nil:
		return nil, fmt.Errorf("%w (hint: give a file, a directory of .json files, or an address)", err)
	default:
		if locations, err = filepath.Glob(filepath.Join(s.location, "*.json")); err != nil || len(locations) == 0 {
			return nil, fmt.Errorf("%s holds no .json file (hint: one answer of the API in each, named by its day)", s.location)
		}
	}
	// Two files of one day are one: the later name stands.
	byDay := make(map[Date][]Rate)
	var missing error
	for _, location := range locations {
		part := s
		part.location = location
		data, err := part.read(ctx)
		if errors.Is(err, errNoDay) && len(locations) > 1 {
			missing = err
			continue
		}
		if err != nil {
			return nil, err
		}
		day, given := days[location]
		if !given {
			day, _ = ParseDate(strings.TrimSuffix(filepath.Base(location), ".json"))
		}
		rates, err := parseOXR(data, day)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", part.Location(), err)
		}
		byDay[rates[0].Date] = rates
	}
	if len(byDay) == 0 {
		return nil, missing
	}
	var all []Rate
	for _, day := range slices.Sorted(maps.Keys(byDay)) {
		all = append(all, byDay[day]...)
	}
	return all, nil
}

const oxrHint = "what GET /api/latest.json or /api/historical/2026-11-20.json answers"

// parseOXR reads one answer. day is what the answer was asked for, 0: the day of its timestamp. A
// base other than the dollar is crossed by the dollar of the same answer. A value that cannot be a
// rate (0, null, text) leaves out its currency.
func parseOXR(data []byte, day Date) ([]Rate, error) {
	var answer struct {
		Timestamp int64                      `json:"timestamp"`
		Base      string                     `json:"base"`
		Rates     map[string]json.RawMessage `json:"rates"`
		Error     bool                       `json:"error"`
		Message   string                     `json:"message"`
	}
	if err := json.Unmarshal(bytes.TrimSpace(data), &answer); err != nil {
		return nil, fmt.Errorf("this is no answer of Open Exchange Rates: %w (hint: %s)", err, oxrHint)
	}
	if answer.Error {
		return nil, fmt.Errorf("the source answers with an error: %s", quoted(answer.Message))
	}
	if len(answer.Rates) == 0 || answer.Base == "" {
		return nil, fmt.Errorf(`this is no answer of Open Exchange Rates: "base" or "rates" is missing (hint: %s)`, oxrHint)
	}
	if day == 0 {
		day = DateOf(time.Unix(answer.Timestamp, 0))
		if answer.Timestamp <= 0 || !day.storable() {
			return nil, errors.New(`"timestamp" is missing, and neither file name nor address gives the day`)
		}
	}
	base := strings.ToLower(answer.Base)
	dollars := one
	if base != "usd" {
		var err error
		if dollars, err = dollarsPerBase(answer.Rates); err != nil {
			return nil, fmt.Errorf("the base is %s, and nothing can be crossed: %w", quoted(answer.Base), err)
		}
	}
	rates := []Rate{crossNumber(dollars, base, json.RawMessage("1"), day)}
	for _, code := range slices.Sorted(maps.Keys(answer.Rates)) {
		if currency := strings.ToLower(code); currency != base {
			rates = append(rates, crossNumber(dollars, currency, answer.Rates[code], day))
		}
	}
	// Codes of more letters are no currencies of Stripe's: tokens, metals by weight.
	rates = slices.DeleteFunc(rates, func(r Rate) bool { return r.Currency == "usd" || !isCurrency(r.Currency) })
	if len(rates) == 0 {
		return nil, errors.New("the answer holds the dollar alone")
	}
	return rates, nil
}

func dollarsPerBase(rates map[string]json.RawMessage) (decimal.Decimal, error) {
	for _, code := range []string{"USD", "usd"} {
		if number, given := rates[code]; given {
			return parseNumber(string(number))
		}
	}
	return decimal.Decimal{}, errors.New("the dollar is not among the rates")
}

// crossNumber returns the rate of one currency by the dollars per base, or why there is none.
func crossNumber(dollars decimal.Decimal, currency string, number json.RawMessage, day Date) Rate {
	units, err := parseNumber(string(number))
	if err != nil {
		return faulty(currency, day, err)
	}
	usd, err := divide(dollars, units)
	if err != nil {
		return faulty(currency, day, fmt.Errorf("%s: %w", quoted(string(number)), err))
	}
	return Rate{Currency: currency, Date: day, USD: usd}
}

// Open reports whether the source may still change the rate: it publishes several times a day, and
// was read before the day was over.
func (r Rate) Open() bool {
	return strings.HasPrefix(r.Source, "oxr") && r.FetchedAt.Before((r.Date + 1).Time())
}

// statusError says what an address answered.
func statusError(location, status string, code int) error {
	if code == http.StatusNotFound || code == http.StatusBadRequest {
		return fmt.Errorf("get %s: answered %s: %w", location, status, errNoDay)
	}
	return fmt.Errorf("get %s: answered %s (hint: check the address and the key in it)", location, status)
}
