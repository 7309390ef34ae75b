package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// server is ClickHouse as a processor sees it over a network: the model, and everything that can go
// wrong between the two.
type server struct {
	*run

	mu       sync.Mutex
	rng      *rand.Rand
	model    *clickhousetest.Model // every row that is on some replica, or on its way to one
	replicas []*replica
	layout   layout
	journal  []*write
	faults   []*statementFault

	stored   map[string]time.Time // when each raw row was first written
	versions map[ledger.EntryID]map[ledger.Version]ledger.Entry
	unequal  map[ledger.EntryID]ledger.Version // of which the model was written two rows that differ
}

// trouble is what happens to a statement.
type trouble string

const (
	refused    trouble = "refused"     // an error, nothing written
	unanswered trouble = "unanswered"  // written, and an error
	slow       trouble = "slow"        // written late
	slowAnswer trouble = "slow answer" // written, answered late
	hangs      trouble = "hangs"       // no answer within the statement's deadline, written some time, or never
	dies       trouble = "dies before" // the processor, before it is written
	diesAfter  trouble = "dies after"  // the processor, after it was written
	pauses     trouble = "pauses"      // the processor, before it is written
	strands    trouble = "strands"     // written and answered, and its replica cannot be reached for a while
	vanishes   trouble = "vanishes"    // written and answered, and its replica is gone, with what it had not passed on
	outlives   trouble = "outlives"    // the processor pauses before it is written, while its replica restarts
)

// statementFault hits the next statements that match it.
type statementFault struct {
	who, verb, table string // empty: any
	except           string // whose statements do not meet it
	background       bool   // only what is booked in the background meets it
	unasked          bool   // the balancer chooses a replica that has not said to the processor who it is
	trouble          trouble
	skip, hits       int
	delay            time.Duration
	death            time.Duration // vanishes: how long afterwards the processor dies, if it restarts
	restart          time.Duration // of a processor that died
	lost             time.Duration // of what its replica acknowledged, when it restarts
	never            bool          // hangs: it is not written at all
}

func (f *statementFault) String() string {
	text := fmt.Sprintf("%d × %s %s of %s: %s", f.hits, cmp.Or(f.verb, "statement"), cmp.Or(f.table, "anything"),
		cmp.Or(f.who, "anybody"), f.trouble)
	if f.skip > 0 {
		text += fmt.Sprintf(", after %d others", f.skip)
	}
	if f.delay > 0 {
		text += fmt.Sprintf(" %s", f.delay)
	}
	if f.never {
		text += ", never written"
	}
	if f.lost > 0 {
		text += fmt.Sprintf(", and loses what it acknowledged in the last %s", f.lost)
	}
	if f.restart > 0 {
		text += fmt.Sprintf(", back after %s", f.restart)
	}
	return text
}

var (
	errRefused   = errors.New("connection refused")
	errUnanswred = errors.New("connection reset by peer")
)

// poison in a raw event makes a row that cannot be stored.
const poison = "a value that no column takes"

func (r *run) newModel() *clickhousetest.Model {
	m := clickhousetest.New(r.tb)
	m.Now = func() time.Time { return time.Now().Add(r.clocks.clickhouse.off(r.since())) }
	m.Unequal = func(_, _ ledger.Entry) {} // see server.reset and witness
	m.Shared = r.shared
	return m
}

func newServer(r *run, rng *rand.Rand, l layout) *server {
	s := &server{run: r, rng: rng, layout: l, stored: map[string]time.Time{}}
	s.reset()
	for i := range s.layout.replicas {
		s.replicas = append(s.replicas, &replica{index: i, model: r.newModel(), started: time.Now().Add(-time.Hour)})
	}
	return s
}

// reset forgets every row.
func (s *server) reset() {
	s.model, s.versions = s.run.newModel(), map[ledger.EntryID]map[ledger.Version]ledger.Entry{}
	s.unequal = map[ledger.EntryID]ledger.Version{}
	s.model.Unequal = func(_, row ledger.Entry) { s.unequal[row.ID] = row.Version }
}

func (s *server) add(f *statementFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// end takes faults back.
func (s *server) end(over ...*statementFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(f *statementFault) bool { return slices.Contains(over, f) })
}

// inBackground is the key of a context in which something is booked in the background.
type inBackground struct{}

// next returns the trouble that a statement meets, and the network's own delay.
func (s *server) next(ctx context.Context, who, verb, table string) (*statementFault, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	latency := time.Duration(1+s.rng.IntN(15)) * time.Millisecond
	for i, f := range s.faults {
		if f.who != "" && f.who != who || f.verb != "" && f.verb != verb || f.table != "" && f.table != table ||
			f.except == who || f.background && ctx.Value(inBackground{}) == nil {
			continue
		}
		if f.skip > 0 {
			f.skip--
			continue
		}
		if f.hits--; f.hits <= 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return f, latency
	}
	return nil, latency
}

