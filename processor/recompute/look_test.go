package recompute

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/processor/identity"
)

func customer(i int) identity.Node { return identity.New(identity.Customer, fmt.Sprintf("cus_%d", i)) }

// What was changed is looked at twice the lag later, together with what else is due of its
// workspace.
func TestSecondLooksAreDueAfterTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s secondLooks
		add := func(workspace string, nodes ...identity.Node) {
			if err := s.add(t.Context(), look{workspace: workspace, nodes: nodes}); err != nil {
				t.Fatal(err)
			}
		}
		add("a", customer(1))
		add("a", customer(2))
		add("b", customer(3))
		time.Sleep(time.Second)
		add("b", customer(4))
		add("b") // nothing
		if _, n, wait := s.due(time.Minute); n != 0 || wait != 59*time.Second {
			t.Errorf("%d looks are due after a second, and the next after %s", n, wait)
		}
		time.Sleep(59 * time.Second)
		for _, want := range []struct{ workspace, nodes string }{{"a", "cus_1 cus_2"}, {"b", "cus_3"}} {
			l, n, _ := s.due(time.Minute)
			var names []string
			for _, node := range l.nodes {
				names = append(names, node.Value())
			}
			if got := strings.Join(names, " "); l.workspace != want.workspace || got != want.nodes {
				t.Errorf("%s of %s is due, want %s of %s", got, l.workspace, want.nodes, want.workspace)
			}
			s.done(n)
		}
		if _, n, wait := s.due(time.Minute); n != 0 || wait != time.Second {
			t.Errorf("%d looks are due, and the next after %s", n, wait)
		}
	})
}

// Their memory is bounded: a batch waits until there is room, and a look that was taken is not lost
// when it fails.
func TestSecondLooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s secondLooks
		nodes := make([]identity.Node, 100_000)
		for i := range nodes {
			nodes[i] = customer(i)
		}
		added := 0
		for ; s.bytes < maxLookBytes; added++ {
			if err := s.add(t.Context(), look{workspace: "a", nodes: nodes}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if err := s.add(ctx, look{workspace: "a", nodes: nodes}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one too many is added: %v", err)
		}
		waiting := make(chan error)
		go func() { waiting <- s.add(t.Context(), look{workspace: "a", nodes: nodes}) }()
		synctest.Wait()
		if _, n, _ := s.due(time.Minute); n != 1 || len(s.queue) != added {
			t.Errorf("%d of %d looks are due at once, each as large as a lookup may be", n, added)
		}
		s.done(1)
		if err := <-waiting; err != nil || len(s.queue) != added {
			t.Errorf("there are %d looks, want %d; %v", len(s.queue), added, err)
		}
	})
}
