package clickhousetest

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/deploy/race"
	"tributary/processor/clickhouse"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

var _, _ recompute.Store = (*Model)(nil), (*clickhouse.Store)(nil)

// What the simulation takes for ClickHouse answers as ClickHouse does: both are given the same
// inserts, again and in any order, are asked the same questions in between, and hold the same rows
// in the end. The fourth sequence is lived by a user with an odd profile, which changes nothing.
// TRIBUTARY_CONTRACT_SEED lives one other sequence.
func TestContract(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4}
	if race.Enabled {
		seeds = seeds[:1]
	}
	if text := os.Getenv("TRIBUTARY_CONTRACT_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("TRIBUTARY_CONTRACT_SEED is %q: give a number", text)
		}
		seeds = []uint64{seed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			c := &contract{T: t, rng: rand.New(rand.NewPCG(seed, 0)),
				base: time.Now().UTC().Truncate(time.Hour).AddDate(0, 0, -3)}
			var profile map[string]string
			if seed == 4 {
				profile = chdbtest.OddProfile
			}
			c.model, c.real = New(t), open(t, profile)
			c.live()
		})
	}
}

// live is one sequence of statements, and compares all that is stored in the end.
func (c *contract) live() {
	// Without any revised rate the real one looks for no outdated sale.
	c.must("write a rate", c.real.InsertRates(c.Context(), []fx.Rate{{Currency: "eur", RevisedAt: c.base}}))
	statements := 250
	if race.Enabled {
		statements = 120
	}
	for c.step = range statements {
		if c.rng.IntN(5) < 2 {
			c.insert()
		} else {
			c.ask()
		}
	}
	c.compareTables()
}

// open returns a database, over which the Store has the settings of a profile.
func open(t *testing.T, profile map[string]string) *engine {
	t.Helper()
	dsn, _ := sqltest.Open(t)
	options, err := clickhousego.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	store, err := clickhouse.OpenUnpaced(chdbtest.WithProfile(t, dsn, profile), slog.New(slog.DiscardHandler),
		prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	conn, err := clickhousego.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &engine{store, conn, options.Auth.Database}
}

// engine is a database of the real one.
type engine struct {
	*clickhouse.Store
	conn     driver.Conn
	database string
}

// contract is one sequence of statements. There are few keys, so that most rows are written several
// times.
type contract struct {
	*testing.T
	rng   *rand.Rand
	base  time.Time
	step  int
	model *Model
	real  *engine
}

// of draws what is the same whenever the same thing is spoken of.
func of(parts ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, parts...)
	return rand.New(rand.NewPCG(h.Sum64(), 0))
}

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

// some returns the results of one to twelve calls of make.
func some[T any](c *contract, make func() T) []T {
	var list []T
	for range 1 + c.rng.IntN(12) {
		list = append(list, make())
	}
	return list
}

func (c *contract) workspace() string { return pick(c.rng, "default", "shop") }

// moment is one of few, down to the millisecond.
func (c *contract) moment(rng *rand.Rand) time.Time {
	return c.base.Add(time.Duration(rng.IntN(40)) * 97 * time.Minute).Add(time.Duration(rng.IntN(3)) * time.Millisecond)
}

func (c *contract) clickID() (schemas.ClickID, *rand.Rand) {
	n := c.rng.IntN(25)
	own := of("click", n)
	id := schemas.NewClickID(c.base.AddDate(0, 0, -own.IntN(70)))
	binary.BigEndian.PutUint64(id[8:], own.Uint64())
	id[6], id[7], id[8] = 0x70, byte(n), id[8]&0x3f|0x80
	return id, own
}

func (c *contract) object() string   { return fmt.Sprintf("pi_%d", c.rng.IntN(15)) }
func (c *contract) customer() string { return pick(c.rng, "", "cus_1", "cus_2", "cus_3") }

func (c *contract) node() identity.Node {
	switch c.rng.IntN(4) {
	case 0:
		id, _ := c.clickID()
		return identity.New(identity.Click, id.String())
	case 1:
		return identity.New(identity.Object, c.object())
	case 2:
		return identity.New(identity.Customer, cmp.Or(c.customer(), "cus_'); -- \\"))
	}
	affiliate := identity.New(identity.Affiliate, pick(c.rng, "ann", "ömer 🧶", "o'hara", "a\x1fb\x00\n"))
	if c.rng.IntN(3) == 0 {
		return identity.PublicName(affiliate)
	}
	return affiliate
}

