package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tributary/processor/identity"
	"tributary/schemas"
)

// Each name more that a person is known by makes the greater version of their lead, also where
// there are so many that edges are cut, and a row is computed from fewer of them than before.
func TestLeadVersionGrowsWithEachName(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	node, person := LeadNode([16]byte{1}), identity.New(identity.External, "u1")
	for typ, name := range map[string]func(i int) identity.Node{
		"references": func(i int) identity.Node { return identity.New(identity.Reference, fmt.Sprintf("ref_%03d", i)) },
		"clicks": func(i int) identity.Node {
			return identity.New(identity.Click, schemas.ClickID{1, byte(i >> 8), byte(i)}.String())
		},
	} {
		var names []identity.Edge
		for i := range identity.Most + 3 {
			names = append(names, identity.Edge{A: person, B: name(i), At: at.Add(time.Duration(i) * time.Second)})
		}
		var before Version
		for _, n := range []int{0, 1, identity.Most - 1, identity.Most, identity.Most + 1, identity.Most + 2} {
			known := names[:n]
			if n > identity.Most {
				known = identity.Cut(names[:identity.Most], names[n-identity.Most:n], uint64(n))
			}
			edges := func(_ context.Context, _ string, asked []identity.Node) (found []identity.Edge, err error) {
				for _, a := range asked {
					switch a {
					case node:
						found = append(found, identity.Edge{A: node, B: person, At: at})
					case person:
						found = append(found, known...)
					}
				}
				return found, nil
			}
			graph, err := identity.Explore(t.Context(), edges, "default", []identity.Node{node})
			if err != nil {
				t.Fatal(err)
			}
			k := &Evidence{Workspace: "default", Graph: graph}
			lead := k.CreditLead(Lead{ID: [16]byte{1}, ExternalID: "u1", ReceivedAt: at, OccurredAt: at, Quantity: 1})
			if !before.Less(lead.Version) {
				t.Errorf("with %d %s the version %v is not greater than the last, %v", n, typ, lead.Version.Big(), before.Big())
			}
			before = lead.Version
		}
	}
}
