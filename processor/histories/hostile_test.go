package histories

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/race"
	"tributary/processor/catalogue"
	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/workspace"
	"tributary/schemas"
)

// hostile sends what anybody may send, under every name that the lives use, and under their
// variants: clicks and page views that claim it as their id, as an affiliate's or a link's, or a
// programme for it, leads that claim it as a buyer's id or their click's, and sales of Stripe's
// that a page reports. Half of it is received at most six minutes before or after money moves, some
// in the same second. It knows from the beginning all names that can be guessed or stand on the
// site (affiliates, links, programmes, codes), and the others once all sales are over, as whoever
// reads a URL later does. Another workspace of the attacker's own, with a secret key, knows every
// name at any time.
type hostile struct {
	tb    testing.TB
	rng   *rand.Rand
	names []string
	from  time.Time
	until time.Time
	moved []time.Time // when money moved
	count int
	// flooded is a name that half of the records claim, more often than a lookup returns edges of one
	// name; empty: none.
	flooded string
	// mentioned is when a click first named somebody an affiliate.
	mentioned map[string]time.Time
}

// worth are the values in an event that lead to a credit; beside are its other ids and codes.
var (
	worth = regexp.MustCompile(`"(?:client_reference_id|` +
		`[A-Za-z_]*(?:[cC]lick|[cC]ustomer|[aA]ffiliate|referral)[A-Za-z_]*)":\s*"((?:dub_id_|pimms_id_)?([^"]{3,80}))"`)
	beside = regexp.MustCompile(`"(?:id|code|promotion_code|coupon|payment_intent|invoice|subscription|email)":\s*"([^"]{3,80})"`)
)

// mostBeside bounds the names that lead to no credit, so that each other name is claimed some
// times.
const mostBeside = 40

func newHostile(tb testing.TB, seed uint64, w *traffic.World) *hostile {
	h := &hostile{tb: tb, rng: rand.New(rand.NewPCG(seed, 7)), from: w.End().AddDate(-1, 0, 0), until: w.End(),
		mentioned: map[string]time.Time{}}
	var others []string
	for _, d := range w.Deliveries {
		for _, m := range worth.FindAllSubmatch(d.Body, -1) {
			h.names = append(h.names, string(m[1]), string(m[2]))
		}
		for _, m := range beside.FindAllSubmatch(d.Body, -1) {
			others = append(others, string(m[1]))
		}
	}
	for _, c := range w.Clicks {
		others = append(others, c.ID.String(), c.Visitor)
	}
	for _, m := range w.Movements {
		h.names, h.moved = append(h.names, m.AffiliateID, m.Customer), append(h.moved, m.OccurredAt)
		others = append(others, m.Object, m.Sale)
	}
	for _, l := range w.Leads {
		h.names, others = append(h.names, l.ExternalID), append(others, l.Email)
	}
	slices.Sort(others)
	others = slices.Compact(others)
	h.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	h.names = append(h.names, others[:min(len(others), mostBeside)]...)
	for _, l := range traffic.Links {
		h.names = append(h.names, l.ID, l.Affiliate, l.Program)
	}
	slices.Sort(h.names)
	h.names = slices.DeleteFunc(slices.Compact(h.names), func(n string) bool { return n == "" })
	if seed%3 == 0 {
		h.flooded = h.names[h.rng.IntN(len(h.names))]
	}
	return h
}

// variant writes a name in another way now and then: a variant is another name.
func (h *hostile) variant(name string) string {
	switch h.rng.IntN(28) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ToLower(name)
	case 2:
		return "dub_id_" + name
	case 3:
		return "pimms_id_" + name
	case 4:
		return strings.ReplaceAll(url.QueryEscape(name), "_", "%5F")
	case 5:
		return " " + name + "\u200b"
	case 6:
		return strings.Repeat(name, 2000/len(name))
	case 7:
		return "test/" + name // the prefix of test mode's objects
	case 8:
		return "test mode/" + name // that of its names, in the table of names
	case 9: // a name as that table has it
		return string(identity.PublicName(identity.New(identity.Affiliate, name)))
	case 10, 11: // the same, of any type
		types := []string{identity.Reference, identity.External, identity.Click, identity.Customer, identity.Object,
			identity.Email, identity.Code, identity.Promotion, identity.Correction, identity.Public}
		return string(identity.New(types[h.rng.IntN(len(types))], name))
	case 12: // in letters of full width, which look alike
		return strings.Map(func(r rune) rune {
			if '!' <= r && r <= '~' {
				return r - '!' + '\uff01'
			}
			return r
		}, name)
	case 13: // with an accent of its own rune, and what prints nothing
		return name + "\u0301\x00"
	case 14: // written from the right, and broken
		return "\u202e" + name + "\r\n" + name
	case 15:
		return name[:len(name)-1]
	}
	return name
}

