package sql_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tributary/sql/sqltest"
)

// click and buy are what the test makes of clicks and ledger.
type click struct {
	at                      time.Time
	id, visitor, name, link string
	channel, foreign        string
	bot                     bool
}

type buy struct {
	at                   time.Time
	id, visitor, name    string
	customer             string
	payment, refund, net int64 // micro-dollars
}

var channels = []string{"affiliate", "direct", "email", "paid_search"}

// randomPaths makes clicks and sales of a hundred days: visitors who come often, within the hour
// and by redirects that report twice, one of them two hundred times; bots; sales without a visitor,
// of buyers with several browsers, and in the second of a click; refunds, some of more than was
// paid; and amounts that no number of clicks divides.
func randomPaths(r *rand.Rand) ([]click, []buy) {
	begin := time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	within := func() time.Time { return begin.Add(time.Duration(r.Int64N(100*24*60)) * time.Minute) }
	var clicks []click
	add := func(c click) {
		c.id = fmt.Sprintf("024d5a1e-7800-7000-8000-%012d", len(clicks))
		clicks = append(clicks, c)
	}
	random := func(at time.Time, visitor int) click {
		name := fmt.Sprint("a", r.IntN(5))
		return click{at: at, visitor: fmt.Sprint("v", visitor), name: name, link: "l" + name, channel: channels[r.IntN(4)]}
	}
	for i := range 1100 {
		visitor := r.IntN(120)
		if i < 200 {
			visitor = 0
		}
		c := random(within(), visitor)
		if r.IntN(4) == 0 {
			c.foreign = fmt.Sprint("f", i)
		}
		c.bot = r.IntN(20) == 0
		add(c)
		for r.IntN(3) == 0 { // again within two hours, by the same link or by that of the page behind it
			if c.at = c.at.Add(time.Duration(r.IntN(120)) * time.Minute); c.foreign != "" {
				c.link, c.name = "page", "a9"
			}
			add(c)
		}
	}
	var sales []buy
	for i := range 250 {
		s := buy{at: within(), id: fmt.Sprint("pi_", i), name: fmt.Sprint("a", r.IntN(7)), payment: 1 + r.Int64N(1e9)}
		s.customer = s.id
		if r.IntN(5) > 0 {
			visitor := r.IntN(120)
			s.visitor = fmt.Sprint("v", visitor)
			if r.IntN(4) == 0 {
				add(random(s.at.Add(500*time.Millisecond), visitor)) // Stripe's times are whole seconds
				add(random(s.at.Add(time.Second), visitor))
			}
		}
		if r.IntN(2) == 0 {
			s.customer = fmt.Sprint("c", r.IntN(50))
		}
		if r.IntN(3) == 0 {
			s.refund = -(1 + r.Int64N(s.payment+s.payment/2))
		}
		s.net = s.payment + s.refund
		sales = append(sales, s)
	}
	return clicks, sales
}

func insertPaths(t *testing.T, dsn, workspace string, clicks []click, sales []buy) {
	t.Helper()
	const layout = "2006-01-02 15:04:05.000"
	rows := make([]string, 0, len(clicks))
	for _, c := range clicks {
		rows = append(rows, fmt.Sprintf("('%s', UUIDStringToNum('%s'), '%s', '%[3]s', '%s', '%s', '%s', '%s', '%s', %t, 1)",
			workspace, c.id, c.at.Format(layout), c.visitor, c.name, c.link, c.channel, c.foreign, c.bot))
	}
	ask(t, dsn, "INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, affiliate_id, "+
		"link_id, channel, foreign_id, is_bot, version) VALUES "+strings.Join(rows, ","), nil)
	rows = rows[:0]
	for i, s := range sales {
		entry := func(kind string, at time.Time, micros int64) {
			rows = append(rows, fmt.Sprintf("('%s', '%06d%s', true, toDate('%[4]s'), '%[3]s', '%[5]s', '%[4]s', 'eur', %[6]d, "+
				"%[7]s, '%[8]s', '%[9]s', '%[10]s', 'booked', 1)", workspace, i, kind, at.Format(layout), s.id, micros,
				decimal.New(micros, -6), s.visitor, s.name, s.customer))
		}
		entry("payment", s.at, s.payment)
		if s.refund != 0 {
			entry("refund", s.at.AddDate(0, 0, 40), s.refund)
		}
	}
	ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, sale_id, occurred_at, currency, "+
		"amount, net_usd, "+
		"visitor_id, affiliate_id, external_customer_id, status, version) VALUES "+strings.Join(rows, ","), nil)
}

// touchesOf returns the clicks that count before a sale, oldest first. copies are those that a
// redirect and the page behind it report twice.
func touchesOf(clicks []click, copies, browsers map[string]bool, s buy, lookback time.Duration) []click {
	var own []click
	for _, c := range clicks {
		if browsers[c.visitor] && !c.bot && c.at.Before(s.at.Add(time.Second)) {
			own = append(own, c)
		}
	}
	repeated := repeats(own, func(c click) string { return c.visitor + c.link })
	own = slices.DeleteFunc(own, func(c click) bool {
		return repeated[c.id] || copies[c.id] || c.at.Before(s.at.Add(-lookback))
	})
	slices.SortFunc(own, byTime)
	return own
}

