package sql_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same on every machine

	"github.com/shopspring/decimal"

	"tributary/sql"
)

// asked are the parameters of one question.
type asked struct {
	from, to        time.Time
	unit, dimension string
	zone            *time.Location
	only, without   map[string][]string
	currency, rates string
	noVisitors      bool
}

// asking are the dimensions that questions may name.
var asking = append(slices.Clone(dimensions), "product")

// zones have clocks that are changed at two or three at night, at midnight (Cairo, Havana,
// Santiago), by half an hour (Lord Howe), or never.
var zones = []string{
	"UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns", "America/New_York", "Pacific/Auckland",
	"Pacific/Marquesas", "Africa/Cairo", "America/Havana", "America/Santiago", "Australia/Lord_Howe",
}

// randomAsk returns values for a question. What the question does not take has its default.
func (w *world) randomAsk(r *rand.Rand, q sql.Question) asked {
	a := asked{
		from:      w.begin.Add(time.Duration(r.Int64N(80*24*3600)) * time.Second),
		unit:      [...]string{"hour", "day", "week", "month", "quarter"}[r.IntN(5)],
		dimension: asking[r.IntN(len(asking))], only: make(map[string][]string), without: make(map[string][]string),
		currency: [...]string{"usd", "eur", "jpy", "kwd", "gbp"}[r.IntN(5)], rates: [...]string{"", "ecb", "oxr"}[r.IntN(3)],
	}
	days := 60
	if a.unit == "hour" {
		days = 3
	}
	a.to = a.from.Add(time.Duration(1+r.Int64N(int64(days)*24*3600)) * time.Second)
	a.zone, _ = time.LoadLocation(zones[r.IntN(len(zones))])
	for _, filter := range []map[string][]string{a.only, a.without} {
		for range r.IntN(3) {
			d := asking[r.IntN(len(asking))]
			filter[d] = [][]string{{""}, {d + "1"}, {d + "1", ""}, {"O'Neil\\" + d, "Zoë,\t\"" + d + "\"\n東京"},
				{"nobody"}}[r.IntN(5)]
		}
	}
	if !takes(q, "only") {
		a.only, a.without = nil, nil
	}
	if !takes(q, "currency") {
		a.currency, a.rates = "usd", ""
	}
	if !takes(q, "dimension") {
		a.dimension = ""
	}
	if q.Name == "landing_pages" {
		a.dimension = [...]string{"landing_page", "referrer", "browser"}[r.IntN(3)]
		delete(a.only, "product")
		delete(a.without, "product")
	}
	if q.Name == "return_on_spend" {
		a.dimension = [...]string{"affiliate", "source", "campaign", "channel"}[r.IntN(4)]
	}
	a.noVisitors = takes(q, "visitors") && a.from.Unix()%2 == 0
	whole := [...]time.Duration{time.Second, 15 * time.Minute, 24 * time.Hour}[a.to.Unix()%3]
	a.from, a.to = a.from.Truncate(whole), a.to.Add(whole-1).Truncate(whole)
	return a
}

func takes(q sql.Question, name string) bool {
	return slices.ContainsFunc(q.Parameters, func(p sql.Parameter) bool { return p.Name == name })
}

// parameters are the values as programs give them to the API.
func (a asked) parameters() map[string]string {
	only, _ := json.Marshal(a.only) // maps of lists of strings
	without, _ := json.Marshal(a.without)
	return map[string]string{
		"workspace": "w", "from": a.from.Format(time.DateTime), "to": a.to.Format(time.DateTime), "unit": a.unit,
		"timezone": a.zone.String(), "dimension": a.dimension, "only": string(only), "without": string(without),
		"currency": a.currency, "rates": a.rates, "limit": "1000", "step": fmt.Sprint(step),
		"visitors": fmt.Sprint(!a.noVisitors),
	}
}

// step is that of timeseries, in seconds.
const step = 3 * 3600

// given are the parameters that a question takes.
func (a asked) given(q sql.Question) map[string]string {
	given := a.parameters()
	maps.DeleteFunc(given, func(name, _ string) bool { return !takes(q, name) })
	return given
}

// literals are the values as curl gives them to ClickHouse.
func (a asked) literals(q sql.Question) map[string]string {
	literal := func(filter map[string][]string) string {
		var entries []string
		for d, names := range filter {
			list := make([]string, len(names))
			for i, name := range names {
				list[i] = quoted(name)
			}
			entries = append(entries, quoted(d)+":["+strings.Join(list, ",")+"]")
		}
		return "{" + strings.Join(entries, ",") + "}"
	}
	given := parameters(q)
	maps.Copy(given, a.parameters())
	given["only"], given["without"] = literal(a.only), literal(a.without)
	return given
}

// fits reports whether the question is about what happened.
func (a asked) fits(e happening) bool {
	if !e.counts || e.at.Before(a.from) || !e.at.Before(a.to) {
		return false
	}
	for d, names := range a.only {
		if !slices.Contains(names, e.names[d]) {
			return false
		}
	}
	for d, names := range a.without {
		if slices.Contains(names, e.names[d]) {
			return false
		}
	}
	return true
}