// calm takes all faults back.
func (s *server) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	for _, r := range s.replicas {
		r.down = time.Time{}
	}
}

// execute runs one statement once for a processor. keys are those of the rows that it inserts.
func (s *server) execute(ctx context.Context, p *processor, verb, table string, keys []string,
	apply func(*clickhousetest.Model) error,
) error {
	o := operation{Process: p.name, Type: "invoke", Do: verb, Table: table, Keys: keys}
	s.record(o)
	err := s.try(ctx, p, verb, table, apply)
	switch {
	case err == nil:
		o.Type = "ok"
	case errors.Is(err, errRefused):
		o.Type, o.Text = "fail", err.Error()
	default:
		o.Type, o.Text = "info", err.Error()
	}
	s.mu.Lock()
	o.Replica, o.Keys = p.replica+1, nil
	s.mu.Unlock()
	s.record(o)
	return err
}

func (s *server) try(ctx context.Context, p *processor, verb, table string,
	apply func(*clickhousetest.Model) error,
) error {
	f, latency := s.next(ctx, p.name, verb, table)
	if err := p.life.sleep(latency); err != nil {
		return err
	}
	replica := s.route(p)
	if f != nil && f.unasked {
		replica = s.routeUnasked(p)
	}
	if replica == nil {
		return errRefused
	}
	if f != nil {
		s.note("%s: %s %s %s", p.name, verb, table, f.trouble)
		switch f.trouble {
		case refused:
			return errRefused
		case dies:
			s.kill(p, f.restart)
		case pauses:
			p.life.pause(f.delay)
		case outlives:
			s.crash(replica, f.lost, f.delay/2)
			p.life.pause(f.delay)
		case slow:
			if err := p.life.sleep(f.delay); err != nil {
				return err
			}
		case hangs:
			if started := s.start(replica); !f.never && verb == "insert" {
				time.AfterFunc(f.delay, func() {
					if s.start(replica).Equal(started) { // what was sent before a crash is not written after it
						_ = s.apply(replica, p, verb, apply) // nobody waits for the answer
					}
				})
			}
			<-ctx.Done()
			return ctx.Err()
		}
	}
	if err := p.life.wait(); err != nil {
		return err
	}
	if err := s.apply(replica, p, verb, apply); err != nil {
		return err
	}
	if f != nil {
		switch f.trouble {
		case unanswered:
			return errUnanswred
		case diesAfter:
			s.kill(p, f.restart)
			return errKilled
		case slowAnswer:
			if err := p.life.sleep(f.delay); err != nil {
				return err
			}
		case strands:
			s.unreachable(replica, f.delay)
		case vanishes:
			s.crash(replica, f.lost, f.delay)
			if f.restart > 0 {
				time.AfterFunc(f.death, func() { s.kill(p, f.restart) })
			}
		}
	}
	if err := p.life.wait(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.answered == nil {
		p.answered = make(map[string]time.Time)
	}
	p.answered[replica.String()] = time.Now()
	return nil
}

func (s *server) current() *clickhousetest.Model {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.model
}

// witness remembers when raw rows were first stored, and every version of every entry. Equal
// versions mean equal rows, but for those of two processors whose replicas lag: each may miss what
// the other has seen, of one size and from the same moments (see ledger.Version). What stands in
// the end must be without doubt there too: see rowsConverge.
func (s *server) witness(rows any) {
	at := time.Now()
	for _, key := range rawKeys(rows) {
		if _, ok := s.stored[key]; !ok {
			s.stored[key] = at
		}
	}
	entries, _ := rows.([]ledger.Entry)
	for _, e := range entries {
		known := s.versions[e.ID]
		if known == nil {
			known = map[ledger.Version]ledger.Entry{}
			s.versions[e.ID] = known
		}
		if old, ok := known[e.Version]; ok && s.layout.replicas == 1 && !reflect.DeepEqual(old, e) {
			s.violated("equal versions mean equal rows: of %s %s two rows have version %x:\n  %+v\n  %+v", e.Kind,
				e.ObjectID, e.Version.Big(), old, e)
		}
		known[e.Version] = e
	}
}

// rawKeys names the raw rows among rows.
func rawKeys(rows any) (keys []string) {
	switch rows := rows.(type) {
	case []clickhouse.ClickRow:
		for _, r := range rows {
			keys = append(keys, "click "+string(r.ClickId))
		}
	case []clickhouse.EventRow:
		for _, r := range rows {
			keys = append(keys, "event "+r.ID)
		}
	case []ledger.Lead:
		for _, r := range rows {
			keys = append(keys, "lead "+string(r.ID[:]))
		}
	case []clickhouse.DeadLetterRow:
		for _, r := range rows {
			keys = append(keys, fmt.Sprintf("letter %s/%d/%d at %d", r.Topic, r.Partition, r.Offset, r.RecordAt.UnixMilli()))
		}
	}
	return keys
}

// rawRows names all that a model holds.
func rawRows(m *clickhousetest.Model) map[string]bool {
	all := make(map[string]bool)
	for _, rows := range []any{m.AllClicks(), m.AllEvents(), m.AllLeads(), m.DeadLetters()} {
		for _, key := range rawKeys(rows) {
			all[key] = true
		}
	}
	return all
}

// client is the Store of one processor. Like clickhouse.Store it waits out what can be waited out.
type client struct {
	*server
	p *processor
}

// attempt is the deadline of one statement, clickhouse.Store's.
const attempt = time.Minute

// persist runs a statement until it succeeds.
func (c *client) persist(ctx context.Context, verb, table string, keys []string,
	apply func(*clickhousetest.Model) error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		tried, cancel := context.WithTimeout(ctx, attempt)
		err := c.execute(tried, c.p, verb, table, keys, apply)
		cancel()
		if err == nil || errors.Is(err, clickhouse.ErrRejected) || errors.Is(err, errKilled) {
			return err
		}
		if c.broken.missOnError && verb == "lookup" && ctx.Err() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w", verb, table, context.Cause(ctx))
		case <-c.p.life.dead:
			return errKilled
		case <-time.After(wait):
		}
	}
}

