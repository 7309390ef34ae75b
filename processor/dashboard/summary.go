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
	best   = 10 // affiliates, links and campaigns that are listed
	newest = 25 // movements of money that are listed
)

// Summary is everything that the page shows. Money is a decimal string in USD; moments are Unix milliseconds.
type Summary struct {
	Workspace    string        `json:"workspace"`
	Range        Range         `json:"range"`
	Now          int64         `json:"now"`
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

// Totals are the sums of the range. NetUSD is everything booked, money out deducted; EPC and Conversion count attributed
// sales only. Conversion is a ratio: 0.0250 is 2.5 %.
type Totals struct {
	Clicks     uint64 `json:"clicks"`
	Visitors   uint64 `json:"visitors"`
	Leads      uint64 `json:"leads"`
	Sales      uint64 `json:"sales"`
	Refunds    uint64 `json:"refunds"`
	Disputes   uint64 `json:"disputes"`
	NetUSD     string `json:"net_usd"`
	EPC        string `json:"epc"`
	Conversion string `json:"conversion"`
}

// Point is one bucket of the chart; Start is in Unix seconds.
type Point struct {
	Start  int64  `json:"start"`
	Clicks uint64 `json:"clicks"`
	NetUSD string `json:"net_usd"`
}

// Earner is an affiliate, a link or a campaign.
type Earner struct {
	Name       string `json:"name"`
	Clicks     uint64 `json:"clicks"`
	Leads      uint64 `json:"leads"`
	Sales      uint64 `json:"sales"`
	NetUSD     string `json:"net_usd"`
	EPC        string `json:"epc"`
	Conversion string `json:"conversion"`
}

// Movement is one booked entry. Amount is in major units of Currency; NetUSD is null while there is no rate.
type Movement struct {
	At          int64   `json:"at"`
	Kind        string  `json:"kind"`
	ObjectID    string  `json:"object_id"`
	SaleID      string  `json:"sale_id"`
	Currency    string  `json:"currency"`
	Amount      string  `json:"amount"`
	NetUSD      *string `json:"net_usd"`
	FXSource    string  `json:"fx_source"`
	AffiliateID string  `json:"affiliate_id"`
	LinkID      string  `json:"link_id"`
	Campaign    string  `json:"campaign"`
	MatchRule   string  `json:"match_rule"`
	MatchKey    string  `json:"match_key"`
	ClickedAt   *int64  `json:"clicked_at"`
}

// Unattributed are the sales that nobody is credited with. NetUSD has their refunds deducted.
type Unattributed struct {
	Count  uint64 `json:"count"`
	NetUSD string `json:"net_usd"`
}

// WithoutRate is the money in one currency that is in no USD figure yet.
type WithoutRate struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"`
	Count    uint64 `json:"count"`
}

// Freshness says how new the data is: when the edge took the last click and when the last sale was made.
type Freshness struct {
	LastClick *int64 `json:"last_click"`
	LastSale  *int64 `json:"last_sale"`
}

