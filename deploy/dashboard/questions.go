package dashboard

import (
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"
)

// Decimals become JSON strings: a number of JSON is a float64 to every browser. Times are RFC 3339 in UTC.

type totals struct {
	Clicks      uint64           `ch:"clicks" json:"clicks"`
	Visitors    uint64           `ch:"visitors" json:"visitors"`
	Leads       uint64           `ch:"leads" json:"leads"`
	Sales       uint64           `ch:"sales" json:"sales"`
	NetUSD      decimal.Decimal  `ch:"net_usd" json:"net_usd"`
	RefundsUSD  decimal.Decimal  `ch:"refunds_usd" json:"refunds_usd"`
	DisputesUSD decimal.Decimal  `ch:"disputes_usd" json:"disputes_usd"`
	EPC         *decimal.Decimal `ch:"epc" json:"epc"`               // net USD a click; null without clicks
	Conversion  *float64         `ch:"conversion" json:"conversion"` // sales a click; null without clicks
}

type point struct {
	At     time.Time       `ch:"at" json:"at"`
	Clicks uint64          `ch:"clicks" json:"clicks"`
	Sales  uint64          `ch:"sales" json:"sales"`
	NetUSD decimal.Decimal `ch:"net_usd" json:"net_usd"`
}

type topRow struct {
	Name       string           `ch:"name" json:"name"`
	Clicks     uint64           `ch:"clicks" json:"clicks"`
	Leads      uint64           `ch:"leads" json:"leads"`
	Sales      uint64           `ch:"sales" json:"sales"`
	NetUSD     decimal.Decimal  `ch:"net_usd" json:"net_usd"`
	EPC        *decimal.Decimal `ch:"epc" json:"epc"`
	Conversion *float64         `ch:"conversion" json:"conversion"`
}

type sale struct {
	OccurredAt  time.Time        `ch:"occurred_at" json:"occurred_at"`
	ObjectID    string           `ch:"object_id" json:"object_id"`
	Currency    string           `ch:"currency" json:"currency"`
	Amount      int64            `ch:"amount" json:"amount"` // minor units
	AmountText  string           `ch:"-" json:"amount_text"`
	AmountUSD   *decimal.Decimal `ch:"amount_usd" json:"amount_usd"` // null without a rate
	NetUSD      *decimal.Decimal `ch:"net_usd" json:"net_usd"`
	FXSource    string           `ch:"fx_source" json:"fx_source"`
	ProgramID   string           `ch:"program_id" json:"program_id"`
	AffiliateID string           `ch:"affiliate_id" json:"affiliate_id"`
	LinkID      string           `ch:"link_id" json:"link_id"`
	UTMCampaign string           `ch:"utm_campaign" json:"utm_campaign"`
	Country     string           `ch:"country" json:"country"`
	MatchRule   string           `ch:"match_rule" json:"match_rule"`
	MatchKey    string           `ch:"match_key" json:"match_key"`
	ClickID     string           `ch:"click_id" json:"click_id"`     // empty: no single click is known
	ClickedAt   *time.Time       `ch:"clicked_at" json:"clicked_at"` // null likewise
}

type apartRow struct {
	Currency   string           `ch:"currency" json:"currency"`
	Sales      uint64           `ch:"sales" json:"sales"`
	Entries    uint64           `ch:"entries" json:"entries"`
	Amount     int64            `ch:"amount" json:"amount"` // minor units
	AmountText string           `ch:"-" json:"amount_text"`
	NetUSD     *decimal.Decimal `ch:"net_usd" json:"net_usd,omitempty"`
	Oldest     *time.Time       `ch:"oldest" json:"oldest,omitempty"`
}

type rateRow struct {
	Source  string           `ch:"fx_source"`
	Entries uint64           `ch:"entries"`
	NetUSD  *decimal.Decimal `ch:"net_usd"`
}

type modeRow struct {
	Live    bool      `ch:"livemode"`
	Entries uint64    `ch:"entries"`
	First   time.Time `ch:"first"`
	Last    time.Time `ch:"last"`
}

type freshness struct {
	LastClickAt *time.Time `ch:"last_click_at" json:"last_click_at"`
	LastLeadAt  *time.Time `ch:"last_lead_at" json:"last_lead_at"`
	LastMoneyAt *time.Time `ch:"last_money_at" json:"last_money_at"`
}