func insert[R any](ctx context.Context, c *client, table string, rows []R,
	into func(*clickhousetest.Model, context.Context, []R) error,
) error {
	if len(rows) == 0 {
		return nil
	}
	rows = slices.Clone(rows)
	var keys []string
	if *histories != "" {
		keys = keysOf(rows)
	}
	return c.persist(ctx, "insert", table, keys, func(m *clickhousetest.Model) error {
		if m == c.model {
			c.witness(rows)
		}
		return into(m, context.Background(), rows)
	})
}

func lookup[A any](ctx context.Context, c *client, table string,
	ask func(*clickhousetest.Model) (A, error),
) (answer A, err error) {
	err = c.persist(ctx, "lookup", table, nil, func(m *clickhousetest.Model) (err error) {
		answer, err = ask(m)
		return err
	})
	return answer, err
}

var _ recompute.Store = (*client)(nil)

func (c *client) InsertClicks(ctx context.Context, rows []clickhouse.ClickRow) error {
	return insert(ctx, c, "clicks", rows, (*clickhousetest.Model).InsertClicks)
}

func (c *client) InsertEvents(ctx context.Context, rows []clickhouse.EventRow) error {
	for _, r := range rows {
		if strings.Contains(string(r.Body), poison) {
			return fmt.Errorf("insert stripe_events: %w", clickhouse.ErrRejected)
		}
	}
	return insert(ctx, c, "stripe_events", rows, (*clickhousetest.Model).InsertEvents)
}

func (c *client) InsertFacts(ctx context.Context, rows []clickhouse.FactRow) error {
	return insert(ctx, c, "facts", rows, (*clickhousetest.Model).InsertFacts)
}

func (c *client) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	return insert(ctx, c, "identities", rows, (*clickhousetest.Model).InsertEdges)
}

func (c *client) InsertFirstNames(ctx context.Context, rows []clickhouse.EdgeRow) error {
	return insert(ctx, c, "first_names", rows, (*clickhousetest.Model).InsertFirstNames)
}

func (c *client) InsertLeads(ctx context.Context, rows []ledger.Lead) error {
	return insert(ctx, c, "leads", rows, (*clickhousetest.Model).InsertLeads)
}

func (c *client) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	return insert(ctx, c, "ledger", rows, (*clickhousetest.Model).InsertLedger)
}

func (c *client) InsertDeadLetters(ctx context.Context, rows []clickhouse.DeadLetterRow) error {
	return insert(ctx, c, "dead_letters", rows, (*clickhousetest.Model).InsertDeadLetters)
}

func (c *client) InsertDeferred(ctx context.Context, rows []clickhouse.Deferred) error {
	return insert(ctx, c, "deferred_names", rows, (*clickhousetest.Model).InsertDeferred)
}

