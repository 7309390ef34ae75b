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

// Clicks handles clicks: it stores enriched rows and identity edges first, and then recomputes the
// sales that name the clicks. A page view is stored and nothing else: it names nobody.
type Clicks struct {
	Store      recompute.Store
	Recomputer *recompute.Recomputer
	// Erased lists the people whose data is taken out of every record; nil: nobody.
	Erased *erase.List
	// Agents reads User-Agent headers; nil: enrich.BuiltinAgents.
	Agents *enrich.Agents

	mu         sync.Mutex              // guards affiliates
	affiliates map[affiliate]time.Time // when each was reported first, so that ClickHouse is not asked with every batch
}

type affiliate struct {
	workspace, id string
	vouched       bool // false: what the public says of the affiliate
}

// maxAffiliates bounds the cache, some 100 bytes each. When it is full it is emptied, and names are
// stored again.
const maxAffiliates = 200_000

// ClickTopics are the topics of Clicks.
var ClickTopics = []string{schemas.TopicClicks}

// Handle is a Handler.
func (c *Clicks) Handle(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	rows, faults := c.decodeAll(records)
	b := clickBatch{ids: make(map[string][]schemas.ClickID), changes: make(map[string]*recompute.Changes)}
	var added []affiliate
	n := 0
	for i := range rows {
		if faults[i] != nil {
			if err := deadLetter(ctx, records[i], "decode", "unreadable", faults[i]); err != nil {
				return err
			}
			continue
		}
		if n < i {
			rows[n] = rows[i]
		}
		row := &rows[n]
		n++
		c.Erased.Click(row)
		if row.IsPageView() {
			continue
		}
		if a, isNew := b.add(row.Click, c); isNew {
			added = append(added, a)
		}
	}
	b.rows = rows[:n]
	err := c.Recomputer.Apply(ctx, b.changes, func(ctx context.Context) error { return c.store(ctx, &b) })
	if err != nil {
		c.removeAffiliates(added) // their names may not be stored
	}
	return err
}

// clickBatch is what a batch of clicks says.
type clickBatch struct {
	rows    []clickhouse.ClickRow
	firsts  []clickhouse.EdgeRow          // what they report under a name, of which only the first counts
	public  []clickhouse.EdgeRow          // edges from a name to what the public says of it
	ids     map[string][]schemas.ClickID  // of the clicks, by workspace
	changes map[string]*recompute.Changes // by workspace
}

// add adds what a click says beside its row. It reports whether its affiliate is to be stored.
func (b *clickBatch) add(click *schemas.Click, c *Clicks) (a affiliate, isNew bool) {
	if b.changes[click.Workspace] == nil {
		b.changes[click.Workspace] = new(recompute.Changes)
	}
	id := schemas.ClickID(click.ClickId)
	b.ids[click.Workspace] = append(b.ids[click.Workspace], id)
	at := time.UnixMilli(click.ReceivedAt).UTC()
	if click.ForeignId != "" {
		reference := identity.New(identity.Reference, click.ForeignId)
		node := identity.New(identity.Click, id.String())
		b.name(click, identity.Edge{A: reference, B: node, Source: "click.foreign_id", At: at})
	}
	if click.AffiliateId == "" {
		return a, false
	}
	a = affiliate{click.Workspace, click.AffiliateId, click.Vouched}
	if isNew = c.addAffiliate(a, at); isNew {
		b.name(click, identity.Edge{A: identity.New(identity.Affiliate, click.AffiliateId),
			B: identity.New(identity.Program, click.ProgramId), Source: "click.affiliate_id", At: at})
	}
	return a, isNew
}

// nameOf returns the name under which a click reports something of n: n itself where a secret key
// vouched for the click, else what the public says of it.
func nameOf(c *schemas.Click, n identity.Node) identity.Node {
	if c.Vouched {
		return n
	}
	return identity.PublicName(n)
}

// name adds what a click reports under the name e.A.
func (b *clickBatch) name(c *schemas.Click, e identity.Edge) {
	name := nameOf(c, e.A)
	if name != e.A {
		public := identity.Edge{A: e.A, B: name, Source: e.Source, At: e.At}
		b.public = append(b.public, clickhouse.EdgeRow{Workspace: c.Workspace, Edge: public})
	}
	e.A = name
	b.firsts = append(b.firsts, clickhouse.EdgeRow{Workspace: c.Workspace, Edge: e})
}