// moment returns when a record is received, before the end of all lives.
func (h *hostile) moment() time.Time {
	if len(h.moved) > 0 && h.rng.IntN(2) == 0 {
		at := h.moved[h.rng.IntN(len(h.moved))]
		if h.rng.IntN(4) == 0 { // within the second in which money moves
			at = at.Add(time.Duration(h.rng.Int64N(int64(time.Second))))
		} else {
			at = at.Add(time.Duration(h.rng.Int64N(int64(12*time.Minute))) - 6*time.Minute)
		}
		if at.Before(h.until) {
			return at
		}
	}
	return h.from.Add(time.Duration(h.rng.Int64N(int64(h.until.Sub(h.from)))))
}

// record claims one name at a random moment.
func (h *hostile) record() *kgo.Record {
	h.count++
	name := h.names[h.rng.IntN(len(h.names))]
	if h.flooded != "" && h.rng.IntN(2) == 0 {
		name = h.flooded
	}
	workspace := []string{"default", "default", "default", "evil"}[h.rng.IntN(4)]
	received := h.moment()
	if _, ours := schemas.ParseClickID(name); (ours || join.Unguessable(name)) && workspace == "default" {
		received = h.until.Add(time.Hour)
	}
	clicked := received.AddDate(0, 0, -h.rng.IntN(30)) // backdated, as far as the edge lets it
	if h.rng.IntN(8) == 0 {
		clicked = received.Add(5 * time.Minute)
	}
	id := schemas.NewClickID(clicked)
	link := traffic.Links[h.rng.IntN(len(traffic.Links))]
	click := &schemas.Click{
		Workspace: workspace, ClickId: id[:], ClickedAt: clicked.UnixMilli(), ReceivedAt: received.UnixMilli(),
		AffiliateId: "evil", ProgramId: "!evil", LinkId: "evil", Url: "https://shop.example/",
		Vouched: workspace != "default" && h.rng.IntN(2) == 0, // by the secret key of the attacker's own workspace
	}
	lead := &schemas.Lead{
		Workspace: workspace, LeadId: fmt.Appendf(nil, "%16d", h.count), ReceivedAt: received.UnixMilli(),
		ClickRef: id.String(), ExternalId: h.variant(name), EventName: "evil", Mode: "async", Quantity: 1,
		Vouched: new(click.Vouched),
	}
	switch h.rng.IntN(10) {
	case 0:
		click.ForeignId = h.variant(name)
	case 1:
		if own, ok := schemas.ParseClickID(name); ok { // a click of somebody else's, sent again
			click.ClickId = own[:]
		}
	case 2:
		click.AffiliateId = h.variant(name)
	case 3: // a real affiliate by a real link, of a programme that is somebody else's
		click.AffiliateId, click.LinkId, click.ProgramId = link.Affiliate, link.ID, name
	case 4:
		click.LinkId, click.VisitorId = name, name
	case 5:
		return h.lead(lead)
	case 6: // the attacker's own person, by somebody else's click
		lead.ClickRef, lead.ExternalId = h.variant(name), fmt.Sprintf("user_2NNEqL2nrIRdJ194nd%08d", h.count)
		return h.lead(lead)
	case 7: // a view of a page under somebody's name, or of a link of theirs
		click.Trigger = "pageview"
		if own, ok := schemas.ParseClickID(name); ok {
			click.ClickId = own[:]
		}
		click.ForeignId, click.AffiliateId, click.VisitorId = h.variant(name), h.variant(name), name
	case 8: // by other ways than a link, and by what an address says
		click.Trigger = []string{"qr", "deeplink", "form"}[h.rng.IntN(3)]
		click.ForeignId = h.variant(name)
		click.Url += "?via=evil&dub_id=" + url.QueryEscape(name)
		click.Properties = map[string]string{"affiliate_id": "evil", "external_id": name}
	case 9: // a sale as a page reports it, of Stripe's invoice or payment
		lead.Mode = "deferred"
		lead.Metadata = map[string]string{"amount": "1", "currency": "usd", schemas.SaleInvoice: name,
			schemas.SaleProcessor: schemas.ProcessorStripe}
		if h.rng.IntN(2) == 0 {
			lead.ExternalId = fmt.Sprintf("user_2NNEqL2nrIRdJ194nd%08d", h.count)
			lead.Metadata[schemas.SaleInvoice] = h.names[h.rng.IntN(len(h.names))]
		}
		return h.lead(lead)
	}
	if click.AffiliateId != "" && click.Trigger != "pageview" && workspace == "default" {
		if first, ok := h.mentioned[click.AffiliateId]; !ok || received.Before(first) {
			h.mentioned[click.AffiliateId] = received
		}
	}
	r, err := schemas.ClickRecord(click, nil)
	if err != nil {
		h.tb.Fatal(err)
	}
	return r
}