// scope is what an answer is about. It stands at the head of every one.
type scope struct {
	Now       time.Time `json:"now"`
	Workspace string    `json:"workspace"`
	Range     string    `json:"range"`
	Mode      string    `json:"mode"` // live or test
	HasLive   bool      `json:"has_live"`
	HasTest   bool      `json:"has_test"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
}

// scope resolves the mode auto: live money, unless there is none and there is test money, as on the first day with Stripe.
func (d *Dashboard) scope(q *request) (scope, parameters, error) {
	s := scope{Now: q.now, Workspace: q.workspace, Range: q.span, Mode: q.mode, From: q.from, To: q.to}
	modes, err := ask[modeRow](q.ctx, d.answers, "modes", parameters{}.with("workspace", q.workspace))
	if err != nil {
		return s, nil, err
	}
	s.HasLive = slices.ContainsFunc(modes, func(m modeRow) bool { return m.Live })
	s.HasTest = slices.ContainsFunc(modes, func(m modeRow) bool { return !m.Live })
	if s.Mode == "auto" {
		s.Mode = "live"
		if s.HasTest && !s.HasLive {
			s.Mode = "test"
		}
	}
	p := parameters{}.with("workspace", q.workspace).with("livemode", s.Mode == "live").with("from", q.from).with("to", q.to)
	return s, p, nil
}

type overview struct {
	scope
	StepSeconds  int64      `json:"step_seconds"`
	Totals       totals     `json:"totals"`
	Series       []point    `json:"series"`
	Unattributed []apartRow `json:"unattributed"`
	WithoutRate  []apartRow `json:"without_rate"`
	DemoRates    []string   `json:"demo_rates"` // sources of invented rates that the range's money was converted by
	Freshness    freshness  `json:"freshness"`
	EdgeURL      string     `json:"edge_url"`
}

func (d *Dashboard) overview(q *request) (any, error) {
	s, p, err := d.scope(q)
	if err != nil {
		return nil, err
	}
	o := overview{scope: s, DemoRates: []string{}, EdgeURL: d.config.EdgeURL}
	step, question := q.stretch().step, "timeseries"
	if step < time.Hour {
		question = "timeseries_minutes"
	}
	asking, ctx := errgroup.WithContext(q.ctx)
	asking.Go(func() error {
		rows, err := ask[totals](ctx, d.answers, "totals", p)
		if err == nil && len(rows) == 1 {
			o.Totals = rows[0]
		}
		return err
	})
	asking.Go(func() error {
		rows, err := ask[point](ctx, d.answers, question, p.with("step", uint32(step/time.Second)))
		if err == nil {
			o.Series, step = fill(rows, q, step)
			o.StepSeconds = int64(step / time.Second)
		}
		return err
	})
	asking.Go(func() error {
		rows, err := ask[apartRow](ctx, d.answers, "unattributed", p)
		o.Unattributed = written(rows)
		return err
	})
	asking.Go(func() error {
		rows, err := ask[apartRow](ctx, d.answers, "without_rate", p)
		o.WithoutRate = written(rows)
		return err
	})
	asking.Go(func() error {
		rows, err := ask[rateRow](ctx, d.answers, "rates_used", p)
		for _, r := range rows {
			if strings.Contains(strings.ToLower(r.Source), "demo") {
				o.DemoRates = append(o.DemoRates, r.Source)
			}
		}
		return err
	})
	asking.Go(func() error {
		rows, err := ask[freshness](ctx, d.answers, "freshness", p)
		if err == nil && len(rows) == 1 {
			o.Freshness = rows[0]
		}
		return err
	})
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	return o, nil
}

// written adds the amounts in words to a copy: answers are shared.
func written(rows []apartRow) []apartRow {
	rows = append([]apartRow{}, rows...)
	for i := range rows {
		rows[i].AmountText = amountText(rows[i].Amount, rows[i].Currency)
	}
	return rows
}

// pointsMax is how many points the chart of "all" has at most, before days become weeks.
const pointsMax = 400

// fill makes the steps in which nothing happened explicit, from the range's beginning (for "all": from the first point)
// up to now, and widens days to weeks where there are too many of them.
func fill(rows []point, q *request, step time.Duration) ([]point, time.Duration) {
	from := q.from.Truncate(step)
	if q.stretch().length == 0 {
		if len(rows) == 0 {
			return []point{}, step
		}
		from = rows[0].At
		for q.now.Sub(from)/step > pointsMax {
			step *= 7
			from = from.Truncate(step)
		}
	}
	last := q.now
	if n := len(rows); n > 0 && rows[n-1].At.After(last) {
		last = rows[n-1].At // a clock that is ahead
	}
	points := make([]point, 0, int(last.Sub(from)/step)+1)
	for at := from; !at.After(last); at = at.Add(step) {
		p := point{At: at.UTC()}
		for len(rows) > 0 && rows[0].At.Before(at.Add(step)) {
			p.Clicks += rows[0].Clicks
			p.Sales += rows[0].Sales
			p.NetUSD = p.NetUSD.Add(rows[0].NetUSD)
			rows = rows[1:]
		}
		points = append(points, p)
	}
	return points, step
}

// tops are the questions behind ?by=.
var tops = map[string]string{"affiliates": "top_affiliates", "links": "top_links", "campaigns": "top_campaigns"}

func (d *Dashboard) top(q *request) (any, error) {
	s, p, err := d.scope(q)
	if err != nil {
		return nil, err
	}
	rows, err := ask[topRow](q.ctx, d.answers, tops[q.by], p.with("limit", q.limit))
	if err != nil {
		return nil, err
	}
	return struct {
		scope
		By   string   `json:"by"`
		Rows []topRow `json:"rows"`
	}{s, q.by, rows}, nil
}

func (d *Dashboard) sales(q *request) (any, error) {
	s, p, err := d.scope(q)
	if err != nil {
		return nil, err
	}
	rows, err := ask[sale](q.ctx, d.answers, "latest_sales", p.with("limit", q.limit))
	if err != nil {
		return nil, err
	}
	rows = append([]sale{}, rows...)
	for i := range rows {
		rows[i].AmountText = amountText(rows[i].Amount, rows[i].Currency)
	}
	return struct {
		scope
		Rows []sale `json:"rows"`
	}{s, rows}, nil
}