// store stores the batch, and then finds the clicks that sales and leads named before, and the
// names that the batch was the first to use: only their sales are recomputed, so that a name that a
// million clicks carry costs each batch one lookup.
//
// Two processors may store two clicks of one name at once. Each looks after its own click is
// stored. Whoever stored the earlier click finds it first, whenever they look, and recomputes; the
// other finds it too, or looked before it was stored and recomputed by the later click, which the
// first then replaces. Read again after a crash between storing and booking, the click is still the
// first, and its sales are booked. A replica that lags may answer with a later click, or with none:
// then ours is taken for the first.
func (c *Clicks) store(ctx context.Context, b *clickBatch) error {
	inserts, ictx := errgroup.WithContext(ctx)
	inserts.Go(func() error { return c.Store.InsertClicks(ictx, b.rows) })
	inserts.Go(func() error { return c.Store.InsertFirstNames(ictx, b.firsts) })
	inserts.Go(func() error { return c.Store.InsertEdges(ictx, earliest(b.public)) })
	if err := inserts.Wait(); err != nil {
		return err
	}
	for workspace, ids := range b.ids {
		named, err := c.Store.NamedClicks(ctx, workspace, ids)
		if err != nil {
			return err
		}
		for _, id := range named {
			changes := b.changes[workspace]
			changes.Changed = append(changes.Changed, identity.New(identity.Click, id.String()))
		}
	}
	names := make(map[string][]identity.Node)
	for _, r := range b.firsts {
		names[r.Workspace] = append(names[r.Workspace], r.A)
	}
	for workspace, list := range names {
		firsts, err := c.Store.FirstNames(ctx, workspace, list)
		if err != nil {
			return err
		}
		first := make(map[identity.Node]clickhouse.EdgeRow, len(firsts))
		for _, e := range firsts {
			first[e.A] = clickhouse.EdgeRow{Workspace: workspace, Edge: e}
		}
		changes := b.changes[workspace]
		for _, ours := range b.firsts {
			if ours.Workspace != workspace {
				continue
			}
			if f, known := first[ours.A]; !known || f.FirstVersion().Cmp(ours.FirstVersion()) <= 0 {
				changes.Changed = append(changes.Changed, identity.OfPublic(ours.A))
			}
		}
	}
	return nil
}

// earliest leaves one row of each edge, the earliest.
func earliest(rows []clickhouse.EdgeRow) []clickhouse.EdgeRow {
	type ends struct {
		workspace string
		a, b      identity.Node
	}
	firsts := make(map[ends]clickhouse.EdgeRow, len(rows))
	for _, r := range rows {
		k := ends{r.Workspace, r.A, r.B}
		if old, ok := firsts[k]; !ok || r.At.Before(old.At) {
			firsts[k] = r
		}
	}
	return slices.Collect(maps.Values(firsts))
}

// decodeAll decodes and enriches a batch on all cores: with a backlog of clicks it is most of the
// processor's work. Each record has a row, or an error that says why it has none.
func (c *Clicks) decodeAll(records []*kgo.Record) ([]clickhouse.ClickRow, []error) {
	agents := c.Agents
	if agents == nil {
		agents = enrich.BuiltinAgents()
	}
	rows, faults := make([]clickhouse.ClickRow, len(records)), make([]error, len(records))
	share := (len(records) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	var workers sync.WaitGroup
	for begin := 0; begin < len(records); begin += share {
		workers.Go(func() {
			for i := begin; i < min(begin+share, len(records)); i++ {
				rows[i], faults[i] = Enrich(records[i], agents)
			}
		})
	}
	workers.Wait()
	return rows, faults
}

// addAffiliate adds an affiliate to the cache, and reports whether the cache did not have it or had
// it with a later time.
func (c *Clicks) addAffiliate(a affiliate, at time.Time) bool {
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

// Forget empties the cache: ClickHouse may have lost names that it had acknowledged.
func (c *Clicks) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.affiliates = nil
}

func (c *Clicks) removeAffiliates(list []affiliate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range list {
		delete(c.affiliates, a)
	}
}

// Enrich decodes a click and makes its row: what its URL, its referrer and its user agent say.
func Enrich(record *kgo.Record, agents *enrich.Agents) (clickhouse.ClickRow, error) {
	c, err := schemas.DecodeClick(record)
	if err != nil {
		return clickhouse.ClickRow{}, err
	}
	row := clickhouse.ClickRow{Click: c, URL: enrich.URL(c.Url), Agent: agents.Read(c.UserAgent, c.Vouched, c.Trigger)}
	row.Agent.Hint(c.HintBrands, c.HintPlatform, c.HintPlatformVersion)
	row.Agent.Arrive(c.Purpose, c.Datacenter)
	row.Referrer = enrich.ReferrerDomain(c.Referrer, row.URL.Host)
	row.Channel = enrich.Channel(row.URL, row.Referrer)
	return row, nil
}
