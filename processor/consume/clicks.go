package consume

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/enrich"
	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// Clicks handles clicks: enriched rows and the names they give first, then the sales that were waiting for them.
type Clicks struct {
	Store      recompute.Store
	Recomputer *recompute.Recomputer
	// Erased people are taken out of whatever is read; nil: there are none.
	Erased *erase.List

	mu         sync.Mutex
	affiliates map[affiliate]bool // seen by this processor, so that ClickHouse is not asked of each with every batch
}

type affiliate struct{ workspace, id, program string }

// maxAffiliates bounds the memory of the catalogue's cache, some 100 bytes each. Beyond it edges are told again, which is
// only work.
const maxAffiliates = 200_000

// ClickTopics are what the lane consumes.
var ClickTopics = []string{schemas.TopicClicks}

// Handle is the lane's Handler.
func (c *Clicks) Handle(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	rows := make([]clickhouse.ClickRow, 0, len(records))
	told := make(map[string]*recompute.Changes)
	var learned []affiliate
	for i, read := range readAll(records) {
		if read.err != nil {
			if err := deadLetter(ctx, records[i], "decode", "unreadable", read.err); err != nil {
				return err
			}
			continue
		}
		row, click := read.row, read.row.Click
		n := told[click.Workspace]
		if n == nil {
			n = new(recompute.Changes)
			told[click.Workspace] = n
		}
		c.Erased.Click(&row)
		rows = append(rows, row)
		node := identity.New(identity.Click, schemas.ClickID(click.ClickId).String())
		n.Changed = append(n.Changed, node)
		at := time.UnixMilli(click.ReceivedAt).UTC()
		if click.ForeignId != "" {
			ref := identity.New(identity.Reference, click.ForeignId)
			n.Edges = append(n.Edges, identity.Edge{A: ref, B: node, Source: "click.foreign_id", At: at})
		}
		if a := (affiliate{click.Workspace, click.AffiliateId, click.ProgramId}); a.id != "" && c.learn(a) {
			learned = append(learned, a)
			n.Edges = append(n.Edges, identity.Edge{A: identity.New(identity.Affiliate, a.id), B: identity.New(identity.Program, a.program), Source: "click.affiliate_id", At: at})
		}
	}
	if err := c.Recomputer.Apply(ctx, told, func(ctx context.Context) error { return c.Store.InsertClicks(ctx, rows) }); err != nil {
		c.forget(learned) // nobody knows how much of it was stored
		return err
	}
	return nil
}

// reading is what a record says.
type reading struct {
	row clickhouse.ClickRow
	err error
}

// readAll decodes and enriches a batch on all cores: the larger part of what a backlog costs the processor, while ClickHouse waits for it.
func readAll(records []*kgo.Record) []reading {
	readings := make([]reading, len(records))
	share := (len(records) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	var work sync.WaitGroup
	for begin := 0; begin < len(records); begin += share {
		work.Go(func() {
			for i := begin; i < min(begin+share, len(records)); i++ {
				click, err := schemas.DecodeClick(records[i])
				if err != nil {
					readings[i].err = err
					continue
				}
				readings[i].row = Enrich(click)
			}
		})
	}
	work.Wait()
	return readings
}

// learn tells whether the affiliate is new to this processor.
func (c *Clicks) learn(a affiliate) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.affiliates[a] {
		return false
	}
	if c.affiliates == nil || len(c.affiliates) >= maxAffiliates {
		c.affiliates = make(map[affiliate]bool)
	}
	c.affiliates[a] = true
	return true
}

func (c *Clicks) forget(learned []affiliate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range learned {
		delete(c.affiliates, a)
	}
}

// Enrich reads what a click's URL, referrer and agent say.
func Enrich(c *schemas.Click) clickhouse.ClickRow {
	row := clickhouse.ClickRow{Click: c, URL: enrich.URL(c.Url), Agent: enrich.UserAgent(c.UserAgent)}
	row.Referrer = enrich.ReferrerDomain(c.Referrer, row.URL.Host)
	row.Channel = enrich.Channel(row.URL, row.Referrer)
	return row
}
