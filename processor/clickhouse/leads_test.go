package clickhouse

import (
	"testing"

	"tributary/processor/ledger"
	"tributary/schemas"
)

// Of two reports of one lead in one millisecond that are handled together the first stays, as it
// does where each is handled by itself; but one of more seats replaces it.
func TestFirstReportOfLeadStays(t *testing.T) {
	store, _ := testStore(t)
	report := func(id byte, seats uint32, plan string) ledger.Lead {
		return ledger.NewLead(&schemas.Lead{
			Workspace: "default", LeadId: append(make([]byte, 15), id), ReceivedAt: 1_772_366_460_000, ExternalId: "u1",
			EventName: "Sign up", Mode: "async", Quantity: seats, Metadata: map[string]string{"plan": plan},
		})
	}
	if err := store.InsertLeads(t.Context(), []ledger.Lead{
		report(1, 1, "pro"), report(1, 1, "team"), report(2, 1, "pro"), report(2, 3, "team"),
	}); err != nil {
		t.Fatal(err)
	}
	leads, err := store.Leads(t.Context(), "default", [][16]byte{{15: 1}, {15: 2}})
	if err != nil || len(leads) != 2 {
		t.Fatalf("%+v, %v", leads, err)
	}
	for _, l := range leads {
		if want := map[byte]string{1: "pro", 2: "team"}[l.ID[15]]; l.Metadata["plan"] != want {
			t.Errorf("lead %d: the report of plan %q stays, want %q", l.ID[15], l.Metadata["plan"], want)
		}
	}
}
