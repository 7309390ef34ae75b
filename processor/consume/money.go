package consume

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/load"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Money handles Stripe's events, leads and dead letters: raw rows, facts and names first, then the sales that they touch.
type Money struct {
	Store    Store
	Rejoiner *Rejoiner
	// Workspace gives the workspace of a Stripe account (acct_…; empty for the platform's own).
	Workspace func(account string) string
	Events    *prometheus.CounterVec // by type and whether it says anything about money or names
}

// MoneyTopics are what the lane consumes.
var MoneyTopics = []string{schemas.TopicStripe, schemas.TopicLeads, schemas.TopicDeadLetters}

// NewEventsMetric makes the counter for Money.Events.
func NewEventsMetric() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "processor_consume_stripe_events_total", Help: "Stripe events by type; known: false for those that are only kept raw."}, []string{"type", "known"})
}

type moneyBatch struct {
	events  []load.EventRow
	facts   []load.FactRow
	edges   []load.EdgeRow
	leads   []join.Lead
	letters []load.DeadLetterRow
	changed map[string]map[identity.Node]bool // by workspace; true: something new is known about it; false: told beside one
	latest  time.Time                         // of all records
}

func (b *moneyBatch) touch(workspace string, n identity.Node, changed bool) {
	if b.changed[workspace] == nil {
		b.changed[workspace] = make(map[identity.Node]bool)
	}
	b.changed[workspace][n] = b.changed[workspace][n] || changed
}

// Handle is the lane's Handler.
func (m *Money) Handle(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	b := &moneyBatch{changed: make(map[string]map[identity.Node]bool)}
	for _, r := range records {
		if r.Timestamp.After(b.latest) {
			b.latest = r.Timestamp
		}
		var err error
		step, reason := "decode", "unreadable"
		switch r.Topic {
		case schemas.TopicStripe:
			step, reason, err = m.event(b, r)
		case schemas.TopicLeads:
			err = m.lead(b, r)
		case schemas.TopicDeadLetters:
			b.letters = append(b.letters, letterRow(r))
		}
		if err != nil {
			if err := deadLetter(ctx, r, step, reason, err); err != nil {
				return err
			}
		}
	}
	return m.flush(ctx, b)
}

// flush stores what the batch says, and only then looks at whom it concerns (see Rejoiner).
func (m *Money) flush(ctx context.Context, b *moneyBatch) error {
	inserts, ictx := errgroup.WithContext(ctx)
	inserts.Go(func() error { return m.Store.InsertEvents(ictx, b.events) })
	inserts.Go(func() error { return m.Store.InsertDeadLetters(ictx, b.letters) })
	inserts.Go(func() error { return m.Store.InsertFacts(ictx, b.facts) })
	inserts.Go(func() error { return m.Store.InsertLeads(ictx, b.leads) })
	inserts.Go(func() error { return m.Store.InsertEdges(ictx, b.edges) })
	if err := inserts.Wait(); err != nil {
		return err
	}
	m.Rejoiner.Handled(b.latest)
	for workspace, nodes := range b.changed {
		var changed, near []identity.Node
		for n, new := range nodes {
			near = append(near, n)
			if new {
				changed = append(changed, n)
			}
		}
		if err := m.Rejoiner.Rejoin(ctx, workspace, changed, near); err != nil {
			return err
		}
	}
	return nil
}

func (m *Money) event(b *moneyBatch, r *kgo.Record) (step, reason string, err error) {
	e, err := schemas.DecodeStripe(r)
	if err != nil {
		return "decode", "unreadable", err
	}
	workspace := m.Workspace(e.Account)
	facts, err := stripe.Read(e)
	row := load.EventRow{Workspace: workspace, StripeEvent: e, Created: facts.Created}
	var shape *stripe.ShapeError
	switch {
	case errors.As(err, &shape):
		b.events = append(b.events, row) // the raw event is kept, whatever its shape
		return "facts", "unknown_shape", err
	case err != nil:
		return "facts", "not_an_event", err
	}
	b.events = append(b.events, row)
	m.Events.WithLabelValues(e.Type, strconv.FormatBool(facts.Known)).Inc()
	for _, f := range facts.Money {
		b.facts = append(b.facts, load.FactRow{Workspace: workspace, Fact: f})
		typ := identity.Object
		if f.Source == stripe.FromRefund || f.Source == stripe.FromDispute {
			typ = identity.Movement
		}
		b.touch(workspace, identity.New(typ, f.ObjectID), true)
	}
	for _, edge := range facts.Names {
		b.name(workspace, edge)
	}
	return "", "", nil
}

// name adds an edge. Between a sale and a name it concerns that sale; between two names it concerns every sale of theirs.
func (b *moneyBatch) name(workspace string, e identity.Edge) {
	b.edges = append(b.edges, load.EdgeRow{Workspace: workspace, Edge: e})
	isSale := func(n identity.Node) bool { t := n.Type(); return t == identity.Object || t == identity.Movement }
	between := !isSale(e.A) && !isSale(e.B)
	b.touch(workspace, e.A, between || isSale(e.A))
	b.touch(workspace, e.B, between || isSale(e.B))
}

func (m *Money) lead(b *moneyBatch, r *kgo.Record) error {
	l, err := schemas.DecodeLead(r)
	if err != nil {
		return err
	}
	node := identity.New(identity.Lead, hex.EncodeToString(l.LeadId))
	at := time.UnixMilli(l.ReceivedAt).UTC()
	b.leads = append(b.leads, join.NewLead(l))
	b.touch(l.Workspace, node, true)
	external := identity.New(identity.External, l.ExternalId)
	if l.ExternalId != "" {
		b.name(l.Workspace, identity.Edge{A: node, B: external, Source: "lead.external_id", At: at})
	}
	if click, ok := identity.ClickRef(l.ClickRef); ok {
		b.name(l.Workspace, identity.Edge{A: node, B: click, Source: "lead.click_id", At: at})
		if l.ExternalId != "" {
			b.name(l.Workspace, identity.Edge{A: external, B: click, Source: "lead.click_id", At: at})
		}
	}
	return nil
}

func letterRow(r *kgo.Record) load.DeadLetterRow {
	partition, _ := strconv.ParseInt(schemas.Header(r, schemas.HeaderPartition), 10, 32)
	offset, _ := strconv.ParseInt(schemas.Header(r, schemas.HeaderOffset), 10, 64)
	return load.DeadLetterRow{
		At: r.Timestamp, Reason: schemas.Header(r, schemas.HeaderReason), Step: schemas.Header(r, schemas.HeaderStep),
		Topic: schemas.Header(r, schemas.HeaderTopic), Partition: int32(partition), Offset: offset,
		Error: schemas.Header(r, schemas.HeaderError), Key: schemas.Header(r, schemas.HeaderKey), Body: string(r.Value),
	}
}