// truncate returns the begin of the unit that a time is in.
func (a asked) truncate(at time.Time) time.Time {
	local := at.In(a.zone)
	year, month, day := local.Date()
	switch a.unit {
	case "hour":
		start := local.Add(-time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second)
		if start.Minute() == 30 { // clocks were changed by half an hour since, when this hour began
			start = start.Add(30 * time.Minute)
		}
		return start
	case "week":
		day -= (int(local.Weekday()) + 6) % 7
	case "month":
		day = 1
	case "quarter":
		month, day = (month-1)/3*3+1, 1
	}
	start := time.Date(year, month, day, 0, 0, 0, 0, a.zone)
	wanted := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if start.Format(time.DateOnly) < wanted.Format(time.DateOnly) {
		return start.Add(time.Hour) // clocks are put forward at midnight: the day begins at 01:00
	}
	return start
}

// next returns the begin of the unit after the one that begins at a time.
func (a asked) next(start time.Time) time.Time {
	months, days := 0, 0
	switch a.unit {
	case "hour":
		return a.truncate(start.Add(time.Hour))
	case "day":
		days = 1
	case "week":
		days = 7
	case "month":
		months = 1
	case "quarter":
		months = 3
	}
	return a.truncate(start.AddDate(0, months, days).Add(2 * time.Hour)) // midnight may be an hour off
}

// shown returns an entry's net amount in the reporting currency, and whether there is a rate.
func (w *world) shown(e happening, currency, source string) (decimal.Decimal, bool) {
	if e.currency == currency {
		exponent := map[string]int32{"usd": -2, "eur": -2, "jpy": 0, "kwd": -3}[currency]
		return decimal.New(e.amount-e.tax, exponent), true
	}
	if e.usd == nil {
		return decimal.Zero, false
	}
	if currency == "usd" {
		return *e.usd, true
	}
	for back := range 8 {
		of := w.rates[currency][e.at.AddDate(0, 0, -back).Format(time.DateOnly)]
		for _, s := range []string{source, "ecb", "oxr"} {
			if rate, ok := of[s]; ok {
				return e.usd.DivRound(rate, 30).RoundBank(6), true
			}
		}
	}
	return decimal.Zero, false
}

// figures are counted of one name or unit of time.
type figures struct {
	clicks, leads, refunds, disputes, withoutRate int
	visitors, sales, customers                    map[string]bool // customers are first sales
	buyers, again                                 map[string]bool // who bought first, and not first
	net, newNet                                   decimal.Decimal // newNet of first sales
}

func (f *figures) add(e happening, net decimal.Decimal, rated bool) {
	switch e.what {
	case "click":
		f.clicks++
		f.visitors[e.who] = true
		return
	case "lead":
		f.leads++
		return
	}
	f.net = f.net.Add(net)
	if e.first {
		f.newNet = f.newNet.Add(net)
	}
	if !rated {
		f.withoutRate++
	}
	switch e.kind {
	case "refund":
		f.refunds++
	case "dispute":
		f.disputes++
	case "payment":
		f.sales[e.sale] = true
		if e.first {
			f.customers[e.sale], f.buyers[e.who] = true, true
		} else {
			f.again[e.who] = true
		}
	}
}

// count adds up what the question is about under each of the keys of what happened.
func (w *world) count(a asked, keys func(happening) []string) map[string]*figures {
	counted := make(map[string]*figures)
	for _, e := range w.events {
		net, rated := decimal.Zero, false
		if e.what == "entry" {
			net, rated = w.shown(e, a.currency, a.rates)
		}
		for _, part := range a.parts(e, net) {
			if !a.fits(part.of) {
				continue
			}
			for _, key := range keys(part.of) {
				if counted[key] == nil {
					counted[key] = newFigures()
				}
				counted[key].add(part.of, part.net, rated)
			}
		}
	}
	return counted
}

// part is what happened, as far as it is of one product.
type part struct {
	of  happening
	net decimal.Decimal
}

// parts are an entry's, if the question names products. Each is cut off at six places after all
// before it, so that they add up to the whole.
func (a asked) parts(e happening, net decimal.Decimal) []part {
	if a.dimension != "product" && a.only["product"] == nil && a.without["product"] == nil || len(e.products) == 0 ||
		e.amount == e.tax {
		return []part{{e, net}}
	}
	var list []part
	var upto int64
	var before decimal.Decimal
	for _, p := range e.products {
		upto += p.net
		of := e
		of.names = maps.Clone(e.names)
		of.names["product"] = p.name
		all, _ := net.Mul(decimal.NewFromInt(upto)).QuoRem(decimal.NewFromInt(e.amount-e.tax), 6)
		list, before = append(list, part{of, all.Sub(before)}), all
	}
	return list
}

func newFigures() *figures {
	set := func() map[string]bool { return make(map[string]bool) }
	return &figures{visitors: set(), sales: set(), customers: set(), buyers: set(), again: set()}
}