func (c *contract) click() clickhouse.ClickRow {
	id, _ := c.clickID()
	received := c.moment(c.rng)
	rng := of(id, received)
	row := clickhouse.ClickRow{Click: &schemas.Click{
		Workspace: c.workspace(), ClickId: id[:], ClickedAt: id.Time().UnixMilli(), ReceivedAt: received.UnixMilli(),
		LinkId:      pick(rng, "", "link_1", "link_2"),
		AffiliateId: pick(rng, "ann", "ömer 🧶"), ProgramId: pick(rng, "", "p"), VisitorId: fmt.Sprint(rng.IntN(9)),
		ForeignId: pick(rng, "", "dub_1"), Country: pick(rng, "", "DE"), Vouched: rng.IntN(2) == 0,
		Properties: map[string]string{},
	}, Channel: pick(rng, "", "email")}
	row.URL.UTM.Source, row.URL.UTM.Campaign, row.Agent.Device = pick(rng, "", "news"), pick(rng, "", "c1"),
		pick(rng, "", "phone")
	return row
}

func (c *contract) event() clickhouse.EventRow {
	id, received := fmt.Sprintf("evt_%d", c.rng.IntN(20)), c.moment(c.rng)
	rng := of(id, received)
	return clickhouse.EventRow{Workspace: c.workspace(), Created: c.base, StripeEvent: &schemas.StripeEvent{
		ID: id, Type: "invoice.paid", APIVersion: "2023-10-16", Livemode: true, ReceivedAt: received,
		Body: fmt.Appendf(nil, `{"n":%d,"s":"\u0000é"}`, rng.IntN(99)),
	}}
}

func (c *contract) fact() clickhouse.FactRow {
	workspace, object, received := c.workspace(), c.object(), c.moment(c.rng)
	source, event := pick(c.rng, stripe.FromInvoice, "charge"), pick(c.rng, "evt_1", "evt_2")
	kind := pick(c.rng, stripe.Payment, stripe.Refund, stripe.Authorization)
	transaction := pick(c.rng, "", "txn_1")
	rng := of(workspace, object, kind, source, event, transaction, received)
	return clickhouse.FactRow{Workspace: workspace, Fact: stripe.Fact{
		ObjectID: object, Kind: kind, Source: source, EventID: event, Account: pick(rng, "", "acct_1"),
		Livemode: rng.IntN(2) == 0, CreatedAt: c.moment(rng).Truncate(time.Second),
		ReceivedAt: received, OccurredAt: c.moment(rng).Truncate(time.Second), ParentID: pick(rng, "", "ch_1"),
		Certain: rng.IntN(2) == 0, InvoiceID: pick(rng, "", "in_1"), TransactionID: transaction, Total: rng.Int64N(3),
		Due: pick(rng, int64(0), 70, stripe.UnknownAmount), Noted: pick(rng, int64(0), stripe.UnknownAmount),
		Captured: pick(rng, int64(0), stripe.UnknownAmount),
		Currency: pick(rng, "usd", "jpy"),
		Amount:   pick(rng, int64(1000), -1000, 1<<62), Tax: rng.Int64N(100), Shipping: rng.Int64N(2),
		Discount:   rng.Int64N(2),
		CustomerID: pick(rng, "", "cus_1", "cus_2"),
		ExternalID: pick(rng, "", "user 1"), SubscriptionID: pick(rng, "", "sub_1"),
		BillingReason: pick(rng, "", "subscription_cycle"),
	}}
}

func (c *contract) edge() clickhouse.EdgeRow {
	e := identity.Edge{A: c.node(), B: c.node(), At: c.moment(of(c.rng.IntN(3))), Carried: c.rng.IntN(2) == 0}
	ends := []identity.Node{e.A, e.B}
	slices.Sort(ends)
	e.Source = pick(of(ends, e.At), "metadata", "client_reference_id", identity.CatalogueSource)
	return clickhouse.EdgeRow{Workspace: c.workspace(), Edge: e}
}

// firstName is what a click reports under one of few names.
func (c *contract) firstName() clickhouse.EdgeRow {
	name := identity.New(identity.Affiliate, pick(c.rng, "ann", "ömer 🧶"))
	if c.rng.IntN(2) == 0 {
		name = identity.PublicName(name)
	}
	return clickhouse.EdgeRow{Workspace: c.workspace(), Edge: identity.Edge{
		A: name, B: identity.New(identity.Program, pick(c.rng, "", "p", "q")), Source: "click.affiliate_id",
		At: c.moment(of(c.rng.IntN(4))),
	}}
}

