package explain

import (
	"bytes"
	"context"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/load"
	"tributary/processor/stripe"
)

var update = flag.Bool("update", false, "rewrite testdata/story.txt")

type archive struct {
	edges    []identity.Edge
	facts    []stripe.Fact
	versions []load.VersionRow
}

func (a *archive) Edges(_ context.Context, _ string, nodes []identity.Node) ([]identity.Edge, error) {
	var out []identity.Edge
	for _, e := range a.edges {
		back := e
		back.A, back.B = e.B, e.A
		for _, d := range []identity.Edge{e, back} {
			if slices.Contains(nodes, d.A) {
				out = append(out, d)
			}
		}
	}
	return out, nil
}

func (a *archive) Facts(_ context.Context, _ string, objects []string) (map[string][]stripe.Fact, error) {
	out := make(map[string][]stripe.Fact)
	for _, f := range a.facts {
		if slices.Contains(objects, f.ObjectID) {
			out[f.ObjectID] = append(out[f.ObjectID], f)
		}
	}
	return out, nil
}

func (a *archive) Versions(context.Context, string, []string) ([]load.VersionRow, error) {
	return a.versions, nil
}

func (a *archive) ObjectOf(context.Context, string, join.EntryID) (string, error) { return "", nil }

// The story as a person reads it: a yen sale that was told before its click, and half of it given back.
func TestStory(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	clicked := at.Add(-90 * time.Minute)
	const click = "019cadfd-13d0-7000-80e2-e2e2e2e2e2e2"
	booked := load.VersionRow{EntryID: "aa", Kind: "payment", ObjectID: "pi_1", SaleID: "pi_1", OccurredAt: at, Currency: "jpy", Amount: 5000, AmountUSD: "33.5", FXRate: "0.0067", FXDate: at, FXSource: "ecb", FXFinal: true,
		MatchRule: "none", MatchKey: "click:" + click, Status: "booked"}
	credited := booked
	credited.MatchRule, credited.ClickID, credited.ClickedAt, credited.AffiliateID, credited.LinkID, credited.UTMCampaign = "click_id", click, &clicked, "ann", "launch", "spring"
	credited.MatchCandidates = []string{"stripe_customer:" + click}
	refund := load.VersionRow{EntryID: "bb", Kind: "refund", ObjectID: "re_1", SaleID: "pi_1", OccurredAt: at.Add(time.Hour), Currency: "jpy", Amount: -2500, MatchRule: "sale", MatchKey: "pi_1", Status: "booked", AffiliateID: "ann"}
	a := &archive{
		edges: []identity.Edge{
			{A: "object:cs_1", B: "object:pi_1", Source: "session", At: at},
			{A: "object:pi_1", B: identity.New(identity.Click, click), Source: "client_reference_id", At: at},
			{A: "movement:re_1", B: "object:pi_1", Source: "refund", At: at.Add(time.Hour)},
		},
		facts: []stripe.Fact{
			{ObjectID: "pi_1", Kind: "payment", Source: "session", EventID: "evt_1", CreatedAt: at, ReceivedAt: at.Add(2 * time.Second), Currency: "jpy", Amount: 5000},
			{ObjectID: "re_1", Kind: "refund", Source: "refund", EventID: "evt_2", CreatedAt: at.Add(time.Hour), ReceivedAt: at.Add(time.Hour + time.Second), Currency: "jpy", Amount: -2500},
		},
		versions: []load.VersionRow{booked, credited, refund},
	}
	story, err := Tell(t.Context(), a, "default", "re_1")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := story.Print(&got); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/story.txt"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the story is\n%s\nwant\n%s", got.Bytes(), want)
	}
}
