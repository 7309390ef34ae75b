package consume

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"tributary/processor/clickhouse"
	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Payments handles Stripe's events, leads and dead letters: it stores raw rows, facts and identity
// edges first, and then recomputes the sales and leads that they affect.
type Payments struct {
	Store      recompute.Store
	Recomputer *recompute.Recomputer
	// Workspace returns the workspace that books an event, or where none does the one that holds it:
	// see workspace.File.Of.
	Workspace func(e *schemas.StripeEvent) (workspace string, listed bool)
	// Keys returns the metadata keys of a workspace; nil: the built-in ones everywhere.
	Keys func(workspace string) *stripe.Keys
	// Erased lists the people whose data is taken out of every record; nil: nobody.
	Erased *erase.List
	Events *prometheus.CounterVec // by type and whether this program reads facts from it
	// ThinFetched says that something else fetches what thin events leave out; otherwise they are set
	// aside.
	ThinFetched bool
	// RawStored says that the raw events are stored already, where they are read from.
	RawStored bool

	thin atomic.Int64 // thin events that were set aside
}

// Warning returns what an operator should know; empty: nothing.
func (m *Payments) Warning() string {
	if n := m.thin.Load(); n > 0 {
		return fmt.Sprintf("%d thin events were set aside since the start: %v", n, errThin)
	}
	return ""
}

// PaymentTopics are the topics of Payments.
var PaymentTopics = []string{schemas.TopicStripe, schemas.TopicLeads, schemas.TopicDeadLetters}

// NewEventsMetric makes the counter for Payments.Events.
func NewEventsMetric() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "processor_consume_stripe_events_total",
		Help: "Stripe events by type; known is false for those that are only stored raw."}, []string{"type", "known"})
}

type paymentBatch struct {
	events      []clickhouse.EventRow
	release     bool // events are what was held: they are stored last, as a sign that they are booked
	facts       []clickhouse.FactRow
	leads       []ledger.Lead
	firsts      []clickhouse.EdgeRow // what browsers report under a name, of which the first counts
	oneWay      []clickhouse.EdgeRow
	deadLetters []clickhouse.DeadLetterRow
	changes     map[string]*recompute.Changes // by workspace
	read        stripe.Facts                  // of the event that was read last
}

func (b *paymentBatch) changesOf(workspace string) *recompute.Changes {
	n := b.changes[workspace]
	if n == nil {
		n = new(recompute.Changes)
		b.changes[workspace] = n
	}
	return n
}

// Handle is a Handler.
func (m *Payments) Handle(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	return m.handle(ctx, &paymentBatch{changes: make(map[string]*recompute.Changes)}, records, deadLetter)
}