func byTime(a, b click) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) }

// repeats returns the clicks that follow one of the same key that counts by at most an hour.
func repeats(clicks []click, key func(click) string) map[string]bool {
	last := make(map[string]time.Time) // by key: the last click that counted
	repeated := make(map[string]bool)
	for _, c := range slices.SortedFunc(slices.Values(clicks), byTime) {
		if before, ok := last[key(c)]; ok && !c.at.After(before.Add(time.Hour)) {
			repeated[c.id] = true
			continue
		}
		last[key(c)] = c.at
	}
	return repeated
}

// weightsOf are the models of attribution_models, data_driven left out, in its columns' order.
// decay counts whole seconds.
func weightsOf(path []click, halfLife float64) [][]int64 {
	n := len(path)
	models := make([][]int64, 6)
	for m := range models {
		models[m] = make([]int64, n)
	}
	models[0][0], models[1][n-1] = 1, 1
	direct := n - 1
	for i, c := range path {
		if c.channel != "direct" {
			direct = i
		}
		models[3][i], models[4][i] = 1, 1
		if n > 2 && (i == 0 || i == n-1) {
			models[4][i] = int64(2 * (n - 2))
		}
		models[5][i] = int64(math.Round(math.Exp2(-float64(path[n-1].at.Unix()-c.at.Unix())/86400/halfLife) * 1e9))
	}
	models[2][direct] = 1
	return models
}

// TestAttributionModels compares with a count in Go over random paths, and sees that each model
// gives away the same money to the micro-dollar.
func TestAttributionModels(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	const halfLife = 5
	for seed, lookback := range []int{20, 1, 65535} { // the last begins before 1970
		clicks, sales := randomPaths(rand.New(rand.NewPCG(uint64(seed), 1)))
		workspace := fmt.Sprint("w", seed)
		insertPaths(t, dsn, workspace, clicks, sales)
		from, to := time.Date(2050, 1, 15, 0, 0, 0, 0, time.UTC), time.Date(2050, 4, 1, 0, 0, 0, 0, time.UTC)
		want, total := countModels(clicks, sales, from, to, time.Duration(lookback)*24*time.Hour, halfLife)
		q := question(t, "attribution_models")
		given := parameters(q)
		maps.Copy(given, map[string]string{
			"workspace": workspace, "from": from.Format(time.DateTime), "to": to.Format(time.DateTime),
			"lookback_days": fmt.Sprint(lookback), "half_life_days": fmt.Sprint(halfLife),
		})
		sums := make([]decimal.Decimal, 8)
		for line := range strings.Lines(ask(t, dsn, q.Text+"FORMAT TSV", given)) {
			cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			for i := range sums {
				usd := decimal.RequireFromString(cells[2+i])
				sums[i] = sums[i].Add(usd)
				if i < 7 && !usd.Equal(decimal.New(want[cells[0]][i], -6)) {
					t.Errorf("seed %d, %s, column %d: %s, counted %s", seed, cells[0], i, usd, decimal.New(want[cells[0]][i], -6))
				}
			}
			delete(want, cells[0])
		}
		if len(want) > 0 {
			t.Errorf("seed %d: no row for %v", seed, want)
		}
		for i, sum := range sums {
			if !sum.Equal(decimal.New(total, -6)) {
				t.Errorf("seed %d: column %d gives away %s of %s", seed, i, sum, decimal.New(total, -6))
			}
		}
	}
}

// countModels returns micro-dollars by name and column: the ledger's, then the models', without
// data_driven.
func countModels(clicks []click, sales []buy, from, to time.Time, lookback time.Duration, halfLife float64,
) (byName map[string][7]int64, total int64) {
	byName = make(map[string][7]int64)
	add := func(name string, column int, micros int64) {
		row := byName[name]
		row[column] += micros
		byName[name] = row
	}
	foreign := slices.DeleteFunc(slices.Clone(clicks), func(c click) bool { return c.foreign == "" || c.bot })
	copies := repeats(foreign, func(c click) string { return c.foreign })
	browsers := make(map[string]map[string]bool) // by buyer
	for _, s := range sales {
		if browsers[s.customer] == nil {
			browsers[s.customer] = make(map[string]bool)
		}
		if s.visitor != "" {
			browsers[s.customer][s.visitor] = true
		}
	}
	for _, s := range sales {
		if s.at.Before(from) || !s.at.Before(to) {
			continue
		}
		total += s.net
		add(s.name, 0, s.net)
		path := touchesOf(clicks, copies, browsers[s.customer], s, lookback)
		if len(path) == 0 {
			path = []click{{at: s.at, name: s.name}}
		}
		for m, weights := range weightsOf(path, halfLife) {
			for i, micros := range divide(s.net, weights) {
				add(path[i].name, 1+m, micros)
			}
		}
	}
	return byName, total
}

