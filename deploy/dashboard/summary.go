package dashboard

import (
	"context"
	"embed"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"
)

//go:embed queries/*.sql
var queries embed.FS

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

// ask runs one of the embedded queries and hands each row to take.
func (d *Dashboard) ask(ctx context.Context, name string, args []any, take func(scan func(...any) error) error) error {
	text, err := queries.ReadFile("queries/" + name + ".sql")
	if err != nil {
		return fmt.Errorf("find query %s: %w", name, err)
	}
	rows, err := d.conn.Query(ctx, string(text), args...)
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
	whose := clickhouse.Named("workspace", workspace)
	if s.all {
		first := int64(math.MaxInt64)
		if err := d.ask(ctx, "span", []any{whose}, func(scan func(...any) error) error { return scan(&first) }); err != nil {
			return nil, err
		}
		s.from = s.to.Add(-s.step)
		if begin := time.Unix(first, 0).UTC().Truncate(s.step); first != math.MaxInt64 && begin.Before(s.from) {
			s.from = begin
		}
	}
	within := []any{whose, clickhouse.Named("from", moment(s.from)), clickhouse.Named("to", moment(s.to))}
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
		args := append([]any{clickhouse.Named("step", strconv.FormatInt(step, 10))}, within...)
		err := d.ask(ctx, "timeseries", args, func(scan func(...any) error) error {
			var p Point
			if err := scan(&p.Start, &p.Clicks, &p.NetUSD); err != nil {
				return err
			}
			points = append(points, p)
			return nil
		})
		out.Timeseries = s.fill(points)
		return err
	})
	g.Go(func() error {
		lists := map[string]*[]Earner{"affiliate": &out.Affiliates, "link": &out.Links, "campaign": &out.Campaigns}
		return d.ask(ctx, "top", within, func(scan func(...any) error) error {
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
		return d.ask(ctx, "latest", within, func(scan func(...any) error) error {
			var m Movement
			if err := scan(&m.At, &m.Kind, &m.ObjectID, &m.SaleID, &m.Currency, &m.Amount, &m.NetUSD, &m.FXSource,
				&m.AffiliateID, &m.LinkID, &m.Campaign, &m.MatchRule, &m.MatchKey, &m.ClickedAt); err != nil {
				return err
			}
			m.Amount = formatMinor(m.Amount, m.Currency)
			out.Latest = append(out.Latest, m)
			return nil
		})
	})
	g.Go(func() error {
		return d.ask(ctx, "apart", within, func(scan func(...any) error) error {
			return scan(&out.Unattributed.Count, &out.Unattributed.NetUSD, &out.FXSources, &out.TestEntries)
		})
	})
	g.Go(func() error {
		return d.ask(ctx, "without_rate", within, func(scan func(...any) error) error {
			var w WithoutRate
			if err := scan(&w.Currency, &w.Amount, &w.Count); err != nil {
				return err
			}
			w.Amount = formatMinor(w.Amount, w.Currency)
			out.WithoutRate = append(out.WithoutRate, w)
			return nil
		})
	})
	g.Go(func() error {
		var click, hour, sale int64
		err := d.ask(ctx, "freshness", []any{whose}, func(scan func(...any) error) error { return scan(&click, &hour, &sale) })
		if click > 0 {
			out.Freshness.LastClick = &click
		} else if hour > 0 {
			out.Freshness.LastClick = &hour
		}
		if sale > 0 {
			out.Freshness.LastSale = &sale
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if out.FXSources == nil {
		out.FXSources = []string{}
	}
	return out, nil
}
