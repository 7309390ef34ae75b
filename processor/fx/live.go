package fx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Store keeps the rates that conversions use. Its methods wait out what can be waited out.
type Store interface {
	// Rates returns every rate ever kept.
	Rates(ctx context.Context) ([]Rate, error)
	// RatesVersion returns what changes whenever rates are stored, by whomever. It is cheap.
	RatesVersion(ctx context.Context) (string, error)
	// InsertRates keeps rates; of two of one source, currency and day the one fetched later stands.
	InsertRates(ctx context.Context, rates []Rate) error
	// Unconverted lists what is booked and has no USD, by currency.
	Unconverted(ctx context.Context) ([]Unconverted, error)
	DayStore
}

// Unconverted is what of one currency is booked without a rate.
type Unconverted struct {
	Currency string    `json:"currency"`
	Entries  uint64    `json:"entries"`
	Amount   int64     `json:"amount_minor"` // sum, minor units, signed
	Oldest   time.Time `json:"oldest"`
	Newest   time.Time `json:"newest"`
}

// Live is the table of exchange rates that the processor converts by, kept up to date. What was
// fetched is stored first, so that a conversion only ever uses a rate that is kept: replaying with
// the same stored rates gives the same bytes.
type Live struct {
	store     Store
	sources   []Source
	exponents Exponents
	log       *slog.Logger
	metrics   *Metrics

	table   atomic.Pointer[Table]
	missing atomic.Pointer[[]Unconverted]
	version string          // of the stored rates that the table was made of
	unread  []error         // why sources were not read when all were fetched last
	said    map[string]bool // what was held back and is in the log
	kept    struct {        // of what the rates of days are kept, and when the first day was looked up
		table *Table
		today Date
		at    time.Time
	}
}

// NewLive makes a table of the sources, most preferred first; Load or LoadStored fills it. metrics
// may be nil.
func NewLive(store Store, sources []Source, exponents Exponents, log *slog.Logger, metrics *Metrics) *Live {
	return &Live{
		store: store, sources: sources, exponents: exponents, log: log, metrics: metrics,
		said: make(map[string]bool),
	}
}

// Convert returns the rate of a movement's own UTC day and Stripe's exponent of the currency; false
// where there is no rate, or Stripe does not list the currency.
func (l *Live) Convert(currency string, at time.Time) (Quote, int, bool) {
	exponent, known := l.exponents.Of(currency)
	if !known {
		l.metrics.noRate("unknown")
		return Quote{}, 0, false
	}
	quote, ok := l.table.Load().Lookup(currency, DateOf(at))
	if !ok {
		l.metrics.noRate(currency)
	}
	return quote, exponent, ok
}

// Exponents returns the exponents that Convert uses.
func (l *Live) Exponents() Exponents { return l.exponents }

// Table returns the table as it stands; nil before the first load.
func (l *Live) Table() *Table { return l.table.Load() }

// unconverted returns the currencies in which money is booked without a rate, as of the last count.
func (l *Live) unconverted() []Unconverted {
	if missing := l.missing.Load(); missing != nil {
		return *missing
	}
	return nil
}

// Load fetches every source, stores what is new, and makes the table of all that is stored. A
// source that cannot be read is logged and left for the next time; what it gave before still
// counts. It reports whether rates came that were not there before.
func (l *Live) Load(ctx context.Context) (bool, error) {
	return l.load(ctx, true)
}

// Unread returns why the last Load left out sources; nil: it read all of them.
func (l *Live) Unread() error { return errors.Join(l.unread...) }

// LoadStored makes the table of what is stored; the sources only give their order of preference.
func (l *Live) LoadStored(ctx context.Context) error {
	_, err := l.load(ctx, false)
	return err
}

func (l *Live) load(ctx context.Context, fetch bool) (bool, error) {
	// The version is read before the rates: what is stored in between is noticed by the next look.
	version, err := l.store.RatesVersion(ctx)
	if err != nil {
		return false, err
	}
	stored, err := l.store.Rates(ctx)
	if err != nil {
		return false, err
	}
	known := make(map[rateKey]Rate, len(stored))
	for _, rate := range stored {
		known[keyOf(rate)] = rate
	}
	fresh := 0
	l.unread = nil
	for _, source := range l.sources {
		if !fetch || source.builtIn() {
			continue
		}
		fetched, err := source.Fetch(ctx)
		if err != nil {
			l.metrics.fetchFailed(source.Name())
			l.unread = append(l.unread, err)
			l.log.Warn("exchange rates not read; what is stored still counts", "source", source.Name(), "error", err)
			continue
		}
		n, err := l.keep(ctx, source, fetched, known)
		if err != nil {
			return false, err
		}
		fresh += n
	}
	l.set(known)
	l.version = version
	return fresh > 0, nil
}