// release is a Handler of events that were held. Each is stored in its workspace after it has been
// booked there: killed in between, it is booked once more.
func (m *Payments) release(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error {
	b := &paymentBatch{changes: make(map[string]*recompute.Changes), release: true}
	return m.handle(ctx, b, records, deadLetter)
}

func (m *Payments) handle(ctx context.Context, b *paymentBatch, records []*kgo.Record, deadLetter DeadLetter) error {
	b.events, b.facts = make([]clickhouse.EventRow, 0, len(records)), make([]clickhouse.FactRow, 0, len(records))
	for _, r := range records {
		var err error
		step, reason := "decode", "unreadable"
		switch r.Topic {
		case schemas.TopicStripe:
			step, reason, err = m.event(b, r)
		case schemas.TopicLeads:
			err = m.lead(b, r)
		case schemas.TopicDeadLetters:
			b.deadLetters = append(b.deadLetters, DeadLetterRow(r))
		}
		if err != nil {
			if err := deadLetter(ctx, r, step, reason, err); err != nil {
				return err
			}
		}
	}
	return m.flush(ctx, b)
}

// flush stores the batch, and only then recomputes what it affects: recompute.Recomputer says why
// in this order.
func (m *Payments) flush(ctx context.Context, b *paymentBatch) error {
	first, last := b.events, []clickhouse.EventRow(nil)
	switch {
	case m.RawStored:
		first = nil
	case b.release:
		first, last = last, first
	}
	err := m.Recomputer.Apply(ctx, b.changes, func(ctx context.Context) error {
		inserts, ictx := errgroup.WithContext(ctx)
		inserts.Go(func() error { return m.Store.InsertEvents(ictx, first) })
		inserts.Go(func() error { return m.Store.InsertDeadLetters(ictx, b.deadLetters) })
		inserts.Go(func() error { return m.Store.InsertFacts(ictx, b.facts) })
		inserts.Go(func() error { return m.Store.InsertLeads(ictx, b.leads) })
		inserts.Go(func() error { return m.Store.InsertFirstNames(ictx, b.firsts) })
		inserts.Go(func() error { return m.Store.InsertEdges(ictx, b.oneWay) })
		return inserts.Wait()
	})
	if err != nil {
		return err
	}
	return m.Store.InsertEvents(ctx, last)
}

func (m *Payments) event(b *paymentBatch, r *kgo.Record) (step, reason string, err error) {
	e, err := schemas.DecodeStripe(r)
	if err != nil {
		return "decode", "unreadable", err
	}
	workspace, listed := m.Workspace(e)
	e, _ = m.Erased.Event(workspace, e)
	keys := stripe.Default()
	if m.Keys != nil {
		keys = m.Keys(workspace)
	}
	facts := &b.read
	err = keys.ReadInto(e, facts)
	row := clickhouse.EventRow{Workspace: workspace, StripeEvent: e, Created: facts.Created}
	var shape *stripe.ShapeError
	switch {
	case errors.As(err, &shape):
		b.events = append(b.events, row) // the raw event is stored, whatever its shape
		return "facts", "unknown_shape", err
	case err != nil:
		return "facts", "not_an_event", err
	}
	b.events = append(b.events, row)
	m.Events.WithLabelValues(e.Type, strconv.FormatBool(facts.Known)).Inc()
	if facts.Thin && !m.ThinFetched {
		m.thin.Add(1)
		return "facts", ThinReason, errThin
	}
	n := b.changesOf(workspace)
	known := len(n.Edges)
	n.Edges = append(n.Edges, facts.Names...)
	for i := range facts.Money {
		f := &facts.Money[i]
		b.facts = append(b.facts, clickhouse.FactRow{Workspace: workspace, Fact: *f})
		n.Changed = append(n.Changed, f.Subject())
		n.Edges = ledger.AppendFirstSales(n.Edges, f)
	}
	if !e.Livemode {
		n.Edges = append(n.Edges[:known], identity.TestMode(n.Edges[known:])...)
	}
	if !listed {
		return "", "", nil // a lead that is held would be counted: it is stored with the release
	}
	for _, l := range facts.Leads {
		m.stripeLead(b, workspace, e, l)
	}
	return "", "", nil
}

// stripeLead adds a lead that a Stripe event reports: a buyer who has not paid yet. Its id is a
// hash of its content, so that a lead that is delivered twice, or reported by customer.created and
// customer.updated, is one lead.
func (m *Payments) stripeLead(b *paymentBatch, workspace string, e *schemas.StripeEvent, l stripe.Lead) {
	sum := sha256.Sum256([]byte(workspace + "\x00" + e.Account + "\x00" + l.ObjectID + "\x00" + l.Name))
	row := ledger.Lead{
		Workspace: workspace, ID: [16]byte(sum[:16]), ReceivedAt: l.At, OccurredAt: l.At,
		ExternalID: l.ExternalID, EventName: l.Name,
		Mode: ledger.StripeLead, Quantity: uint8(min(max(l.Quantity, 1), 100)), Livemode: e.Livemode, Vouched: true,
	}
	b.leads = append(b.leads, row.Uncredited())
	node := ledger.LeadNode(row.ID)
	n := b.changesOf(workspace)
	n.Changed = append(n.Changed, node)
	var names []identity.Edge
	for _, name := range []identity.Node{identity.New(identity.Customer, l.CustomerID),
		identity.New(identity.Subscription, l.SubscriptionID), identity.New(identity.External, l.ExternalID)} {
		if name.Value() != "" {
			names = append(names, identity.Edge{A: node, B: name, Source: e.Type, At: l.At})
		}
	}
	if !e.Livemode {
		names = identity.TestMode(names)
	}
	n.Edges = append(n.Edges, names...)
}

func (m *Payments) lead(b *paymentBatch, r *kgo.Record) error {
	l, err := schemas.DecodeLead(r)
	if err != nil {
		return err
	}
	l = m.Erased.Lead(l)
	n := b.changesOf(l.Workspace)
	node := ledger.LeadNode([16]byte(l.LeadId))
	row := ledger.NewLead(l)
	at := row.OccurredAt
	b.leads = append(b.leads, row)
	n.Changed = append(n.Changed, node)
	link := func(a, b identity.Node, source string) {
		n.Edges = append(n.Edges, identity.Edge{A: a, B: b, Source: source, At: at})
	}
	external, email := identity.New(identity.External, l.ExternalId),
		identity.New(identity.Email, hex.EncodeToString(l.EmailHash))
	if !l.GetVouched() {
		publicLead(b, l, node, external, at)
		return nil
	}
	if l.ExternalId != "" {
		link(node, external, "lead.external_id")
		if len(l.EmailHash) > 0 {
			link(email, external, "lead.email")
		}
		if sale := schemas.StripeSale(l); sale != "" {
			link(identity.New(identity.Object, sale), external, "sale.invoice_id")
		}
	}
	if click, ok := identity.ClickRef(l.ClickRef); ok {
		link(node, click, "lead.click_id")
		if l.ExternalId != "" {
			link(external, click, "lead.click_id")
		}
		if len(l.EmailHash) > 0 {
			link(email, click, "lead.email")
		}
	}
	return nil
}

// publicLead links a lead that a browser sent to its click. It also links the buyer's id to the
// click, as a public name, if the id cannot be guessed. Any other id proves nothing, nor does an
// e-mail address.
func publicLead(b *paymentBatch, l *schemas.Lead, node, external identity.Node, at time.Time) {
	click, ok := identity.ClickRef(l.ClickRef)
	if !ok {
		return
	}
	n := b.changesOf(l.Workspace)
	n.Edges = append(n.Edges, identity.Edge{A: node, B: click, Source: "lead.click_id", At: at})
	if !join.Unguessable(l.ExternalId) {
		return
	}
	public := identity.PublicName(external)
	edge := func(a, b identity.Node) clickhouse.EdgeRow {
		return clickhouse.EdgeRow{Workspace: l.Workspace, Edge: identity.Edge{A: a, B: b, Source: "lead.public", At: at}}
	}
	n.Edges = append(n.Edges, edge(external, public).Edge)
	b.firsts = append(b.firsts, edge(public, click))
	back := edge(click, public)
	back.OneWay = true
	b.oneWay = append(b.oneWay, back)
}

// DeadLetterRow makes a row of a record of the dead letters' topic.
func DeadLetterRow(r *kgo.Record) clickhouse.DeadLetterRow {
	partition, _ := strconv.ParseInt(schemas.Header(r, schemas.HeaderPartition), 10, 32)
	offset, _ := strconv.ParseInt(schemas.Header(r, schemas.HeaderOffset), 10, 64)
	// The header is missing in dead letters from before it: their time is 0.
	recordAt, _ := strconv.ParseInt(schemas.Header(r, schemas.HeaderRecordAt), 10, 64)
	headers := make(map[string]string)
	for _, h := range r.Headers {
		if name, original := strings.CutPrefix(h.Key, schemas.HeaderOriginal); original {
			headers[name] = string(h.Value)
		}
	}
	return clickhouse.DeadLetterRow{
		At: r.Timestamp, Reason: schemas.Header(r, schemas.HeaderReason), Step: schemas.Header(r, schemas.HeaderStep),
		Topic: schemas.Header(r, schemas.HeaderTopic), Partition: int32(partition), Offset: offset,
		RecordAt: time.UnixMilli(recordAt).UTC(),
		Error:    schemas.Header(r, schemas.HeaderError), Key: schemas.Header(r, schemas.HeaderKey), Headers: headers,
		Body: string(r.Value),
	}
}