func (h *hostile) lead(l *schemas.Lead) *kgo.Record {
	r, err := schemas.LeadRecord(l)
	if err != nil {
		h.tb.Fatal(err)
	}
	return r
}

// site is how a site reports its clicks.
type site struct {
	name string
	// public clicks come from its pages, and a catalogue says what is true of its affiliates and
	// links; else its backend reports them, and it has no catalogue.
	public bool
}

// besieged plays a World at a site, and an attack before, beside and after it.
func (s site) besieged(t *testing.T, seed uint64, w *traffic.World, o order, attack []*kgo.Record) *processor {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, uint64(len(o.name))))
	list := records(t, w)
	played := &playback{processor: newProcessor(t, rates(), w.End().AddDate(1, 0, 0)), r: r}
	played.processor.answer(w)
	if s.public {
		for i := range list {
			if list[i].record.Topic == schemas.TopicClicks {
				list[i].record = unvouched(t, list[i].record, attack != nil)
			}
		}
		if err := played.processor.InsertEdges(t.Context(), catalogued(w.End().AddDate(-3, 0, 0))); err != nil {
			t.Fatal(err)
		}
	}
	played.sequence = o.arrange(r, list)
	third := len(attack) / 3
	attacked(t, played.processor, attack[:third])
	for _, record := range attack[third : 2*third] {
		at := r.IntN(len(played.sequence) + 1)
		played.sequence = slices.Insert(played.sequence, at, delivery{record: record, title: "hostile " + record.Topic})
	}
	played.run()
	attacked(t, played.processor, attack[2*third:])
	return played.processor
}

// unvouched returns a click as a browser would have sent it, with a better programme in the
// affiliate's link if they attack too.
func unvouched(tb testing.TB, record *kgo.Record, attack bool) *kgo.Record {
	click, err := schemas.DecodeClick(record)
	if err != nil {
		tb.Fatal(err)
	}
	click.Vouched = false
	if attack && click.AffiliateId != "" {
		click.ProgramId = "!better"
	}
	if record, err = schemas.ClickRecord(click, nil); err != nil {
		tb.Fatal(err)
	}
	return record
}

// catalogued are the names of a catalogue of all affiliates and their links.
func catalogued(at time.Time) []clickhouse.EdgeRow {
	edges := []identity.Edge{catalogue.InForce(at)}
	for _, l := range traffic.Links {
		if l.Affiliate == "" {
			continue
		}
		affiliate := identity.New(identity.Affiliate, l.Affiliate)
		edges = append(edges,
			identity.Edge{A: affiliate, B: identity.New(identity.Program, l.Program), Source: identity.CatalogueSource, At: at},
			identity.Edge{A: identity.New(identity.Link, l.ID), B: affiliate, Source: identity.CatalogueSource, At: at})
	}
	rows := make([]clickhouse.EdgeRow, len(edges))
	for i, e := range edges {
		rows[i] = clickhouse.EdgeRow{Workspace: "default", Edge: e}
	}
	return rows
}

