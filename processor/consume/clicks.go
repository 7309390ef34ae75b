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

// Clicks handles clicks: it stores enriched rows and identity edges first, and then recomputes the
// sales that name the clicks.
type Clicks struct {
	Store      recompute.Store
	Recomputer *recompute.Recomputer
	// Erased lists the people whose data is taken out of every record; nil: nobody.
	Erased *erase.List
	// Agents reads User-Agent headers; nil: enrich.BuiltinAgents.
	Agents *enrich.Agents

	mu         sync.Mutex         // guards affiliates
	affiliates map[affiliate]bool // whose edges are stored, so that ClickHouse is not asked for each with every batch
}

type affiliate struct{ workspace, id, program string }

// maxAffiliates bounds the cache, some 100 bytes each. When it is full it is emptied, and edges are
// looked up again.
const maxAffiliates = 200_000

// ClickTopics are the topics of Clicks.
var ClickTopics = []string{schemas.TopicClicks}

// Handle is a Handler.
func (c *Clicks) Handle(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	rows := make([]clickhouse.ClickRow, 0, len(records))
	changes := make(map[string]*recompute.Changes) // by workspace
	var added []affiliate
	for i, read := range c.decodeAll(records) {
		if read.err != nil {
			if err := deadLetter(ctx, records[i], "decode", "unreadable", read.err); err != nil {
				return err
			}
			continue
		}
		row, click := read.row, read.row.Click
		n := changes[click.Workspace]
		if n == nil {
			n = new(recompute.Changes)
			changes[click.Workspace] = n
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
		if a := (affiliate{click.Workspace, click.AffiliateId, click.ProgramId}); a.id != "" && c.addAffiliate(a) {
			added = append(added, a)
			n.Edges = append(n.Edges, identity.Edge{A: identity.New(identity.Affiliate, a.id),
				B: identity.New(identity.Program, a.program), Source: "click.affiliate_id", At: at})
		}
	}
	if err := c.Recomputer.Apply(ctx, changes,
		func(ctx context.Context) error { return c.Store.InsertClicks(ctx, rows) }); err != nil {
		c.removeAffiliates(added) // their edges may not be stored
		return err
	}
	return nil
}

// decoded is a record that was decoded and enriched.
type decoded struct {
	row clickhouse.ClickRow
	err error
}

// decodeAll decodes and enriches a batch on all cores: with a backlog of clicks it is most of the
// processor's work.
func (c *Clicks) decodeAll(records []*kgo.Record) []decoded {
	agents := c.Agents
	if agents == nil {
		agents = enrich.BuiltinAgents()
	}
	list := make([]decoded, len(records))
	share := (len(records) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	var workers sync.WaitGroup
	for begin := 0; begin < len(records); begin += share {
		workers.Go(func() {
			for i := begin; i < min(begin+share, len(records)); i++ {
				click, err := schemas.DecodeClick(records[i])
				if err != nil {
					list[i].err = err
					continue
				}
				list[i].row = enriched(click, agents)
			}
		})
	}
	workers.Wait()
	return list
}

// addAffiliate adds an affiliate to the cache and reports whether it was not there.
func (c *Clicks) addAffiliate(a affiliate) bool {
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

func (c *Clicks) removeAffiliates(list []affiliate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range list {
		delete(c.affiliates, a)
	}
}

// enriched parses a click's URL, referrer and user agent.
func enriched(c *schemas.Click, agents *enrich.Agents) clickhouse.ClickRow {
	row := clickhouse.ClickRow{Click: c, URL: enrich.URL(c.Url), Agent: agents.Read(c.UserAgent, c.Vouched, c.Trigger)}
	row.Referrer = enrich.ReferrerDomain(c.Referrer, row.URL.Host)
	row.Channel = enrich.Channel(row.URL, row.Referrer)
	return row
}
