package fx

import (
	"context"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

type rateKey struct {
	currency, source string
	date             Date
}

func keyOf(r Rate) rateKey { return rateKey{r.Currency, r.Source, r.Date} }

// keep stores what is new of the rates that a source gave, and adds it to known. It returns how
// much that is.
func (l *Live) keep(ctx context.Context, source Source, fetched []Rate, known map[rateKey]Rate) (int, error) {
	fetched = append(fetched, withdrawn(source, known, fetched)...)
	revise(source, fetched, known)
	fresh := slices.DeleteFunc(fetched, func(rate Rate) bool {
		old, ok := known[keyOf(rate)]
		// A published rate that was good once is not given up for what is none.
		return ok && (rate.Fault != "" && old.Fault == "" && old.ValidTo == 0 || same(old, rate))
	})
	if len(fresh) == 0 {
		return 0, nil
	}
	if err := l.store.InsertRates(ctx, fresh); err != nil {
		return 0, err
	}
	l.log.Info("exchange rates stored", "source", source.Name(), "rates", len(fresh))
	for _, rate := range fresh {
		known[keyOf(rate)] = rate
	}
	return len(fresh), nil
}

// revise notes which of the rates that a source gave now may replace what entries were converted
// by. Not those of a source that is read for the first time, nor those of days after the newest
// that it has given: until then such days were provisional. A provisional rate is no correction
// either.
//
// The ledger's versions have no more than the day of some revisions (ledger.Version), and a row may
// depend on several rates. So a revision is dated a day after all that were noted before, where
// there is one of today.
func revise(source Source, fetched []Rate, known map[rateKey]Rate) {
	var newest Date
	var next time.Time
	read := false
	for _, rate := range known {
		next = later(next, rate.RevisedAt.Truncate(24*time.Hour).Add(24*time.Hour))
		if rate.Source == source.Name() {
			read = true
			if rate.ValidTo == 0 && !rate.early() {
				newest = max(newest, rate.Date)
			}
		}
	}
	for i := range fetched {
		rate := &fetched[i]
		old, again := known[keyOf(*rate)]
		rate.RevisedAt = old.RevisedAt
		switch equal := old.USD.Equal(rate.USD) && old.ValidTo == rate.ValidTo; {
		case again && (equal || old.Open() || old.Fault != "" && old.ValidTo == 0):
		case again, rate.ValidTo != 0 && read, rate.ValidTo == 0 && rate.Date <= newest:
			rate.RevisedAt = later(rate.FetchedAt, next)
		}
	}
}

// withdrawn returns what an operator's file stated for a period and does not state any more, as
// rates with a Fault. Published rates stay when a file no longer has them: it may hold the last
// days alone.
func withdrawn(source Source, known map[rateKey]Rate, fetched []Rate) []Rate {
	if len(fetched) == 0 {
		return nil
	}
	still := make(map[rateKey]bool, len(fetched))
	for _, rate := range fetched {
		still[keyOf(rate)] = true
	}
	var gone []Rate
	for key, rate := range known {
		if rate.Source == source.Name() && rate.ValidTo != 0 && !still[key] {
			rate.USD, rate.Fault = decimal.Decimal{}, "the file does not state it any more"
			rate.FetchedAt = fetched[0].FetchedAt
			gone = append(gone, rate)
		}
	}
	return gone
}

// same reports whether a rate that was fetched again says what is known.
func same(old, rate Rate) bool {
	return old.USD.Equal(rate.USD) && old.Open() == rate.Open() && old.early() == rate.early() &&
		old.ValidTo == rate.ValidTo && old.Fault == rate.Fault
}
