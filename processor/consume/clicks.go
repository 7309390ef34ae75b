package consume

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

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
	affiliates map[affiliate]time.Time // when each was told first, so that ClickHouse is not asked of each with every batch
}

type affiliate struct {
	workspace string
	name      identity.Node // of the affiliate, or of what the public says of them
}

// maxAffiliates bounds the memory of the cache, some 100 bytes each. Beyond it names are told again, which is only work.
const maxAffiliates = 200_000

// ClickTopics are what the lane consumes.
var ClickTopics = []string{schemas.TopicClicks}

// Handle is the lane's Handler.
func (c *Clicks) Handle(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	b := clickBatch{rows: make([]clickhouse.ClickRow, 0, len(records)), told: make(map[string]*recompute.Changes)}
	var learned []affiliate
	for i, read := range readAll(records) {
		if read.err != nil {
			if err := deadLetter(ctx, records[i], "decode", "unreadable", read.err); err != nil {
				return err
			}
			continue
		}
		row, click := read.row, read.row.Click
		n := b.told[click.Workspace]
		if n == nil {
			n = new(recompute.Changes)
			b.told[click.Workspace] = n
		}
		c.Erased.Click(&row)
		b.rows = append(b.rows, row)
		node := identity.New(identity.Click, schemas.ClickID(click.ClickId).String())
		n.Changed = append(n.Changed, node)
		at := time.UnixMilli(click.ReceivedAt).UTC()
		if click.ForeignId != "" {
			b.first(click, identity.Edge{A: identity.New(identity.Reference, click.ForeignId), B: node, Source: "click.foreign_id", At: at})
		}
		if click.AffiliateId == "" {
			continue
		}
		e := identity.Edge{A: identity.New(identity.Affiliate, click.AffiliateId), B: identity.New(identity.Program, click.ProgramId), Source: "click.affiliate_id", At: at}
		if a := (affiliate{click.Workspace, nameOf(click, e.A)}); c.learn(a, at) {
			learned = append(learned, a)
			b.first(click, e)
		}
	}
	if err := c.Recomputer.Apply(ctx, b.told, func(ctx context.Context) error { return c.store(ctx, &b) }); err != nil {
		c.forget(learned) // nobody knows how much of it was stored
		return err
	}
	return nil
}

// clickBatch is what a batch of clicks says.
type clickBatch struct {
	rows   []clickhouse.ClickRow
	firsts []clickhouse.EdgeRow // what they tell under a name, of which only the first counts
	public []clickhouse.EdgeRow // that the public told something of a name
	told   map[string]*recompute.Changes
}

// nameOf returns the name under which a click tells something of n: n itself where a secret key vouched for the click, else what the
// public says of it.
func nameOf(c *schemas.Click, n identity.Node) identity.Node {
	if c.Vouched {
		return n
	}
	return identity.PublicName(n)
}

func (b *clickBatch) first(c *schemas.Click, e identity.Edge) {
	name := nameOf(c, e.A)
	if name != e.A {
		b.public = append(b.public, clickhouse.EdgeRow{Workspace: c.Workspace, Edge: identity.Edge{A: e.A, B: name, Source: e.Source, At: e.At}})
	}
	e.A = name
	b.firsts = append(b.firsts, clickhouse.EdgeRow{Workspace: c.Workspace, Edge: e})
}

// store stores the batch, and then finds the names of which it told first: only they ask for work, so that a name that a million
// clicks carry costs each batch one lookup.
//
// Of two processors that store two clicks of one name at once, the one whose click came first finds that out, whoever looks last: it
// looks after its own click is stored, and an earlier one makes nobody else's the first. Read again after a crash between storing
// and booking, the click is still the first, and its sales are booked.
func (c *Clicks) store(ctx context.Context, b *clickBatch) error {
	inserts, ictx := errgroup.WithContext(ctx)
	inserts.Go(func() error { return c.Store.InsertClicks(ictx, b.rows) })
	inserts.Go(func() error { return c.Store.InsertFirstNames(ictx, b.firsts) })
	inserts.Go(func() error { return c.Store.InsertEdges(ictx, distinct(b.public)) })
	if err := inserts.Wait(); err != nil {
		return err
	}
	type told struct{ workspace, name, target string }
	mine := make(map[told]bool, len(b.firsts))
	names := make(map[string][]identity.Node)
	for _, r := range b.firsts {
		mine[told{r.Workspace, string(r.A), string(r.B)}] = true
		names[r.Workspace] = append(names[r.Workspace], r.A)
	}
	for workspace, list := range names {
		slices.Sort(list)
		firsts, err := c.Store.FirstNames(ctx, workspace, slices.Compact(list))
		if err != nil {
			return err
		}
		for _, e := range firsts {
			if mine[told{workspace, string(e.A), string(e.B)}] {
				b.told[workspace].Changed = append(b.told[workspace].Changed, identity.OfPublic(e.A))
			}
		}
	}
	return nil
}

// distinct leaves one row of each edge, the earliest.
func distinct(rows []clickhouse.EdgeRow) []clickhouse.EdgeRow {
	type ends struct {
		workspace string
		a, b      identity.Node
	}
	earliest := make(map[ends]clickhouse.EdgeRow, len(rows))
	for _, r := range rows {
		k := ends{r.Workspace, r.A, r.B}
		if old, ok := earliest[k]; !ok || r.At.Before(old.At) {
			earliest[k] = r
		}
	}
	return slices.Collect(maps.Values(earliest))
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

// learn reports whether this processor has not heard of the affiliate yet, or not so early.
func (c *Clicks) learn(a affiliate, at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, known := c.affiliates[a]; known && !at.Before(first) {
		return false
	}
	if c.affiliates == nil || len(c.affiliates) >= maxAffiliates {
		c.affiliates = make(map[affiliate]time.Time)
	}
	c.affiliates[a] = at
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
