package dashboard

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"tributary/sql"
)

const (
	maxEarners = 10 // of each list: affiliates, links and campaigns
	maxLatest  = 25 // movements of money
)

// Summary is everything that the page shows. Money is a decimal string in USD; times are Unix
// milliseconds. It depends on the tables, the workspace and the span alone, so that an unchanged
// one need not be sent again.
type Summary struct {
	Workspace    string        `json:"workspace"`
	Range        Range         `json:"range"`
	Totals       Totals        `json:"totals"`
	Timeseries   []Point       `json:"timeseries"`
	Affiliates   []Earner      `json:"affiliates"`
	Links        []Earner      `json:"links"`
	Campaigns    []Earner      `json:"campaigns"`
	Latest       []Movement    `json:"latest"`
	Unattributed Unattributed  `json:"unattributed"`
	WithoutRate  []WithoutRate `json:"without_rate"`
	FXSources    []string      `json:"fx_sources"`
	TestEntries  uint64        `json:"test_entries"` // booked in Stripe's test mode, in no figure
	Freshness    Freshness     `json:"freshness"`
}

// Range is the time that the figures cover, in Unix seconds; To is excluded.
type Range struct {
	Name   string `json:"name"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Bucket int64  `json:"bucket_seconds"`
	Note   string `json:"note,omitempty"`
}

// Totals are the sums of the range. NetUSD is everything booked, refunds and disputes subtracted;
// Visitors came with a click or a page view; EPC and Conversion count attributed sales only.
// Conversion is a ratio: 0.0250 is 2.5 %.
type Totals struct {
	Clicks     uint64 `json:"clicks" ch:"clicks"`
	Visitors   uint64 `json:"visitors" ch:"visitors"`
	PageViews  uint64 `json:"page_views" ch:"page_views"`
	Leads      uint64 `json:"leads" ch:"leads"`
	Sales      uint64 `json:"sales" ch:"sales"`
	Refunds    uint64 `json:"refunds" ch:"refunds"`
	Disputes   uint64 `json:"disputes" ch:"disputes"`
	NetUSD     string `json:"net_usd" ch:"net_usd"`
	EPC        string `json:"epc" ch:"epc"`
	Conversion string `json:"conversion" ch:"conversion"`
}

// Point is one bucket of the chart; Start is in Unix seconds.
type Point struct {
	Start     int64  `json:"start"`
	Clicks    uint64 `json:"clicks" ch:"clicks"`
	PageViews uint64 `json:"page_views" ch:"page_views"`
	NetUSD    string `json:"net_usd" ch:"net_usd"`
}

// Earner is an affiliate, a link or a campaign.
type Earner struct {
	Name       string `json:"name" ch:"name"`
	Clicks     uint64 `json:"clicks" ch:"clicks"`
	Leads      uint64 `json:"leads" ch:"leads"`
	Sales      uint64 `json:"sales" ch:"sales"`
	NetUSD     string `json:"net_usd" ch:"net_usd"`
	EPC        string `json:"epc" ch:"epc"`
	Conversion string `json:"conversion" ch:"conversion"`
}

// Movement is one booked entry. Amount is in major units of Currency; NetUSD is null while there is
// no rate.
type Movement struct {
	At          int64   `json:"at"`
	Kind        string  `json:"kind" ch:"kind"`
	ObjectID    string  `json:"object_id" ch:"object_id"`
	SaleID      string  `json:"sale_id" ch:"sale_id"`
	Currency    string  `json:"currency" ch:"currency"`
	Amount      string  `json:"amount"`
	NetUSD      *string `json:"net_usd" ch:"net_usd"`
	FXSource    string  `json:"fx_source" ch:"fx_source"`
	AffiliateID string  `json:"affiliate_id" ch:"affiliate_id"`
	LinkID      string  `json:"link_id" ch:"link_id"`
	Campaign    string  `json:"campaign" ch:"utm_campaign"`
	MatchRule   string  `json:"match_rule" ch:"match_rule"`
	MatchKey    string  `json:"match_key" ch:"match_key"`
	ClickedAt   *int64  `json:"clicked_at"`
}

// Unattributed are the sales that nobody is credited with. Their refunds are subtracted from
// NetUSD.
type Unattributed struct {
	Count  uint64 `json:"count" ch:"sales"`
	NetUSD string `json:"net_usd" ch:"net_usd"`
}

// WithoutRate is the money in one currency that is in no USD figure yet.
type WithoutRate struct {
	Currency string `json:"currency" ch:"currency"`
	Amount   string `json:"amount" ch:"amount"`
	Count    uint64 `json:"count" ch:"entries"`
}

// Freshness says how new the data is: when the edge took the last click and when the last sale was
// made.
type Freshness struct {
	LastClick *int64 `json:"last_click"`
	LastSale  *int64 `json:"last_sale"`
}

// ask runs one of the named queries and returns its rows, each column in the field with its name in
// a ch tag.
func ask[R any](ctx context.Context, d *Dashboard, name string, args []any) ([]R, error) {
	text, err := sql.Query(name)
	if err != nil {
		return nil, err
	}
	var rows []R
	if err := d.conn.Select(ctx, &rows, text, args...); err != nil {
		return nil, fmt.Errorf("query %s: %w", name, err)
	}
	return rows, nil
}

// askOne is ask for a query that has one row.
func askOne[R any](ctx context.Context, d *Dashboard, name string, args []any) (row R, err error) {
	rows, err := ask[R](ctx, d, name, args)
	if err != nil {
		return row, err
	}
	if len(rows) != 1 {
		return row, fmt.Errorf("query %s: %d rows instead of one", name, len(rows))
	}
	return rows[0], nil
}

// summarize runs all queries.
func (d *Dashboard) summarize(ctx context.Context, name string, s span, workspace string) (*Summary, error) {
	scope := []any{clickhouse.Named("workspace", workspace), clickhouse.Named("livemode", "true")}
	if s.all {
		first, err := d.firstDay(ctx, scope)
		if err != nil {
			return nil, err
		}
		s.from = s.to.Add(-s.step)
		if first != nil && first.Before(s.from) {
			s.from = first.UTC().Truncate(s.step)
		}
	}
	format := func(t time.Time) string { return t.UTC().Format(time.DateTime) }
	within := slices.Concat(scope, []any{clickhouse.Named("from", format(s.from)),
		clickhouse.Named("to", format(s.to))})
	out := &Summary{
		Workspace: workspace,
		Range: Range{Name: name, From: s.from.Unix(), To: s.to.Unix(), Bucket: int64(s.step / time.Second),
			Note: s.note},
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { out.Totals, err = askOne[Totals](ctx, d, "totals", within); return err })
	g.Go(func() (err error) { out.Timeseries, err = d.timeseries(ctx, s, within); return err })
	g.Go(func() error { return d.top(ctx, out, within) })
	g.Go(func() (err error) { out.Latest, err = d.latest(ctx, within); return err })
	g.Go(func() (err error) {
		out.Unattributed, err = askOne[Unattributed](ctx, d, "unattributed", within)
		return err
	})
	g.Go(func() error { return d.ratesUsed(ctx, out, within) })
	g.Go(func() (err error) { out.WithoutRate, err = d.withoutRate(ctx, within); return err })
	g.Go(func() (err error) { out.Freshness, err = d.freshness(ctx, scope); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// with returns the arguments and one more, a number.
func with(args []any, name string, n int64) []any {
	return slices.Concat(args, []any{clickhouse.Named(name, strconv.FormatInt(n, 10))})
}

// firstDay returns the first day with a click, a page view or an entry, or nil if there is none.
func (d *Dashboard) firstDay(ctx context.Context, scope []any) (*time.Time, error) {
	row, err := askOne[struct {
		Day *time.Time `ch:"day"`
	}](ctx, d, "first_day", scope)
	return row.Day, err
}

func (d *Dashboard) timeseries(ctx context.Context, s span, within []any) ([]Point, error) {
	rows, err := ask[struct {
		Point
		At    time.Time `ch:"at"`
		Sales uint64    `ch:"sales"`
	}](ctx, d, "timeseries", with(within, "step", int64(s.step/time.Second)))
	points := make([]Point, len(rows))
	for i, r := range rows {
		points[i] = r.Point
		points[i].Start = r.At.Unix()
	}
	return s.fill(points), err
}

// top fills the lists of affiliates, links and campaigns. Empty lists are not nil, so that they are
// [] in JSON; the other lists of a Summary are made in the same way.
func (d *Dashboard) top(ctx context.Context, out *Summary, within []any) error {
	out.Affiliates, out.Links, out.Campaigns = []Earner{}, []Earner{}, []Earner{}
	lists := map[string]*[]Earner{"affiliate": &out.Affiliates, "link": &out.Links, "campaign": &out.Campaigns}
	rows, err := ask[struct {
		Earner
		Dimension string `ch:"dimension"`
	}](ctx, d, "top", with(within, "limit", maxEarners))
	for _, r := range rows {
		*lists[r.Dimension] = append(*lists[r.Dimension], r.Earner)
	}
	return err
}

func (d *Dashboard) latest(ctx context.Context, within []any) ([]Movement, error) {
	rows, err := ask[struct {
		Movement
		OccurredAt time.Time  `ch:"occurred_at"`
		MinorUnits int64      `ch:"amount"`
		Clicked    *time.Time `ch:"clicked_at"`
	}](ctx, d, "latest_sales", with(within, "limit", maxLatest))
	list := make([]Movement, len(rows))
	for i, r := range rows {
		list[i] = r.Movement
		list[i].At, list[i].ClickedAt = r.OccurredAt.UnixMilli(), milliseconds(r.Clicked)
		list[i].Amount = formatMinor(strconv.FormatInt(r.MinorUnits, 10), r.Currency)
	}
	return list, err
}

// ratesUsed fills the sources of exchange rates and the number of entries in test mode.
func (d *Dashboard) ratesUsed(ctx context.Context, out *Summary, within []any) error {
	out.FXSources = []string{}
	rows, err := ask[struct {
		Livemode bool    `ch:"livemode"`
		Source   string  `ch:"fx_source"`
		Entries  uint64  `ch:"entries"`
		NetUSD   *string `ch:"net_usd"`
	}](ctx, d, "rates_used", within)
	for _, r := range rows {
		switch {
		case !r.Livemode:
			out.TestEntries += r.Entries
		case r.Source != "":
			out.FXSources = append(out.FXSources, r.Source)
		}
	}
	slices.Sort(out.FXSources)
	return err
}

func (d *Dashboard) withoutRate(ctx context.Context, within []any) ([]WithoutRate, error) {
	rows, err := ask[struct {
		WithoutRate
		Sales  uint64    `ch:"sales"`
		Oldest time.Time `ch:"oldest"`
	}](ctx, d, "without_rate", within)
	list := make([]WithoutRate, len(rows))
	for i, r := range rows {
		list[i] = r.WithoutRate
		list[i].Amount = formatMinor(r.Amount, r.Currency)
	}
	return list, err
}

func (d *Dashboard) freshness(ctx context.Context, scope []any) (Freshness, error) {
	row, err := askOne[struct {
		Click *time.Time `ch:"last_click_at"`
		Lead  *time.Time `ch:"last_lead_at"`
		Sale  *time.Time `ch:"last_sale_at"`
	}](ctx, d, "freshness", scope)
	return Freshness{LastClick: milliseconds(row.Click), LastSale: milliseconds(row.Sale)}, err
}

// milliseconds returns a time in Unix milliseconds, and nil for nil.
func milliseconds(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