// Nobody without a secret key gains or moves a cent, whatever they send, before or after: what a
// vouched name or a catalogue credits stays, nothing is credited to whoever attacks, and of a sale
// that was nobody's at most the affiliate changes whom it names itself, as the guides' own flow
// does where there is no catalogue, by a click received before it.
func TestHostileClicksMoveNoMoney(t *testing.T) {
	seeds, played := uint64(24), orders[:2]
	if testing.Short() || race.Enabled {
		seeds, played = 2, orders[1:2] // one of each site
	}
	var sent, sales int
	for seed := uint64(1); seed <= seeds; seed++ {
		opts := options(seed)
		if race.Enabled {
			opts.Clicks /= 2
		}
		w := traffic.New(seed, opts)
		s := site{"a backend's clicks", false}
		if seed%2 == 0 {
			s = site{"a page's clicks and a catalogue", true}
		}
		quiet := s.besieged(t, seed, w, orders[0], nil)
		calm, people := credits(quiet.Ledger()), vouched(quiet.AllLeads())
		attack := newHostile(t, seed, w)
		for _, o := range played {
			var beside []*kgo.Record
			for range 12 * len(attack.names) {
				beside = append(beside, attack.record())
			}
			sent += len(beside)
			loud := s.besieged(t, seed, w, o, beside)
			if got := vouched(loud.AllLeads()); !slices.Equal(got, people) {
				t.Fatalf("seed %d, %s: the leads of the backend and of Stripe are\n%s\ninstead of\n%s", seed, s.name,
					without(strings.Join(got, "\n"), strings.Join(people, "\n")),
					without(strings.Join(people, "\n"), strings.Join(got, "\n")))
			}
			booked := credits(loud.Ledger())
			if len(booked) != len(calm) {
				t.Fatalf("seed %d, %s: %d entries instead of %d", seed, s.name, len(booked), len(calm))
			}
			for id, e := range booked {
				sales++
				before := calm[id]
				if e.Click.AffiliateID == "evil" || e.Click.LinkID == "evil" {
					t.Fatalf("seed %d, %s: %s %s is credited to the attacker: %s by %s", seed, s.name, e.Kind, e.ObjectID,
						e.MatchRule, e.MatchKey)
				}
				if e.Status != before.Status || e.Amount != before.Amount || e.Tax != before.Tax ||
					e.Currency != before.Currency || e.SaleID != before.SaleID || e.CustomerID != before.CustomerID ||
					!e.OccurredAt.Equal(before.OccurredAt) {
					t.Fatalf("seed %d, %s: %+v is booked instead of %+v", seed, s.name, columns(e), columns(before))
				}
				same := e.MatchRule == before.MatchRule && e.Click == before.Click
				first, mentioned := attack.mentioned[e.Click.AffiliateID]
				weak := !s.public && before.MatchRule == join.RuleNone &&
					(e.MatchRule == join.RuleReference || e.MatchRule == join.RuleSale) &&
					mentioned && first.Before(e.OccurredAt)
				if !same && !weak {
					t.Fatalf("seed %d, %s: %s %s was credited by %s to %+v, and is by %s to %+v",
						seed, s.name, e.Kind, e.ObjectID, before.MatchRule, before.Click, e.MatchRule, e.Click)
				}
			}
		}
	}
	t.Logf("%d hostile records beside %d entries", sent, sales)
}

// attacked feeds hostile records in batches.
func attacked(t *testing.T, h *processor, list []*kgo.Record) {
	t.Helper()
	for batch := range slices.Chunk(list, 50) {
		if err := h.feed(batch); err != nil {
			t.Fatal(err)
		}
	}
}

