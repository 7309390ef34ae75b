package fx

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/shopspring/decimal"
)

// Options are the rules of a Table. The zero value of a field takes the default.
type Options struct {
	// MaxMove is the largest change against the previous rate that is used without asking, as a fraction: 0.2 is 20 %.
	MaxMove decimal.Decimal
	// MaxAge is how many days a rate may be older than the movement: 7, which spans every run of weekend and holidays that
	// the bank has had.
	MaxAge int
	// Persist is on which published day in a row a larger move is believed: 3. A slip is corrected the next day; a
	// devaluation stays.
	Persist int
}

func (o Options) withDefaults() Options {
	if o.MaxMove.Sign() <= 0 {
		o.MaxMove = decimal.New(2, -1)
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 7
	}
	if o.Persist <= 0 {
		o.Persist = 3
	}
	return o
}

// Quote is the answer of a Table: a rate, and whether it stands.
type Quote struct {
	Rate
	// Final says that more rates of the same sources cannot replace the quote. See Table.Lookup.
	Final bool
}

// HeldBack is a rate that is not used, because it moved further than Options.MaxMove.
type HeldBack struct {
	// Rate is the one that is not used.
	Rate Rate
	// Previous is the last used rate of the same source and currency, which it was measured against.
	Previous Rate
}

// String says what happened in one line, for a log or a report.
func (h HeldBack) String() string {
	return fmt.Sprintf("%s %s %s: %s USD is held back against %s of %s",
		h.Rate.Source, h.Rate.Currency, h.Rate.Date, h.Rate.USD, h.Previous.USD, h.Previous.Date)
}

// Change returns by how much the rate moved, as a fraction of the previous one with four places: 0.25 is a rise by 25 %.
func (h HeldBack) Change() decimal.Decimal {
	return h.Rate.USD.Sub(h.Previous.USD).DivRound(h.Previous.USD, 4)
}

// Table answers which rate converts a movement. It is immutable, and safe for concurrent use.
type Table struct {
	maxAge     Date
	currencies map[string][]series // in order of preference
	held       []HeldBack
	size       int
}

// series is one source's rates of one currency.
type series struct {
	days []Date // of the usable rates, ascending
	// rates belong to days, one by one. They stand apart so that the search walks through 4-byte days only.
	rates []Rate
	// heldDays are the days of the rates held back, ascending.
	heldDays []Date
	// last is the newest published day of the currency, held back or not.
	last Date
	// sourceLast is the newest published day of any currency of the source.
	sourceLast Date
}

// NewTable builds a table from the rates of several sources, the most preferred first. The order of the rates within a
// source does not matter. Of two rates for the same currency and day the one fetched later stands, so that stored rates
// and newly fetched ones can be given together.
func NewTable(sources [][]Rate, options Options) (*Table, error) {
	options = options.withDefaults()
	table := &Table{maxAge: Date(options.MaxAge), currencies: make(map[string][]series)}
	for _, rates := range sources {
		if err := table.addSource(rates, options); err != nil {
			return nil, fmt.Errorf("build table of rates: %w", err)
		}
	}
	slices.SortStableFunc(table.held, func(a, b HeldBack) int {
		return cmp.Or(cmp.Compare(a.Rate.Date, b.Rate.Date), cmp.Compare(a.Rate.Currency, b.Rate.Currency))
	})
	return table, nil
}

func (t *Table) addSource(rates []Rate, options Options) error {
	byCurrency := make(map[string][]Rate)
	var sourceLast Date
	for i, rate := range rates {
		rate.Currency = strings.ToLower(rate.Currency)
		if rate.USD.Sign() <= 0 || rate.USD.Exponent() < -64 || rate.USD.Exponent() > 38 {
			return fmt.Errorf("%s %s %s: %w", rate.Source, rate.Currency, rate.Date, ErrBadRate)
		}
		if rate.USD.Exponent() != -ratePlaces {
			quantised, err := divide(rate.USD, one)
			if err != nil {
				return fmt.Errorf("%s %s %s: %w", rate.Source, rate.Currency, rate.Date, err)
			}
			rate.USD = quantised
		}
		if i == 0 || rate.Date > sourceLast {
			sourceLast = rate.Date
		}
		if rate.Currency != "usd" {
			byCurrency[rate.Currency] = append(byCurrency[rate.Currency], rate)
		}
	}
	for currency, list := range byCurrency {
		slices.SortFunc(list, func(a, b Rate) int {
			// The newest fetch of a day comes first; at the same moment the value decides, so that any order of the input
			// builds the same table.
			return cmp.Or(cmp.Compare(a.Date, b.Date), b.FetchedAt.Compare(a.FetchedAt), b.USD.Cmp(a.USD))
		})
		list = slices.CompactFunc(list, func(a, b Rate) bool { return a.Date == b.Date })
		kept, held := sift(list, options)
		kept.last, kept.sourceLast = list[len(list)-1].Date, sourceLast
		t.currencies[currency] = append(t.currencies[currency], kept)
		t.held = append(t.held, held...)
		t.size += len(kept.days)
	}
	return nil
}

