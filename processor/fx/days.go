package fx

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// DayRate is what a Table converts a currency by on a UTC day.
type DayRate struct {
	Currency string
	Day      Date
	USD      decimal.Decimal // for a major unit; 0: nothing converts it
	Source   string          // empty: nothing converts it
}

// DayStore keeps the rates of days for questions in SQL. These show money in another currency than
// the ledger's USD, and know neither the order of the sources nor pegs nor what is held back.
type DayStore interface {
	// FirstDay returns the first day of the ledger and of spend; false while there is neither.
	FirstDay(ctx context.Context) (Date, bool, error)
	// DayCurrencies returns the currencies of which rates are kept.
	DayCurrencies(ctx context.Context) ([]string, error)
	// DayRates returns what is kept of some currencies.
	DayRates(ctx context.Context, currencies []string) ([]DayRate, error)
	// InsertDayRates keeps rates; of two of one currency and day the one that is inserted later
	// stands.
	InsertDayRates(ctx context.Context, rates []DayRate) error
}

// maxDays bounds how far back rates of days are kept: 25 years. A movement that is dated by mistake
// in 1970 needs none.
const maxDays = 25 * 366

// dayRows is about how many rates are compared at once. A currency at a time would be two statements
// for each of some 170, which take longer than their rows.
const dayRows = 20_000

// lookEvery is how often the first day is looked up again, which older sales may move.
const lookEvery = time.Hour

// KeepDays stores the rate of each currency on each day from the ledger's first to tomorrow, where
// it differs from what is kept. Of a currency that no source gives any more it keeps that nothing
// converts it. Run calls it.
func (l *Live) KeepDays(ctx context.Context, now time.Time) error {
	table, today := l.table.Load(), DateOf(now)
	if table == l.kept.table && today == l.kept.today && now.Sub(l.kept.at) < lookEvery {
		return nil
	}
	first, known, err := l.store.FirstDay(ctx)
	if err != nil || !known {
		return err
	}
	all, err := l.store.DayCurrencies(ctx)
	if err != nil {
		return err
	}
	all = slices.AppendSeq(all, maps.Keys(table.currencies))
	slices.Sort(all)
	all = slices.Compact(all)
	first, last := max(first, today-maxDays), today+1
	for currencies := range slices.Chunk(all, max(1, dayRows/max(1, int(last-first)))) {
		kept, err := l.store.DayRates(ctx, currencies)
		if err != nil {
			return err
		}
		if changed := table.days(currencies, first, last, kept); len(changed) > 0 {
			if err := l.store.InsertDayRates(ctx, changed); err != nil {
				return err
			}
		}
	}
	l.kept.table, l.kept.today, l.kept.at = table, today, now
	return nil
}

// days returns the rates of currencies from one day to another that differ from what is kept.
func (t *Table) days(currencies []string, first, last Date, kept []DayRate) []DayRate {
	known := make(map[rateKey]DayRate, len(kept))
	for _, rate := range kept {
		known[rateKey{currency: rate.Currency, date: rate.Day}] = rate
	}
	var changed []DayRate
	for _, currency := range currencies {
		for day := first; day <= last; day++ {
			rate := DayRate{Currency: currency, Day: day}
			if quote, ok := t.Lookup(currency, day); ok {
				rate.USD, rate.Source = quote.USD, quote.Source
			}
			old, ok := known[rateKey{currency: currency, date: day}]
			if !ok || !old.USD.Equal(rate.USD) || old.Source != rate.Source {
				changed = append(changed, rate)
			}
		}
	}
	return changed
}