// vouched returns what is stored of the leads that somebody whom the seller trusts reported, in
// order.
func vouched(leads []ledger.Lead) (list []string) {
	for _, l := range leads {
		if l.Vouched && l.Workspace == "default" {
			list = append(list, fmt.Sprintf("%s %q of %s by %s %s: %+v", l.ExternalID, l.EventName, l.Person, l.MatchRule,
				l.MatchKey, l.Click))
		}
	}
	slices.Sort(list)
	return list
}

func credits(entries []ledger.Entry) map[ledger.EntryID]ledger.Entry {
	byID := make(map[ledger.EntryID]ledger.Entry, len(entries))
	for _, e := range entries {
		byID[e.ID] = e
	}
	return byID
}

// secrets of the two sellers' endpoints.
const ownSecret, evilSecret = "whsec_own_0000000000", "whsec_evil_000000000"

// sellers returns a workspaces file of two sellers: each has an account, and a secret that signs
// for it.
func sellers(t *testing.T, account string) *workspace.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "workspaces.json")
	text := fmt.Sprintf(`[{"id":"default","publishable_keys":["pk"],"stripe":[{"accounts":[%q],"secrets":[%q]}]},
		{"id":"evil","publishable_keys":["pk_evil"],"stripe":[{"accounts":["acct_evil"],"secrets":[%q]}]}]`,
		account, ownSecret, evilSecret)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := workspace.Read(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var figures = regexp.MustCompile(`("(?:amount[a-z_]*|total)":\s*-?[1-9][0-9]*)`)

// forged returns copies of a World's events, with all their ids and other figures, as somebody else
// may sign them: for an account of their own, in the name of the World's account, or of one that
// nobody lists.
func forged(t *testing.T, rng *rand.Rand, w *traffic.World, account string) (list []*kgo.Record) {
	t.Helper()
	for _, d := range w.Deliveries {
		var body map[string]any
		if err := json.Unmarshal(figures.ReplaceAll(d.Body, []byte("${1}9")), &body); err != nil {
			t.Fatal(err)
		}
		e := &schemas.StripeEvent{
			ID: d.EventID, Type: d.Type, Account: account, APIVersion: d.APIVersion,
			Livemode: body["livemode"] == true, ReceivedAt: d.SendAt.Truncate(time.Millisecond).AddDate(0, 0, rng.IntN(9)-4),
		}
		switch rng.IntN(3) {
		case 0:
			e.Account = "acct_evil"
		case 1:
			e.Unlisted = schemas.SecretDigest(evilSecret)
		case 2:
			e.Account, e.Unlisted = "acct_unknown", schemas.SecretDigest(evilSecret)
		}
		body["account"] = e.Account
		var err error
		if e.Body, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		list = append(list, schemas.StripeRecord(e, d.Object))
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// An event that names another seller's objects, under the ids of their events, moves nothing of
// theirs, be they handled before or after the true events.
func TestHostileEnvelopesMoveNoMoney(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() || race.Enabled {
		seeds = 1
	}
	compared := 0
	for seed := uint64(1); seed <= seeds; seed++ {
		opts := fewer(options(seed))
		opts.Thin = 0 // a thin event has no body to forge
		w := traffic.New(seed, opts)
		rng := rand.New(rand.NewPCG(seed, 3))
		play := func(attack []*kgo.Record) string {
			run := &playback{processor: newProcessor(t, rates(), w.End().AddDate(1, 0, 0)),
				r: rand.New(rand.NewPCG(seed, 4))}
			run.processor.of = sellers(t, opts.Account).OfEvent
			run.sequence = orders[1].arrange(run.r, records(t, w))
			half := len(attack) / 2
			attacked(t, run.processor, attack[:half])
			run.run()
			attacked(t, run.processor, attack[half:])
			entries := slices.DeleteFunc(run.processor.Ledger(), func(e ledger.Entry) bool {
				return e.Workspace != "default"
			})
			compared += len(entries)
			return booked(entries)
		}
		calm := play(nil)
		if got := play(forged(t, rng, w, opts.Account)); got != calm {
			t.Fatalf("seed %d: the ledger has\n%s\ninstead of\n%s", seed, without(got, calm), without(calm, got))
		}
	}
	if compared == 0 {
		t.Error("nothing was booked")
	}
}