// version is one of few; what a row holds follows from its key and its version.
func (c *contract) version() ledger.Version {
	return ledger.VersionOf(new(big.Int).Lsh(big.NewInt(int64(c.rng.IntN(6))), uint(pick(c.rng, 0, 2, 63, 64, 100, 122))))
}

func (c *contract) credit(rng *rand.Rand) join.Click {
	click := join.Click{AffiliateID: pick(rng, "", "ann", "o'hara"), ProgramID: pick(rng, "", "p")}
	if rng.IntN(2) == 0 {
		click.ID, click.ClickedAt = schemas.ClickID{1, byte(rng.IntN(5))}, c.moment(rng)
		click.LinkID, click.VisitorID, click.UTMSource, click.Country = pick(rng, "", "link_1", "link_2"), "v", "news", "DE"
	}
	return click
}

func (c *contract) lead() ledger.Lead {
	workspace, n, version := c.workspace(), c.rng.IntN(10), c.version()
	// What the buyer's site reports does not change between versions; the rest does.
	fixed, rng := of(workspace, n), of(workspace, n, version)
	return ledger.Lead{
		Workspace: workspace, ID: [16]byte{9, byte(n)}, ReceivedAt: c.moment(fixed), OccurredAt: c.moment(fixed),
		ExternalID: fmt.Sprint("user ", n), EventName: pick(fixed, "Sign up", ""),
		Mode: pick(fixed, "async", "wait"), Livemode: fixed.IntN(2) == 0,
		Person:   pick(rng, "", "external:1"),
		Quantity: uint8(1 + fixed.IntN(100)), EmailHash: pick(fixed, "", "0123456789abcdef"),
		Metadata: pick(fixed, map[string]string{}, map[string]string{"plan": "pro 🧶"}),
		Click:    c.credit(rng), MatchRule: pick(rng, join.RuleNone, join.RuleClickID), MatchKey: pick(rng, "", "click:1"),
		Version: version,
	}
}

func (c *contract) entry() ledger.Entry {
	workspace, object, kind, version := c.workspace(), c.object(), pick(c.rng, stripe.Payment, stripe.Refund), c.version()
	sale, rng := of(workspace, object), of(workspace, object, kind, version)
	e := ledger.Entry{
		Workspace: workspace, ID: ledger.NewEntryID(workspace, true, object, kind, ""), Kind: kind, ObjectID: object,
		SaleID: fmt.Sprint("pi_", sale.IntN(8)), Livemode: true,
		OccurredAt: c.moment(rng), ReceivedAt: c.moment(rng), CustomerID: pick(rng, "", "cus_1"),
		Currency: pick(rng, "usd", "jpy", "eur"),
		Amount:   pick(rng, int64(0), 1000, -1000), Tax: rng.Int64N(100), Click: c.credit(rng),
		MatchRule: pick(rng, join.RuleNone, join.RuleClickID), MatchKey: pick(rng, "", "click:1"),
		MatchCandidates: []string{}, Status: pick(rng, ledger.Booked, ledger.Booked, ledger.Held, ledger.Superseded),
		Version: version,
	}
	if e.Status == ledger.Superseded {
		e.SupersededBy = "in_1"
	}
	if rng.IntN(2) == 0 {
		usd, net, rate := decimal.New(rng.Int64N(1e9), -6), decimal.New(-rng.Int64N(1e9), -6),
			decimal.New(1+rng.Int64N(1e6), -5)
		e.AmountUSD, e.NetUSD, e.FXRate, e.FXDate, e.FXSource, e.FXFinal = &usd, &net, &rate, c.base.Truncate(24*time.Hour),
			"ecb", rng.IntN(2) == 0
	}
	return e
}

func (c *contract) letter() clickhouse.DeadLetterRow {
	partition, offset, step := int32(c.rng.IntN(2)), c.rng.Int64N(6), pick(c.rng, "decode", "load")
	recordAt := c.base.Add(time.Duration(c.rng.IntN(2)) * time.Millisecond) // of a topic, or of one made again
	rng := of(partition, offset, step, recordAt.UnixMilli())
	return clickhouse.DeadLetterRow{
		At: c.moment(rng), Reason: "unreadable", Step: step, Topic: schemas.TopicStripe, Partition: partition, Offset: offset,
		RecordAt: recordAt, Error: "unexpected 'x'", Key: "\xff\x00", Body: pick(rng, "", "{"),
		Headers: map[string]string{"event_id": "evt_1"},
	}
}

