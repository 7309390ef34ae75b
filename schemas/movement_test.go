package schemas

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"
)

// A movement is one event by workspace, mode, kind and id, whatever else is said of it; its account
// is its workspace's alone.
func TestMovementRecord(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	id := func(m Movement, workspace string) string {
		t.Helper()
		r, err := MovementRecord(&m, workspace, at)
		if err != nil {
			t.Fatal(err)
		}
		e, err := DecodeStripe(r)
		if err != nil || !json.Valid(e.Body) {
			t.Fatalf("%v: %s", err, r.Value)
		}
		if own, ok := MovementWorkspace(e.Account); !ok || own != workspace || e.Livemode == m.Test {
			t.Errorf("%+v", e)
		}
		return e.ID
	}
	m := Movement{Kind: "payment", ID: "order_1", Amount: 4900, Currency: "eur", At: at}
	first := id(m, "acme")
	again := m
	again.Amount, again.Currency, again.CustomerID = 1, "usd", "c"
	if id(again, "acme") != first {
		t.Error("the same movement is another event")
	}
	seen := map[string]bool{first: true, id(m, "zen"): true}
	for _, change := range []func(*Movement){
		func(m *Movement) { m.ID = "order_2" }, func(m *Movement) { m.Test = true },
		func(m *Movement) { m.Kind, m.Parent = "refund", "order_0" },
	} {
		other := m
		change(&other)
		seen[id(other, "acme")] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d events of 5 movements", len(seen))
	}
	for account, want := range map[string]bool{"": false, "acct_1": false, "movements": false, "movements/": true} {
		if _, ok := MovementWorkspace(account); ok != want {
			t.Errorf("%q: %t", account, ok)
		}
	}
	for id, want := range map[string]bool{"in_1": true, "inv_1": false, "pi_x": true, "order": false, "": false} {
		if LooksLikeStripe(id) != want {
			t.Errorf("%q: %t", id, !want)
		}
	}
}

// The schema that sellers read names the kinds of this program.
func TestMovementSchema(t *testing.T) {
	text, err := os.ReadFile("movement.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct{ Kind struct{ Enum []string } }
	}
	if err := json.Unmarshal(text, &schema); err != nil || !slices.Equal(schema.Properties.Kind.Enum, MovementKinds) {
		t.Errorf("%+v, %v", schema, err)
	}
}