// whole counts everything together.
func (w *world) whole(a asked) *figures {
	if f := w.count(a, func(happening) []string { return []string{""} })[""]; f != nil {
		return f
	}
	return newFigures()
}

func written(counted map[string]*figures, write func(*figures) string) map[string]string {
	lines := make(map[string]string, len(counted))
	for key, f := range counted {
		lines[key] = write(f)
	}
	return lines
}

func (f *figures) String() string {
	return fmt.Sprintf("%d %d %d %d %d %s %d", f.clicks, len(f.visitors), f.leads, len(f.sales), len(f.customers), f.net,
		f.withoutRate)
}

func (w *world) breakdown(a asked) map[string]string {
	return written(w.count(a, func(e happening) []string { return []string{e.names[a.dimension]} }), (*figures).String)
}

func (w *world) trend(a asked) map[string]string {
	bucket := func(at time.Time) string {
		start := a.truncate(at)
		next := a.next(start)
		return fmt.Sprintf("%s %s %s %t", start.Format(time.DateTime), start.UTC().Format(time.DateTime),
			next.Format(time.DateTime), start.Before(a.from) || next.After(a.to))
	}
	counted := w.count(a, func(e happening) []string { return []string{bucket(e.at)} })
	empty := func(at time.Time) {
		if key := bucket(at); counted[key] == nil {
			counted[key] = newFigures()
		}
	}
	for at := a.from; at.Before(a.to); at = at.Add(15 * time.Minute) {
		empty(at)
	}
	empty(a.to.Add(-time.Second))
	return written(counted, (*figures).String)
}

func (w *world) newAndReturning(a asked) map[string]string {
	return written(w.count(a, func(e happening) []string {
		if e.what != "entry" {
			return nil
		}
		return []string{a.truncate(e.at).Format(time.DateTime)}
	}), func(f *figures) string {
		return fmt.Sprintf("%d %d %s %s %d", len(f.customers), len(f.sales)-len(f.customers), f.newNet,
			f.net.Sub(f.newNet), f.withoutRate)
	})
}

func (w *world) funnel(a asked) map[string]string {
	f := w.whole(a)
	return map[string]string{"visitors": fmt.Sprint(len(f.visitors)), "leads": fmt.Sprint(f.leads),
		"buyers": fmt.Sprint(len(f.buyers)), "returning": fmt.Sprint(len(f.again))}
}

func (w *world) totals(a asked) map[string]string {
	f := w.whole(a)
	return map[string]string{"": fmt.Sprintf("%d %d 0 %d 0 %d %d %d %s", f.clicks, len(f.visitors), f.leads, len(f.sales),
		f.refunds, f.disputes, f.net.StringFixed(2))}
}

func (w *world) timeseries(a asked) map[string]string {
	return written(w.count(a, func(e happening) []string {
		if e.what == "lead" {
			return nil
		}
		return []string{e.at.Truncate(step * time.Second).Format(time.DateTime)}
	}), func(f *figures) string {
		return fmt.Sprintf("%d %d %s", f.clicks, len(f.sales), f.net.StringFixed(2))
	})
}

func (w *world) top(a asked) map[string]string {
	return written(w.count(a, func(e happening) (keys []string) {
		for _, d := range []string{"affiliate", "link", "campaign"} {
			if name := e.names[d]; name != "" {
				keys = append(keys, d+" "+name)
			}
		}
		return keys
	}), func(f *figures) string {
		return fmt.Sprintf("%d %d %d %s", f.clicks, f.leads, len(f.sales), f.net.StringFixed(2))
	})
}

// returnOnSpend counts without what was spent, of which there is nothing.
func (w *world) returnOnSpend(a asked) map[string]string {
	return written(w.count(a, func(e happening) []string { return []string{e.names[a.dimension]} }),
		func(f *figures) string {
			return fmt.Sprintf("0 %d %d %s %d", f.clicks, len(f.customers), f.net, f.withoutRate)
		})
}

// landingPages counts clicks, and the sales that are credited to each of them, whenever they were made.
func (w *world) landingPages(a asked) map[string]string {
	counted := make(map[string]*figures)
	for i, e := range w.events {
		credit := e
		if e.what == "entry" && e.credited > 0 {
			i, credit = e.credited, w.events[e.credited]
		}
		if credit.what != "click" || !a.fits(credit) {
			continue
		}
		f := counted[credit.names[a.dimension]]
		if f == nil {
			f = newFigures()
			counted[credit.names[a.dimension]] = f
		}
		net, rated := decimal.Zero, e.usd != nil
		if rated {
			net = *e.usd
		}
		e.sale = fmt.Sprint(i, " ", e.sale) // a sale counts once for each click
		f.add(e, net, rated)
	}
	return written(counted, func(f *figures) string {
		return fmt.Sprintf("%d %d %d %s", f.clicks, len(f.visitors), len(f.sales), f.net)
	})
}