func (c *contract) must(what string, err error) {
	c.Helper()
	if err != nil {
		c.Fatalf("statement %d, %s: %v", c.step, what, err)
	}
}

// insertBoth inserts the same rows into the model and into ClickHouse.
func insertBoth[T any](
	c *contract, what string, draw func() T, model, real func(context.Context, []T) error,
) {
	c.Helper()
	rows := some(c, draw)
	c.must("model: "+what, model(c.Context(), slices.Clone(rows)))
	c.must(what, real(c.Context(), rows))
}

func (c *contract) insert() {
	switch c.rng.IntN(8) {
	case 7:
		insertBoth(c, "InsertFirstNames", c.firstName, c.model.InsertFirstNames, c.real.InsertFirstNames)
	case 0:
		insertBoth(c, "InsertClicks", c.click, c.model.InsertClicks, c.real.InsertClicks)
	case 1:
		insertBoth(c, "InsertEvents", c.event, c.model.InsertEvents, c.real.InsertEvents)
	case 2:
		insertBoth(c, "InsertFacts", c.fact, c.model.InsertFacts, c.real.InsertFacts)
	case 3:
		insertBoth(c, "InsertEdges", c.edge, c.model.InsertEdges, c.real.InsertEdges)
	case 4:
		insertBoth(c, "InsertLeads", c.lead, c.model.InsertLeads, c.real.InsertLeads)
	case 5:
		insertBoth(c, "InsertLedger", c.entry, c.model.InsertLedger, c.real.InsertLedger)
	case 6:
		insertBoth(c, "InsertDeadLetters", c.letter, c.model.InsertDeadLetters, c.real.InsertDeadLetters)
	}
}

// asked compares the two answers to one question, as text: times of one moment are not equal to Go.
func asked[T any](c *contract, what string, ask func(recompute.Store) (T, error)) {
	c.Helper()
	want, err := ask(c.model)
	c.must("model: "+what, err)
	got, err := ask(c.real)
	c.must(what, err)
	theirs, err := json.Marshal(got)
	c.must(what, err)
	ours, err := json.Marshal(want)
	c.must(what, err)
	if string(theirs) != string(ours) {
		c.Fatalf("statement %d, %s:\nClickHouse %s\nthe model  %s", c.step, what, theirs, ours)
	}
}

func sorted[T any](list []T, err error) ([]T, error) {
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)) })
	return slices.Clip(append([]T{}, list...)), err
}

func (c *contract) ask() {
	ctx, workspace := c.Context(), c.workspace()
	switch c.rng.IntN(9) {
	case 0:
		nodes := some(c, c.node)
		asked(c, fmt.Sprint("Names of ", nodes), func(s recompute.Store) ([]identity.Edge,
			error) {
			return sorted(s.Names(ctx, workspace, nodes))
		})
		asked(c, fmt.Sprint("Neighbours of ", nodes), func(s recompute.Store) ([]identity.Edge,
			error) {
			return sorted(s.Neighbours(ctx, workspace, nodes))
		})
		shared := slices.DeleteFunc(slices.Clone(nodes), identity.Node.Standalone)
		asked(c, fmt.Sprint("OfCatalogue of ", shared), func(s recompute.Store) ([]identity.Edge, error) {
			return sorted(s.OfCatalogue(ctx, workspace, shared))
		})
		for _, n := range nodes[:min(1, len(nodes))] {
			asked(c, fmt.Sprint("edges of ", n), func(s recompute.Store) ([]identity.Edge, error) {
				edges, err := s.EdgesAfter(ctx, workspace, n, "c", 2)
				return append([]identity.Edge{}, edges...), err // in order; none may be nil
			})
		}
	case 1:
		edges := some(c, func() identity.Edge { return identity.Edge{A: c.node(), B: c.node()} })
		asked(c, fmt.Sprint("Carried of ", edges), func(s recompute.Store) ([]identity.Edge,
			error) {
			return sorted(s.Carried(ctx, workspace, edges))
		})
	case 2:
		links := pick(c.rng, []string{"link_1"}, []string{"link_1", "link_2"}, []string{"'"})
		affiliates := pick(c.rng, nil, []string{"ann"}, []string{"ann", "'"})
		asked(c, fmt.Sprint("CreditedBy ", links, affiliates), func(s recompute.Store) ([]identity.Node, error) {
			return s.CreditedBy(ctx, workspace, links, affiliates)
		})
	case 3:
		objects := some(c, c.object)
		asked(c, fmt.Sprint("Facts of ", objects), func(s recompute.Store) (map[string][]stripe.Fact,
			error) {
			return s.Facts(ctx, workspace, objects)
		})
	case 4:
		var nodes []identity.Node
		for range c.rng.IntN(9) {
			nodes = append(nodes, c.node())
		}
		nodes = slices.DeleteFunc(nodes, func(n identity.Node) bool { return n.Type() != identity.Click })
		asked(c, fmt.Sprint("Clicks of ", nodes), func(s recompute.Store) (map[identity.Node]*join.Click,
			error) {
			return s.Clicks(ctx, workspace, nodes)
		})
	case 5:
		ids := some(c, func() [16]byte { return [16]byte{9, byte(c.rng.IntN(10))} })
		asked(c, fmt.Sprint("Leads of ", ids), func(s recompute.Store) ([]ledger.Lead, error) {
			return sorted(s.Leads(ctx, workspace, slices.Compact(ids)))
		})
	case 6:
		since := c.moment(c.rng)
		asked(c, fmt.Sprintf("Unfinished since %s", since), func(s recompute.Store) ([]clickhouse.Sale, error) {
			return sorted(s.Unfinished(ctx, since, 1000))
		})
		asked(c, "Outdated", func(s recompute.Store) ([]clickhouse.Sale, error) {
			return sorted(s.Outdated(ctx, func(currency string, day time.Time) int64 {
				return (day.Unix()/86400 + int64(currency[0])) % 4
			}, 1000))
		})
	case 7:
		ids := some(c, func() schemas.ClickID { id, _ := c.clickID(); return id })
		asked(c, fmt.Sprint("NamedClicks of ", ids), func(s recompute.Store) ([]schemas.ClickID, error) {
			return sorted(s.NamedClicks(ctx, workspace, ids))
		})
	case 8:
		asked(c, "Outstanding", func(s recompute.Store) (clickhouse.Outstanding, error) { return s.Outstanding(ctx) })
	}
}