// TestChannelEffects compares with a count in Go over random paths, while days are read from clicks
// and from clicks_by_day. Browsers without an id are in no path.
func TestChannelEffects(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	clicks, sales := randomPaths(rand.New(rand.NewPCG(9, 1)))
	insertPaths(t, dsn, "paths", clicks, sales)
	ask(t, dsn, "INSERT INTO clicks (workspace, click_id, clicked_at, received_at, identity_hash, channel, version) "+
		"SELECT 'paths', toFixedString(concat('nobody', leftPad(toString(number), 10, '0')), 16), "+
		"toDateTime64('2050-02-01 00:00:00', 3, 'UTC') + INTERVAL number HOUR AS at, at, toFixedString(toString(number % 9), 8), "+
		"['email', 'referral', 'direct'][1 + number % 3], 1 FROM numbers(500)", nil)
	from, to := time.Date(2050, 1, 15, 0, 0, 0, 0, time.UTC), time.Date(2050, 4, 1, 0, 0, 0, 0, time.UTC)
	want := countEffects(clicks, sales, from, to, 20*24*time.Hour)
	q := question(t, "channel_effects")
	given := parameters(q)
	maps.Copy(given, map[string]string{
		"workspace": "paths", "from": from.Format(time.DateTime), "to": to.Format(time.DateTime), "lookback_days": "20",
	})
	for _, days := range []string{"open", "closed"} {
		got := make(map[string]float64)
		for line := range strings.Lines(ask(t, dsn, q.Text+"FORMAT TSV", given)) {
			channel, effect, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got[channel], _ = strconv.ParseFloat(effect, 64)
		}
		if !maps.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-6 }) {
			t.Errorf("%s days: %v, counted %v", days, got, want)
		}
		refresh(t, dsn)
	}
}

// countEffects returns by channel which part of the sales would be lost without it: the visitors'
// steps from channel to channel as a Markov chain, followed for a hundred steps.
func countEffects(clicks []click, sales []buy, from, to time.Time, lookback time.Duration) map[string]float64 {
	begin := from.Add(-lookback)
	clicks = slices.DeleteFunc(slices.Clone(clicks), func(c click) bool { return c.bot || !c.at.Before(to) })
	foreign := slices.DeleteFunc(slices.Clone(clicks), func(c click) bool { return c.foreign == "" })
	copies := repeats(foreign, func(c click) string { return c.foreign })
	repeated := repeats(clicks, func(c click) string { return c.visitor + c.link })
	bought := make(map[string]int64) // by visitor: the second of the last sale
	for _, s := range sales {
		if s.visitor != "" && !s.at.Before(from) && s.at.Before(to) {
			bought[s.visitor] = max(bought[s.visitor], s.at.Unix())
		}
	}
	slices.SortFunc(clicks, func(a, b click) int {
		return cmp.Or(cmp.Compare(a.at.Unix(), b.at.Unix()), cmp.Compare(a.channel, b.channel))
	})
	paths := make(map[string][]string)
	for _, c := range clicks {
		end, sold := bought[c.visitor]
		path := paths[c.visitor]
		if copies[c.id] || repeated[c.id] || c.at.Before(begin) || sold && c.at.Unix() > end ||
			len(path) > 0 && path[len(path)-1] == c.channel {
			continue
		}
		paths[c.visitor] = append(path, c.channel)
	}
	const start, sale, end = "start", "sale", "end"
	steps, total := make(map[[2]string]float64), make(map[string]float64)
	for visitor, path := range paths {
		last := end
		if _, sold := bought[visitor]; sold {
			last = sale
		}
		at := start
		for _, next := range append(path, last) {
			steps[[2]string{at, next}]++
			total[at]++
			at = next
		}
	}
	chance := func(without string) (sold float64) {
		where := map[string]float64{start: 1}
		for range 101 {
			next := make(map[string]float64)
			for step, n := range steps {
				if step[1] != without {
					next[step[1]] += where[step[0]] * n / total[step[0]]
				}
			}
			sold += next[sale]
			where = next
		}
		return sold
	}
	effects := make(map[string]float64)
	for channel := range total {
		if channel != start {
			effects[channel] = 1 - chance(channel)/chance("")
		}
	}
	return effects
}

// divide divides money in proportion to weights; what is left goes to the last.
func divide(micros int64, weights []int64) []int64 {
	sum := new(big.Int)
	for _, w := range weights {
		sum.Add(sum, big.NewInt(w))
	}
	parts, left := make([]int64, len(weights)), micros
	for i, w := range weights {
		part := new(big.Int).Mul(big.NewInt(micros), big.NewInt(w))
		parts[i] = part.Quo(part, sum).Int64()
		left -= parts[i]
	}
	parts[len(parts)-1] += left
	return parts
}
