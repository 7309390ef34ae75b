package sql_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
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
	channel                 string
}

type buy struct {
	at                   time.Time
	id, visitor, name    string
	payment, refund, net int64 // micro-dollars
}

var channels = []string{"affiliate", "direct", "email", "paid_search"}

// randomPaths makes clicks and sales of a hundred days: visitors who come often and within the
// hour, sales without a visitor, refunds, and amounts that no number of clicks divides.
func randomPaths(r *rand.Rand) ([]click, []buy) {
	begin := time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	within := func() time.Time { return begin.Add(time.Duration(r.Int64N(100*24*60)) * time.Minute) }
	var clicks []click
	for i := range 900 {
		name := fmt.Sprint("a", r.IntN(5))
		c := click{
			at: within(), visitor: fmt.Sprint("v", r.IntN(120)), name: name, link: "l" + name, channel: channels[r.IntN(4)],
			id: fmt.Sprintf("024d5a1e-7800-7000-8000-%012d", i),
		}
		clicks = append(clicks, c)
		for r.IntN(3) == 0 { // again within two hours
			c.at = c.at.Add(time.Duration(r.IntN(120)) * time.Minute)
			c.id = fmt.Sprintf("024d5a1e-7800-7000-8001-%012d", len(clicks))
			clicks = append(clicks, c)
		}
	}
	var sales []buy
	for i := range 250 {
		s := buy{at: within(), id: fmt.Sprint("pi_", i), name: fmt.Sprint("a", r.IntN(7)), payment: 1 + r.Int64N(1e9)}
		if r.IntN(5) > 0 {
			s.visitor = fmt.Sprint("v", r.IntN(120))
		}
		if r.IntN(3) == 0 {
			s.refund = -(1 + r.Int64N(s.payment))
		}
		s.net = s.payment + s.refund
		sales = append(sales, s)
	}
	return clicks, sales
}

func insertPaths(t *testing.T, dsn, workspace string, clicks []click, sales []buy) {
	t.Helper()
	const layout = "2006-01-02 15:04:05"
	rows := make([]string, 0, len(clicks))
	for _, c := range clicks {
		rows = append(rows, fmt.Sprintf("('%s', UUIDStringToNum('%s'), '%s', '%[3]s', '%s', '%s', '%s', '%s', 1)",
			workspace, c.id, c.at.Format(layout), c.visitor, c.name, c.link, c.channel))
	}
	ask(t, dsn, "INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, affiliate_id, "+
		"link_id, channel, "+
		"version) VALUES "+strings.Join(rows, ","), nil)
	rows = rows[:0]
	for i, s := range sales {
		entry := func(kind string, at time.Time, micros int64) {
			rows = append(rows, fmt.Sprintf("('%s', '%06d%s', true, toDate('%[4]s'), '%[3]s', '%[5]s', '%[4]s', 'eur', %[6]d, "+
				"%[7]s, '%[8]s', '%[9]s', 'booked', 1)", workspace, i, kind, at.Format(layout), s.id, micros,
				decimal.New(micros, -6), s.visitor, s.name))
		}
		entry("payment", s.at, s.payment)
		if s.refund != 0 {
			entry("refund", s.at.AddDate(0, 0, 40), s.refund)
		}
	}
	ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, sale_id, occurred_at, currency, "+
		"amount, net_usd, "+
		"visitor_id, affiliate_id, status, version) VALUES "+strings.Join(rows, ","), nil)
}

// touchesOf returns the clicks that count before a sale, oldest first.
func touchesOf(clicks []click, s buy, lookback time.Duration) []click {
	var own []click
	for _, c := range clicks {
		if s.visitor != "" && c.visitor == s.visitor && !c.at.After(s.at) && c.at.After(s.at.Add(-lookback-24*time.Hour)) {
			own = append(own, c)
		}
	}
	slices.SortFunc(own, func(a, b click) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	last := make(map[string]time.Time) // by link: the last click that counted
	counted := own[:0]
	for _, c := range own {
		link := c.link
		if before, ok := last[link]; ok && !c.at.After(before.Add(time.Hour)) {
			continue
		}
		last[link] = c.at
		counted = append(counted, c)
	}
	return slices.DeleteFunc(counted, func(c click) bool { return c.at.Before(s.at.Add(-lookback)) })
}

// weightsOf are the models of attribution_models, data_driven left out, in its columns' order.
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
		models[5][i] = int64(math.Round(math.Exp2(-path[n-1].at.Sub(c.at).Seconds()/86400/halfLife) * 1e9))
	}
	models[2][direct] = 1
	return models
}

// TestAttributionModels compares with a count in Go over random paths, and sees that each model
// gives away the same money to the micro-dollar.
func TestAttributionModels(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	const lookback, halfLife = 20, 5
	for seed := range uint64(3) {
		clicks, sales := randomPaths(rand.New(rand.NewPCG(seed, 1)))
		workspace := fmt.Sprint("w", seed)
		insertPaths(t, dsn, workspace, clicks, sales)
		from, to := time.Date(2050, 1, 15, 0, 0, 0, 0, time.UTC), time.Date(2050, 4, 1, 0, 0, 0, 0, time.UTC)
		want, total := countModels(clicks, sales, from, to, lookback*24*time.Hour, halfLife)
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
	for _, s := range sales {
		if s.at.Before(from) || !s.at.Before(to) {
			continue
		}
		total += s.net
		add(s.name, 0, s.net)
		path := touchesOf(clicks, s, lookback)
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

// A dimension that does not exist is an error and not a figure.
func TestAttributionModelsUnknownDimension(t *testing.T) {
	dsn, db := sqltest.Open(t)
	seed(t, dsn)
	var n uint64
	err := db.QueryRowContext(t.Context(), "SELECT count() FROM sale_touches(workspace = 'models', livemode = true, "+
		"from = '2050-06-01 00:00:00', to = '2050-07-01 00:00:00', lookback_days = 90, dimension = 'afiliate')").Scan(&n)
	if err == nil || !strings.Contains(err.Error(), "dimension is one of") {
		t.Errorf("a misspelt dimension gives %d, %v", n, err)
	}
}
