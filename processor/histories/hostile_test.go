package histories

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/race"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/schemas"
)

// hostile sends what anybody may send, under every name that the lives use: clicks that claim it as
// their id, as an affiliate's, or a programme for it, and leads that claim it as a buyer's id. It
// knows all names that can be guessed from the beginning, and the others once all sales are over,
// as whoever reads a URL later does.
type hostile struct {
	tb    testing.TB
	rng   *rand.Rand
	names []string
	from  time.Time
	until time.Time
	count int
	// mentioned is when a click first named somebody an affiliate.
	mentioned map[string]time.Time
}

// worth are the values in an event that somebody could claim.
var worth = regexp.MustCompile(
	`"(?:client_reference_id|[A-Za-z_]*(?:[cC]lick|[cC]ustomer|[aA]ffiliate|referral)[A-Za-z_]*)":\s*"((?:dub_id_|pimms_id_)?([^"]{3,80}))"`)

func newHostile(tb testing.TB, seed uint64, w *traffic.World) *hostile {
	h := &hostile{tb: tb, rng: rand.New(rand.NewPCG(seed, 7)), from: w.End().AddDate(-1, 0, 0), until: w.End(),
		mentioned: map[string]time.Time{}}
	for _, d := range w.Deliveries {
		for _, m := range worth.FindAllSubmatch(d.Body, -1) {
			h.names = append(h.names, string(m[1]), string(m[2]))
		}
	}
	for _, m := range w.Movements {
		h.names = append(h.names, m.AffiliateID, m.Customer)
	}
	for _, l := range w.Leads {
		h.names = append(h.names, l.ExternalID)
	}
	slices.Sort(h.names)
	h.names = slices.DeleteFunc(slices.Compact(h.names), func(n string) bool { return n == "" })
	return h
}

// record claims one name at a random moment.
func (h *hostile) record() *kgo.Record {
	h.count++
	name := h.names[h.rng.IntN(len(h.names))]
	received := h.from.Add(time.Duration(h.rng.Int64N(int64(h.until.Sub(h.from)))))
	if _, ours := schemas.ParseClickID(name); ours || join.Unguessable(name) {
		received = h.until.Add(time.Hour)
	}
	clicked := received.AddDate(0, 0, -h.rng.IntN(30)) // backdated, as far as the edge lets it
	id := schemas.NewClickID(clicked)
	click := &schemas.Click{
		Workspace: "default", ClickId: id[:], ClickedAt: clicked.UnixMilli(), ReceivedAt: received.UnixMilli(),
		AffiliateId: "evil", ProgramId: "!evil", LinkId: "evil", Url: "https://shop.example/",
	}
	var r *kgo.Record
	var err error
	switch h.rng.IntN(4) {
	case 0:
		click.ForeignId = name
		r, err = schemas.ClickRecord(click, nil)
	case 1:
		if own, ok := schemas.ParseClickID(name); ok { // a click of somebody else's, sent again
			click.ClickId = own[:]
		}
		r, err = schemas.ClickRecord(click, nil)
	case 2:
		click.AffiliateId = name
		if first, ok := h.mentioned[name]; !ok || received.Before(first) {
			h.mentioned[name] = received
		}
		r, err = schemas.ClickRecord(click, nil)
	case 3:
		r, err = schemas.LeadRecord(&schemas.Lead{
			Workspace: "default", LeadId: fmt.Appendf(nil, "%16d", h.count), ReceivedAt: received.UnixMilli(),
			ClickRef:   id.String(),
			ExternalId: name, EventName: "evil", Mode: "async", Quantity: 1, Vouched: new(false),
		})
	}
	if err != nil {
		h.tb.Fatal(err)
	}
	return r
}

// Nobody without a secret key gains or moves a cent, whatever they send, before or after: what a
// vouched name credits stays, nothing is credited to whoever attacks, and of a sale that was
// nobody's at most the affiliate changes whom it names itself, as the guides' own flow does, by a
// click received before it.
func TestHostileClicksMoveNoMoney(t *testing.T) {
	seeds := uint64(24)
	if testing.Short() || race.Enabled {
		seeds = 8
	}
	var sent, sales int
	for seed := uint64(1); seed <= seeds; seed++ {
		w := traffic.New(seed, options(seed))
		calm := credits(history(t, seed, w, orders[0]).processor.Ledger())
		attack := newHostile(t, seed, w)
		if len(attack.names) == 0 {
			continue
		}
		for _, o := range orders[:2] {
			r := rand.New(rand.NewPCG(seed, uint64(len(o.name))))
			played := &playback{processor: newProcessor(t, rates(), w.End().AddDate(1, 0, 0)), r: r,
				sequence: o.arrange(r, records(t, w))}
			played.processor.answer(w)
			var beside []*kgo.Record
			for range 4 * len(attack.names) {
				beside = append(beside, attack.record())
			}
			sent += len(beside)
			half := len(beside) / 2
			attacked(t, played.processor, beside[:half])
			played.run()
			attacked(t, played.processor, beside[half:])
			for id, e := range credits(played.processor.Ledger()) {
				sales++
				before := calm[id]
				if e.Click.AffiliateID == "evil" || e.Click.LinkID == "evil" {
					t.Fatalf("seed %d: %s %s is credited to the attacker: %s by %s", seed, e.Kind, e.ObjectID, e.MatchRule, e.MatchKey)
				}
				same := e.MatchRule == before.MatchRule && e.Click == before.Click
				first, mentioned := attack.mentioned[e.Click.AffiliateID]
				weak := before.MatchRule == join.RuleNone && (e.MatchRule == join.RuleReference || e.MatchRule == join.RuleSale) &&
					mentioned && !first.After(e.OccurredAt)
				if !same && !weak {
					t.Fatalf("seed %d: %s %s was credited by %s to %+v, and is by %s to %+v",
						seed, e.Kind, e.ObjectID, before.MatchRule, before.Click, e.MatchRule, e.Click)
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

func credits(entries []ledger.Entry) map[ledger.EntryID]ledger.Entry {
	byID := make(map[ledger.EntryID]ledger.Entry, len(entries))
	for _, e := range entries {
		byID[e.ID] = e
	}
	return byID
}
