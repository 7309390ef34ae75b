package fx

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

var (
	// strongest is more USD than one unit of any of Stripe's currencies has been worth since 1970:
	// the Kuwaiti dinar, the dearest, stays below four. A greater rate is one that was written the
	// wrong way round, or with its point in the wrong place.
	strongest = decimal.RequireFromString("10.000000000000000000")
	// maxConfirmed is the largest move, as a factor, that later days confirm. The devaluations
	// since 1999 were below twenty-five (VEF on 2018-08-20); a redenomination under the old code is
	// a thousand.
	maxConfirmed = decimal.New(100, 0)
	// maxContradiction is how far, as a factor, an operator's file may lie from the other sources.
	// Parallel markets differ from official rates by less; a misplaced point is ten.
	maxContradiction = decimal.New(5, 0)
	// A file's rate is taken for units per dollar if its product with another source's rate is 1 but
	// for nearInverse, and the two differ by more than unlikeInverse, both as fractions. Nearer to par
	// the two directions cannot be distinguished, and are nearly the same.
	nearInverse   = decimal.New(2, -2)
	unlikeInverse = decimal.New(5, -2)
)

// HeldBack is a rate that is not used, because it is not plausible.
type HeldBack struct {
	// Rate is the one that is not used.
	Rate Rate
	// Previous is what Rate was measured against: the last used rate before it, or another
	// source's. It is empty where Rate is no rate at all (Rate.Fault), or impossible by itself.
	Previous Rate
}

// String says what happened in one line, for a log or a report.
func (h HeldBack) String() string {
	switch {
	case h.Rate.Fault != "":
		return h.Rate.String() + "; it is left out"
	case h.Previous.Source == "":
		return fmt.Sprintf("%s is held back; no currency is worth that", h.Rate)
	case h.Previous.Source != h.Rate.Source:
		return fmt.Sprintf("%s is held back; %s says %s of %s", h.Rate, h.Previous.Source, h.Previous.USD,
			h.Previous.Date)
	}
	return fmt.Sprintf("%s is held back against %s of %s", h.Rate, h.Previous.USD, h.Previous.Date)
}

// Change returns by how much the rate moved, as a fraction of the previous one with four places:
// 0.25 is a rise by 25 %. It is 0 where there is no previous one.
func (h HeldBack) Change() decimal.Decimal {
	if h.Previous.USD.Sign() <= 0 || h.Rate.Fault != "" {
		return decimal.Decimal{}
	}
	return h.Rate.USD.Sub(h.Previous.USD).DivRound(h.Previous.USD, 4)
}

// plausible separates the usable rates of one source and currency, ascending by day, from the
// others.
func plausible(list []Rate, options Options) (series, []HeldBack) {
	f := filter{options: options}
	// What Stripe does not list, an ounce of gold for example, may be worth anything.
	_, money := Exponent(list[0].Currency)
	for _, rate := range list {
		if rate.Fault != "" || money && rate.USD.GreaterThan(strongest) {
			f.held = append(f.held, HeldBack{Rate: rate})
			continue
		}
		f.add(rate)
	}
	f.held = append(f.held, f.pending...)
	for _, h := range f.held {
		f.out.heldDays = append(f.out.heldDays, h.Rate.Date)
	}
	slices.Sort(f.out.heldDays)
	return f.out, f.held
}

// filter finds the moves of a currency that are too large to be used at once.
//
// Such a rate is held back until days in a row confirm it, Options.Persist of them with itself;
// then all of the move is used, its first days too. Nothing that was final changes by that:
// whatever fell back over a rate held back was provisional, and the sweep completes it.
type filter struct {
	options  Options
	out      series
	held     []HeldBack
	pending  []HeldBack // moved too far, not confirmed yet
	run      int        // how many days the last pending are in a row, each near the one before
	previous Rate       // the last that is used
}

func (f *filter) add(rate Rate) {
	newest := f.previous
	if len(f.pending) > 0 {
		newest = f.pending[len(f.pending)-1].Rate
	}
	// After a gap longer than a rate may be old there is nothing to measure against: currencies that
	// the bank dropped and took up again years later come back elsewhere.
	first := f.previous.USD.IsZero() || rate.Date-newest.last() > Date(f.options.MaxAge)
	if first || !moved(f.previous.USD, rate.USD, f.options.MaxMove) {
		f.held, f.pending = append(f.held, f.pending...), nil
		f.use(rate)
		f.previous = rate
		return
	}
	if len(f.pending) == 0 || moved(newest.USD, rate.USD, f.options.MaxMove) {
		f.run = 0 // not the same move as the day before
	}
	f.pending = append(f.pending, HeldBack{Rate: rate, Previous: f.previous})
	// A rate that is stated for several days confirms itself.
	f.run += 1 + min(int(rate.last()-rate.Date), f.options.Persist)
	if f.run >= f.options.Persist && !factor(f.previous.USD, rate.USD).GreaterThan(maxConfirmed) {
		f.confirm(rate)
	}
}