// ask asks one of the named questions and hands each row to take.
func (d *Dashboard) ask(ctx context.Context, name string, args []any, take func(scan func(...any) error) error) error {
	text, err := sql.Query(name)
	if err != nil {
		return err
	}
	rows, err := d.conn.Query(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("query %s: %w", name, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows.Scan); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// summarize asks everything anew.
func (d *Dashboard) summarize(ctx context.Context, name string, s span, workspace string, now time.Time) (*Summary, error) {
	moment := func(t time.Time) string { return t.UTC().Format(time.DateTime) }
	number := func(name string, n int64) any { return clickhouse.Named(name, strconv.FormatInt(n, 10)) }
	whose := []any{clickhouse.Named("workspace", workspace), clickhouse.Named("livemode", "true")}
	if s.all {
		var first *time.Time
		if err := d.ask(ctx, "first_day", whose, func(scan func(...any) error) error { return scan(&first) }); err != nil {
			return nil, err
		}
		s.from = s.to.Add(-s.step)
		if first != nil && first.Before(s.from) {
			s.from = first.UTC().Truncate(s.step)
		}
	}
	within := slices.Concat(whose, []any{clickhouse.Named("from", moment(s.from)), clickhouse.Named("to", moment(s.to))})
	and := func(more any) []any { return slices.Concat(within, []any{more}) }
	step := int64(s.step / time.Second)

	// Lists begin empty, not nil, so that they are [] in JSON.
	out := &Summary{
		Workspace: workspace, Now: now.UnixMilli(),
		Range:      Range{Name: name, From: s.from.Unix(), To: s.to.Unix(), Bucket: step, Note: s.note},
		Affiliates: []Earner{}, Links: []Earner{}, Campaigns: []Earner{},
		Latest: []Movement{}, WithoutRate: []WithoutRate{}, FXSources: []string{},
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		t := &out.Totals
		return d.ask(ctx, "totals", within, func(scan func(...any) error) error {
			return scan(&t.Clicks, &t.Visitors, &t.Leads, &t.Sales, &t.Refunds, &t.Disputes, &t.NetUSD, &t.EPC, &t.Conversion)
		})
	})
	g.Go(func() error {
		var points []Point
		err := d.ask(ctx, "timeseries", and(number("step", step)), func(scan func(...any) error) error {
			var (
				p     Point
				start time.Time
				sales uint64
			)
			if err := scan(&start, &p.Clicks, &sales, &p.NetUSD); err != nil {
				return err
			}
			p.Start = start.Unix()
			points = append(points, p)
			return nil
		})
		out.Timeseries = s.fill(points)
		return err
	})
	g.Go(func() error {
		lists := map[string]*[]Earner{"affiliate": &out.Affiliates, "link": &out.Links, "campaign": &out.Campaigns}
		return d.ask(ctx, "top", and(number("limit", best)), func(scan func(...any) error) error {
			var (
				dimension string
				e         Earner
			)
			if err := scan(&dimension, &e.Name, &e.Clicks, &e.Leads, &e.Sales, &e.NetUSD, &e.EPC, &e.Conversion); err != nil {
				return err
			}
			*lists[dimension] = append(*lists[dimension], e)
			return nil
		})
	})
	g.Go(func() error {
		return d.ask(ctx, "latest_sales", and(number("limit", newest)), func(scan func(...any) error) error {
			var (
				m       Movement
				at      time.Time
				amount  int64
				clicked *time.Time
			)
			if err := scan(&at, &m.Kind, &m.ObjectID, &m.SaleID, &m.Currency, &amount, &m.NetUSD, &m.FXSource,
				&m.AffiliateID, &m.LinkID, &m.Campaign, &m.MatchRule, &m.MatchKey, &clicked); err != nil {
				return err
			}
			m.At, m.ClickedAt = at.UnixMilli(), milliseconds(clicked)
			m.Amount = formatMinor(strconv.FormatInt(amount, 10), m.Currency)
			out.Latest = append(out.Latest, m)
			return nil
		})
	})
	g.Go(func() error {
		return d.ask(ctx, "unattributed", within, func(scan func(...any) error) error {
			return scan(&out.Unattributed.Count, &out.Unattributed.NetUSD)
		})
	})
	g.Go(func() error {
		err := d.ask(ctx, "rates_used", within, func(scan func(...any) error) error {
			var (
				live    bool
				source  string
				entries uint64
				net     *string
			)
			if err := scan(&live, &source, &entries, &net); err != nil {
				return err
			}
			switch {
			case !live:
				out.TestEntries += entries
			case source != "":
				out.FXSources = append(out.FXSources, source)
			}
			return nil
		})
		slices.Sort(out.FXSources)
		return err
	})
	g.Go(func() error {
		return d.ask(ctx, "without_rate", within, func(scan func(...any) error) error {
			var (
				w      WithoutRate
				sales  uint64
				oldest time.Time
			)
			if err := scan(&w.Currency, &sales, &w.Count, &w.Amount, &oldest); err != nil {
				return err
			}
			w.Amount = formatMinor(w.Amount, w.Currency)
			out.WithoutRate = append(out.WithoutRate, w)
			return nil
		})
	})
	g.Go(func() error {
		return d.ask(ctx, "freshness", whose, func(scan func(...any) error) error {
			var click, lead, sale *time.Time
			if err := scan(&click, &lead, &sale); err != nil {
				return err
			}
			out.Freshness = Freshness{LastClick: milliseconds(click), LastSale: milliseconds(sale)}
			return nil
		})
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// milliseconds returns a moment as the page takes it, and nil for none.
func milliseconds(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