// compareTables writes what the model holds into an empty database, once: its tables must be those
// of the database that was given everything.
func (c *contract) compareTables() {
	clean := open(c.T, nil)
	ctx := c.Context()
	c.must("write clicks", clean.InsertClicks(ctx, slices.Collect(maps.Values(c.model.clicks))))
	c.must("write events", clean.InsertEvents(ctx, slices.Collect(maps.Values(c.model.events))))
	c.must("write facts", clean.InsertFacts(ctx, slices.Collect(maps.Values(c.model.facts.content()))))
	c.must("write edges", clean.InsertEdges(ctx, slices.Collect(maps.Values(c.model.edges.content()))))
	c.must("write first names", clean.InsertFirstNames(ctx, slices.Collect(maps.Values(c.model.firsts))))
	c.must("write leads", clean.InsertLeads(ctx, slices.Collect(maps.Values(c.model.leads))))
	c.must("write ledger", clean.InsertLedger(ctx, slices.Collect(maps.Values(c.model.ledger))))
	c.must("write dead letters", clean.InsertDeadLetters(ctx, slices.Collect(maps.Values(c.model.dead))))
	for _, table := range []string{"clicks", "stripe_events", "facts", "identities", "first_names", "leads",
		"leads_attributed", "ledger", "revenue", "dead_letters"} {
		repeated := fmt.Sprintf("SELECT * FROM %s.%s FINAL", c.real.database, table)
		once := fmt.Sprintf("SELECT * FROM %s.%s FINAL", clean.database, table)
		var missing, surplus, rows uint64
		query := fmt.Sprintf("SELECT (SELECT count() FROM (%[1]s EXCEPT %[2]s)), (SELECT count() FROM (%[2]s EXCEPT "+
			"%[1]s)), (SELECT count() FROM (%[1]s))", repeated, once)
		c.must(table, c.real.conn.QueryRow(ctx, query).Scan(&surplus, &missing, &rows))
		if missing > 0 || surplus > 0 || rows == 0 {
			c.Errorf("%s: of %d rows, %d are not in the model, and %d of the model's are not in ClickHouse", table,
				rows, surplus, missing)
		}
	}
}