func (c *client) Names(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return lookup(ctx, c, "identities", func(m *clickhousetest.Model) ([]identity.Edge,
		error) {
		return m.Names(ctx, workspace, nodes)
	})
}

func (c *client) OfCatalogue(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return lookup(ctx, c, "identities", func(m *clickhousetest.Model) ([]identity.Edge, error) {
		return m.OfCatalogue(ctx, workspace, nodes)
	})
}

func (c *client) Neighbours(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return lookup(ctx, c, "identities", func(m *clickhousetest.Model) ([]identity.Edge, error) {
		return m.Neighbours(ctx,
			workspace, nodes)
	})
}

func (c *client) EdgesAfter(ctx context.Context, workspace string, name, after identity.Node,
	limit int) ([]identity.Edge, error) {
	return lookup(ctx, c, "identities", func(m *clickhousetest.Model) ([]identity.Edge, error) {
		return m.EdgesAfter(ctx, workspace, name, after, limit)
	})
}

func (c *client) Deferred(ctx context.Context) ([]clickhouse.Deferred, error) {
	return lookup(ctx, c, "deferred_names", func(m *clickhousetest.Model) ([]clickhouse.Deferred,
		error) {
		return m.Deferred(ctx)
	})
}

func (c *client) FirstNames(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return lookup(ctx, c, "first_names", func(m *clickhousetest.Model) ([]identity.Edge, error) {
		return m.FirstNames(ctx,
			workspace, nodes)
	})
}

func (c *client) NamedClicks(ctx context.Context, workspace string, ids []schemas.ClickID) ([]schemas.ClickID, error) {
	return lookup(ctx, c, "identities", func(m *clickhousetest.Model) ([]schemas.ClickID, error) {
		return m.NamedClicks(ctx, workspace, ids)
	})
}

func (c *client) Carried(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error) {
	return lookup(ctx, c, "identities", func(m *clickhousetest.Model) ([]identity.Edge,
		error) {
		return m.Carried(ctx, workspace, edges)
	})
}

func (c *client) CreditedBy(ctx context.Context, workspace string, links, affiliates []string) ([]identity.Node,
	error) {
	return lookup(ctx, c, "ledger", func(m *clickhousetest.Model) ([]identity.Node, error) {
		return m.CreditedBy(ctx, workspace, links, affiliates)
	})
}

func (c *client) Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error) {
	return lookup(ctx, c, "facts", func(m *clickhousetest.Model) (map[string][]stripe.Fact, error) {
		return m.Facts(ctx, workspace, objects)
	})
}

func (c *client) Clicks(ctx context.Context, workspace string,
	nodes []identity.Node,
) (map[identity.Node]*join.Click, error) {
	return lookup(ctx, c, "clicks", func(m *clickhousetest.Model) (map[identity.Node]*join.Click, error) {
		return m.Clicks(ctx, workspace, nodes)
	})
}

func (c *client) Leads(ctx context.Context, workspace string, ids [][16]byte) ([]ledger.Lead, error) {
	return lookup(ctx, c, "leads", func(m *clickhousetest.Model) ([]ledger.Lead,
		error) {
		return m.Leads(ctx, workspace, ids)
	})
}

func (c *client) Server(ctx context.Context) (server clickhouse.Server, err error) {
	err = c.execute(ctx, c.p, "server", "", nil, func(m *clickhousetest.Model) error {
		for _, r := range c.replicas {
			if r.model == m {
				c.p.heard[r.index] = true
				server = clickhouse.Server{Name: r.String(), Display: r.String(),
					Uptime: time.Since(r.started).Truncate(time.Second)}
			}
		}
		return nil
	})
	return server, err
}

func (c *client) Answered() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	answered := c.p.answered
	c.p.answered = nil
	return answered
}

func (c *client) Outdated(ctx context.Context, revised func(currency string, day time.Time) int64, limit int) (
	[]clickhouse.Sale, error,
) {
	return lookup(ctx, c, "ledger", func(m *clickhousetest.Model) ([]clickhouse.Sale, error) {
		return m.Outdated(ctx, revised, limit)
	})
}

func (c *client) Unfinished(ctx context.Context, since time.Time, limit int) ([]clickhouse.Sale, error) {
	return lookup(ctx, c, "ledger", func(m *clickhousetest.Model) ([]clickhouse.Sale, error) {
		return m.Unfinished(ctx, since, limit)
	})
}

func (c *client) Outstanding(ctx context.Context) (clickhouse.Outstanding, error) {
	return lookup(ctx, c, "ledger", func(m *clickhousetest.Model) (clickhouse.Outstanding,
		error) {
		return m.Outstanding(ctx)
	})
}