// set makes the table of all known rates.
func (l *Live) set(known map[rateKey]Rate) {
	lists, pegsAfter := l.inOrder(known)
	table := NewTable(lists, Options{Pegs: BuiltInPegs(), PegsAfter: pegsAfter})
	held := table.HeldBack()
	l.metrics.heldBack(held)
	l.warn(held)
	l.table.Store(table)
}

// warn logs what is held back, each once, and not more at a time than somebody reads.
func (l *Live) warn(held []HeldBack) {
	const most = 20
	fresh := 0
	for _, h := range held {
		text := h.String()
		if l.said[text] {
			continue
		}
		l.said[text] = true
		if fresh++; fresh <= most {
			l.log.Warn("exchange rate not used", "rate", text)
		}
	}
	if fresh > most {
		l.log.Warn("exchange rates not used (hint: `processor fx` lists them)", "more", fresh-most)
	}
}

// inOrder returns the rates of each source, most preferred first, and how many come before the
// pegs. Preference is the order of the sources; what only earlier runs had follows, by name. The
// pegs are last of all unless a source is named after them.
func (l *Live) inOrder(known map[rateKey]Rate) (lists [][]Rate, pegsAfter int) {
	bySource := make(map[string][]Rate)
	for _, rate := range known {
		bySource[rate.Source] = append(bySource[rate.Source], rate)
	}
	pegsAfter = len(bySource)
	for i, source := range l.sources {
		if source.builtIn() && i < len(l.sources)-1 {
			pegsAfter = len(lists)
		}
		if rates := bySource[source.Name()]; len(rates) > 0 {
			lists = append(lists, rates)
			delete(bySource, source.Name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bySource)) {
		lists = append(lists, bySource[name])
	}
	return lists, pegsAfter
}

// Run keeps the table up to date until ctx ends: the sources are read again every refresh; what
// others stored, `processor fx --fetch` for example, is noticed every poll. arrived is called when
// rates came that were not there before, so that what waits for them is completed at once.
func (l *Live) Run(ctx context.Context, refresh, poll time.Duration, arrived func()) error {
	const countEvery = time.Minute
	var counted time.Time
	fetched := time.Now()
	for {
		if time.Since(counted) >= countEvery {
			counted = time.Now()
			if err := l.count(ctx); err != nil {
				return endedOr(ctx, err)
			}
		}
		if err := l.KeepDays(ctx, time.Now()); err != nil {
			return endedOr(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(poll, refresh)):
		}
		var changed bool
		var err error
		if time.Since(fetched) >= refresh {
			fetched = time.Now()
			changed, err = l.Load(ctx)
		} else {
			changed, err = l.reread(ctx)
		}
		if err != nil {
			return endedOr(ctx, err)
		}
		if changed {
			arrived()
		}
	}
}

// endedOr returns nil when ctx has ended, which is no fault.
func endedOr(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return fmt.Errorf("keep exchange rates: %w", err)
	}
	return nil
}

// reread makes the table anew if rates were stored since it was made, and reports whether.
func (l *Live) reread(ctx context.Context) (bool, error) {
	version, err := l.store.RatesVersion(ctx)
	if err != nil || version == l.version {
		return false, err
	}
	return true, l.LoadStored(ctx)
}

// count looks up which currencies have money booked without a rate.
func (l *Live) count(ctx context.Context) error {
	missing, err := l.store.Unconverted(ctx)
	if err != nil {
		return err
	}
	l.missing.Store(&missing)
	l.metrics.unconverted(missing)
	return nil
}

// Warning says in one line which currencies have money booked without a rate; empty: none.
func (l *Live) Warning() string {
	missing := l.unconverted()
	if len(missing) == 0 {
		return ""
	}
	parts := make([]string, len(missing))
	for i, m := range missing {
		parts[i] = fmt.Sprintf("%s (%d since %s)", m.Currency, m.Entries, m.Oldest.Format(time.DateOnly))
	}
	return "entries are booked without an exchange rate, and so in no sum in USD: " + strings.Join(parts, ", ") +
		" (hint: `processor fx` lists them; --fx-source file: or oxr: gives the rates)"
}