// Of a name that very many share, ClickHouse and the model answer with the same edges: of clicks
// both ends, of sales and leads none, of an hour some, and how many there are.
func TestCutNames(t *testing.T) {
	real, model := open(t, nil), New(t)
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	name := identity.New(identity.External, "guest")
	hour := identity.Hour(identity.PaymentHour, "", true, "cus_1", "usd", at)
	var rows []clickhouse.EdgeRow
	add := func(a, b identity.Node) {
		rows = append(rows, clickhouse.EdgeRow{Workspace: "w", Edge: identity.Edge{A: a, B: b, Source: "lead", At: at}})
	}
	for i := range identity.Most + 100 {
		add(name, identity.New(identity.Click, fmt.Sprintf("%04d", i)))
		add(name, identity.New(identity.Lead, fmt.Sprintf("%04d", i)))
		add(identity.New(identity.Email, "shared"), identity.New(identity.External, fmt.Sprintf("%04d", i)))
		add(hour, identity.New(identity.Object, fmt.Sprintf("pi_%04d", i)))
		if i < identity.Most {
			add(identity.New(identity.Customer, "cus_1"), identity.New(identity.Reference, fmt.Sprintf("%04d", i)))
		}
	}
	add(name, identity.New(identity.Customer, "cus_1"))
	for _, insert := range []func(context.Context, []clickhouse.EdgeRow) error{real.InsertEdges, model.InsertEdges} {
		if err := insert(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	nodes := []identity.Node{name, hour, "email:shared", "customer:cus_1", "object:pi_0001"}
	for what, ask := range map[string]func(recompute.Store) ([]identity.Edge, error){
		"names": func(s recompute.Store) ([]identity.Edge, error) { return sorted(s.Names(t.Context(), "w", nodes)) },
		"neighbours": func(s recompute.Store) ([]identity.Edge,
			error) {
			return sorted(s.Neighbours(t.Context(), "w", nodes))
		},
	} {
		theirs, err := ask(real)
		ours, err2 := ask(model)
		if err != nil || err2 != nil || !slices.EqualFunc(theirs, ours, func(a, b identity.Edge) bool {
			return a.A == b.A && a.B == b.B && a.Beyond == b.Beyond
		}) {
			t.Errorf("%s: ClickHouse answers with %d edges, the model with %d (%v, %v)", what, len(theirs), len(ours), err, err2)
		}
		want := map[string]int{"click": identity.Most + 1, "external": 2, "object": identity.Most, "reference": identity.Most,
			"payment_hour": 1, "customer": 1}
		if what == "neighbours" {
			want["lead"] = 1
		}
		got := make(map[string]int)
		for _, e := range ours {
			got[e.B.Type()]++
		}
		for typ, n := range want {
			if got[typ] != n {
				t.Errorf("%s: %d edges to names of type %s, want %d", what, got[typ], typ, n)
			}
		}
	}
}

// When a request is due is said by ClickHouse's own clock.
func TestDeferredByOneClock(t *testing.T) {
	real, model := open(t, nil), New(t)
	request := func(id string, wait time.Duration, done bool) clickhouse.Deferred {
		return clickhouse.Deferred{Workspace: "w", Name: "customer:cus_1", Request: id, Wait: wait, Done: done}
	}
	for _, s := range []recompute.Store{real, model} {
		for _, rows := range [][]clickhouse.Deferred{
			{request("now", 0, false), request("later", 2*time.Minute, false), request("done", 0, false)},
			{request("done", 0, true)},
		} {
			if err := s.InsertDeferred(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	wants := func(s recompute.Store, want ...string) {
		t.Helper()
		rows, err := s.Deferred(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var due []string
		for _, r := range rows {
			due = append(due, r.Request)
		}
		if slices.Sort(due); !slices.Equal(due, want) {
			t.Errorf("%T: %q are due, want %q", s, due, want)
		}
	}
	wants(real, "now")
	// The engine's clock cannot be set, so its rows are: as if they were stored before it went on, or
	// before it was set back.
	if err := real.conn.Exec(t.Context(), `INSERT INTO deferred_names SELECT workspace, name, concat(request, by),
at + toIntervalSecond(s), done FROM deferred_names FINAL CROSS JOIN values('by String, s Int32',
(' 119 s ago', -119), (' 2 min ago', -120), (' when the clock was fast', 864000)) AS v
WHERE request = 'later' OR done`); err != nil {
		t.Fatal(err)
	}
	wants(real, "later 2 min ago", "later when the clock was fast", "now")
	for off, want := range map[time.Duration][]string{0: {"now"}, 119 * time.Second: {"now"},
		2 * time.Minute: {"later", "now"}, -time.Hour: {"now"}, -240 * time.Hour: {"later", "now"}} {
		model.Now = func() time.Time { return time.Now().Add(off) }
		wants(model, want...)
	}
}