// sift separates the usable rates of one source and currency, ascending by day, from those that moved too far.
//
// Whether a day's rate is held back depends only on that day and those before it. Later days never change it, so that a
// movement converted once is not converted differently when time passes.
func sift(list []Rate, options Options) (series, []HeldBack) {
	var (
		out     series
		held    []HeldBack
		pending []Rate // held back in a row, each near the one before
	)
	for _, rate := range list {
		if len(out.rates) > 0 {
			previous := out.rates[len(out.rates)-1]
			newest := previous.Date
			if len(pending) > 0 {
				newest = pending[len(pending)-1].Date
			}
			switch {
			case rate.Date-newest > Date(options.MaxAge):
				// After a gap longer than a rate may be old there is nothing to measure against: currencies that the bank
				// dropped and took up again years later come back elsewhere.
				pending = nil
			case !moved(previous.USD, rate.USD, options.MaxMove):
				pending = nil
			default:
				if len(pending) > 0 && moved(pending[len(pending)-1].USD, rate.USD, options.MaxMove) {
					pending = nil // not the same move as the day before
				}
				pending = append(pending, rate)
				if len(pending) < options.Persist {
					held = append(held, HeldBack{Rate: rate, Previous: previous})
					out.heldDays = append(out.heldDays, rate.Date)
					continue
				}
				pending = nil
			}
		}
		out.days = append(out.days, rate.Date)
		out.rates = append(out.rates, rate)
	}
	return out, held
}

// moved reports whether to differs from from by more than the fraction of it.
func moved(from, to, fraction decimal.Decimal) bool {
	return to.Sub(from).Abs().GreaterThan(from.Mul(fraction))
}

// Lookup returns the rate that converts a movement in a currency on a UTC day: of the most preferred source that has one,
// the newest that is not after the day and at most Options.MaxAge days before it. The dollar is 1, source "usd", final.
// Without a rate it returns false: the amount stays NULL, it is never summed as if it were dollars.
//
// A quote is final when no more preferred source, nor the quote's own, can still publish a rate that would take its
// place: each of them has already published this currency for the day or a later one (so that a gap is known to be a
// gap), or has dropped the currency (it went on publishing others for more than MaxAge days). A quote that falls back over
// a rate held back is not final, because the source may correct it; nor is one that its source may still change (Rate.Open).
func (t *Table) Lookup(currency string, day Date) (Quote, bool) {
	list, known := t.currencies[currency]
	if !known {
		// Stripe writes lower case, which the first look finds without a conversion.
		currency = strings.ToLower(currency)
		if currency == "usd" {
			return Quote{Rate: Rate{Currency: "usd", Date: day, USD: one, Source: "usd"}, Final: true}, true
		}
		list = t.currencies[currency]
	}
	final := true
	for i := range list {
		s := &list[i]
		final = final && s.settled(day, t.maxAge)
		at := upTo(s.days, day)
		if at < 0 || day-s.days[at] > t.maxAge {
			// Fell through to a less preferred source. If this one holds a rate back, its correction would win.
			if heldAt := upTo(s.heldDays, day); heldAt >= 0 && day-s.heldDays[heldAt] <= t.maxAge {
				final = false
			}
			continue
		}
		if heldAt := upTo(s.heldDays, day); heldAt >= 0 && s.heldDays[heldAt] > s.days[at] {
			final = false
		}
		return Quote{Rate: s.rates[at], Final: final && !s.rates[at].Open()}, true
	}
	return Quote{}, false
}

// settled reports whether the source has nothing more to say about this currency up to the day.
func (s *series) settled(day, maxAge Date) bool {
	if s.last >= day {
		return true
	}
	return s.sourceLast >= day && s.sourceLast-s.last > maxAge
}

// upTo returns the index of the newest day that is not after the given one, or -1.
func upTo(days []Date, day Date) int {
	return sort.Search(len(days), func(i int) bool { return days[i] > day }) - 1
}

// HeldBack lists the rates that are not used because they moved too far, by day and currency.
func (t *Table) HeldBack() []HeldBack { return slices.Clone(t.held) }

// Newest returns the newest usable rate of a currency, of the most preferred source that has any, however old.
func (t *Table) Newest(currency string) (Rate, bool) {
	for _, s := range t.currencies[currency] {
		if len(s.rates) > 0 {
			return s.rates[len(s.rates)-1], true
		}
	}
	return Rate{}, false
}

// Len returns the number of usable rates.
func (t *Table) Len() int { return t.size }

// Currencies lists the currencies that any source has, sorted, without the dollar.
func (t *Table) Currencies() []string {
	names := make([]string, 0, len(t.currencies))
	for currency := range t.currencies {
		names = append(names, currency)
	}
	slices.Sort(names)
	return names
}
