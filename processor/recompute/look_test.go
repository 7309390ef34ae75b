package recompute

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/processor/clickhouse"
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

// The memory of edges that wait for their mark is bounded. A batch whose edges are left out still
// keeps the rewind from passing its records until what its second look booked is kept.
func TestMarksAreBounded(t *testing.T) {
	var m marks
	began := time.Now()
	edges := make([]clickhouse.EdgeRow, 100_000)
	for i := range edges {
		edges[i].A = customer(i)
	}
	const batches = 6
	for i := range batches {
		at := began.Add(time.Duration(i) * time.Second)
		m.add(0, booked{batch: at, at: at.Add(time.Minute), edges: edges})
	}
	if one := 100_000 * (edgeBytes + len(edges[0].A)); m.bytes > maxMarkBytes+2*one {
		t.Errorf("the marks take %d bytes", m.bytes)
	}
	if first := m.take(began.Add(time.Minute + 1)); len(first) != len(edges) {
		t.Errorf("%d edges of the first batch are marked, want %d", len(first), len(edges))
	}
	if rest := m.take(began.Add(time.Minute + 4*time.Second)); len(rest) == 0 || len(rest) >= 4*len(edges) {
		t.Errorf("%d edges of the next batches are marked", len(rest))
	}
	if at, ok := m.oldest(); !ok || !at.Equal(began.Add(4*time.Second)) {
		t.Errorf("the oldest batch was handled %s after the first (%t)", at.Sub(began), ok)
	}
	if m.take(began.Add(time.Hour)); m.bytes != 0 || len(m.known) != 0 {
		t.Errorf("%d bytes and %d edges are left", m.bytes, len(m.known))
	}
}