// confirm takes rate as confirmed. Of the rates held back before it, it uses those that lie between
// the old rate and this one. The others stay held back for good.
func (f *filter) confirm(rate Rate) {
	for _, p := range f.pending {
		if between(f.previous.USD, p.Rate.USD, rate.USD, f.options.MaxMove) {
			f.use(p.Rate)
		} else {
			f.held = append(f.held, p)
		}
	}
	f.previous, f.pending = rate, nil
}

func (f *filter) use(rate Rate) {
	if rate.ValidTo != 0 {
		f.out.periods = append(f.out.periods, rate)
		return
	}
	f.out.days = append(f.out.days, rate.Date)
	f.out.rates = append(f.out.rates, rate)
}

// moved reports whether to differs from from by more than the fraction of it.
func moved(from, to, fraction decimal.Decimal) bool {
	return to.Sub(from).Abs().GreaterThan(from.Mul(fraction))
}

// between reports whether a rate lies on the way from one to another, or within the fraction beside
// it. A crash may take several days, each far from the one before; a slip in the same days lies
// elsewhere.
func between(from, rate, to, fraction decimal.Decimal) bool {
	low, high := decimal.Min(from, to), decimal.Max(from, to)
	return !rate.LessThan(low.Sub(low.Mul(fraction))) && !rate.GreaterThan(high.Add(high.Mul(fraction)))
}

// factor returns how many times the greater of two rates is the smaller one.
func factor(a, b decimal.Decimal) decimal.Decimal {
	return decimal.Max(a, b).DivRound(decimal.Min(a, b), ratePlaces)
}

// contradicts reports whether another source's rate shows that a file's rate is a mistake: it is
// several times too large or too small, or it is units per dollar instead of dollars per unit. For
// EUR, GBP, AUD, CAD and others whose rate is near 1 the two directions differ little, and only the
// product of both rates shows which one it is.
func contradicts(stated, other decimal.Decimal) bool {
	inverse := !stated.Mul(other).Sub(one).Abs().GreaterThan(nearInverse) && moved(other, stated, unlikeInverse)
	return inverse || factor(stated, other).GreaterThan(maxContradiction)
}

// compareFiles holds back what operators' files say and another source contradicts: files are typed
// by hand, and their slips have no earlier rate beside them that would show them.
func (t *Table) compareFiles() {
	currencies := t.Currencies()
	// Pegged currencies come after those that they may be measured by.
	slices.SortStableFunc(currencies, func(a, b string) int { return cmp.Compare(t.pegCount(a), t.pegCount(b)) })
	for _, currency := range currencies {
		list := t.currencies[currency]
		for i := range list {
			if list[i].fromFile() {
				t.compareFile(list, &list[i])
			}
		}
	}
}

func (t *Table) pegCount(currency string) int {
	count := 0
	for _, s := range t.currencies[currency] {
		count += len(s.pegs)
	}
	return count
}

func (t *Table) compareFile(list []series, s *series) {
	s.keepOnly(func(rate Rate) bool {
		other, ok := t.elsewhere(list, rate)
		if !ok || !contradicts(rate.USD, other.USD) {
			return true
		}
		t.held = append(t.held, HeldBack{Rate: rate, Previous: other})
		s.heldDays = append(s.heldDays, rate.Date)
		t.size--
		return false
	})
	slices.Sort(s.heldDays)
}

func (s *series) fromFile() bool {
	file := func(list []Rate) bool { return len(list) > 0 && strings.HasPrefix(list[0].Source, fileKind) }
	return file(s.rates) || file(s.periods)
}

func (s *series) keepOnly(keep func(Rate) bool) {
	refused := func(rate Rate) bool { return !keep(rate) }
	s.periods = slices.DeleteFunc(s.periods, refused)
	s.rates = slices.DeleteFunc(s.rates, refused)
	s.days = s.days[:0]
	for _, rate := range s.rates {
		s.days = append(s.days, rate.Date)
	}
}

// elsewhere returns what a source that is no file says of a rate's day, or, of a rate for a period,
// of the last day of it that the other source knows.
func (t *Table) elsewhere(list []series, rate Rate) (Rate, bool) {
	for i := range list {
		s := &list[i]
		if s.pegs != nil {
			if quote, _, ok := t.pegged(s.pegs, rate.Date); ok {
				return quote.Rate, true
			}
			continue
		}
		if s.fromFile() {
			continue
		}
		if other, ok := s.at(rate.Date, t.maxAge); ok {
			return *other, true
		}
		if other, ok := s.at(rate.last(), maxDate); ok && other.Date >= rate.Date {
			return *other, true
		}
	}
	return Rate{}, false
}
