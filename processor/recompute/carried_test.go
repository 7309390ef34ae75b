package recompute

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// marked returns the marks of new names of customers.
func marked(first, n int) []clickhouse.EdgeRow {
	rows := make([]clickhouse.EdgeRow, n)
	for i := range rows {
		id := fmt.Sprintf("%014d", first+i)
		rows[i] = clickhouse.EdgeRow{Workspace: "default", OneWay: true, Edge: identity.Edge{
			A: identity.New(identity.Customer, "cus_"+id), B: identity.New(identity.External, "user_"+id),
			Source: "customer.metadata", At: time.UnixMilli(1_780_000_000_000 + int64(first+i)).UTC(), Carried: true,
		}}
	}
	return rows
}

// knows returns how many of so many edges are known.
func knows(m *marks, first, n int) (known int) {
	for _, r := range marked(first, n) {
		if m.has(r.Workspace, r.Edge) {
			known++
		}
	}
	return known
}

// In a backlog of 1.2 million new names within half a minute, the latest of them are known, whether they
// get a mark or not, the oldest get one, and memory is bounded. A batch whose edges get no mark still
// keeps the rewind from passing its records until what its second look booked is kept.
func TestMarksOfABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batches, each = 120, 10_000
		var m marks
		began := time.Now()
		before := heap()
		for i := range batches {
			m.add(0, time.Now(), marked(i*each, each))
			time.Sleep(200 * time.Millisecond)
		}
		if taken := heap() - before; taken > maxMarkBytes+mostKnown*56 {
			t.Errorf("the marks take %d MB", taken>>20)
		}
		if n := len(m.known.recent) + len(m.known.older); n > mostKnown {
			t.Errorf("%d edges are known, want at most %d", n, mostKnown)
		}
		const latest = mostKnown/2 - each
		if n := knows(&m, batches*each-latest, latest); n != latest {
			t.Errorf("%d of the latest %d edges are known", n, latest)
		}
		if n := knows(&m, 0, each); n != 0 {
			t.Errorf("%d of the oldest %d edges are known", n, each)
		}
		first := m.take(began.Add(time.Millisecond))
		if want := marked(0, each); !reflect.DeepEqual(first, want) {
			t.Errorf("%d edges of the first batch are marked, want %d", len(first), len(want))
		}
		if rest := m.take(began.Add(time.Minute)); len(rest) < 300_000 || len(rest) > batches*each*2/3 {
			t.Errorf("%d edges of the other batches are marked", len(rest))
		}
		if _, ok := m.oldest(); ok || m.bytes != 0 {
			t.Errorf("%d bytes are left", m.bytes)
		}
		m.add(0, time.Now(), marked(0, each))
		if at, ok := m.oldest(); !ok || !at.Equal(time.Now()) {
			t.Errorf("the oldest batch was handled %s after the first (%t)", at.Sub(began), ok)
		}
		if n := len(m.take(time.Now().Add(1))); n != each {
			t.Errorf("%d edges are marked after room was made, want %d", n, each)
		}
	})
}

// heap returns how many bytes live.
func heap() int {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc)
}

// An edge is known only if the same edge was carried, of a time no later, since nothing was lost and
// nobody erased, and for a few minutes.
func TestKnownEdges(t *testing.T) {
	edge := marked(1, 1)[0]
	earlier, other, elsewhere, moved := edge, edge, edge, edge
	earlier.At = edge.At.Add(-time.Millisecond)
	other.B = identity.New(identity.External, "other")
	elsewhere.Workspace = "acme"
	moved.A, moved.B = edge.A+edge.B[:1], edge.B[1:] // the same text
	for _, c := range []struct {
		name string
		do   func(*marks)
		row  clickhouse.EdgeRow
		want bool
	}{
		{"carried", nil, edge, true},
		{"of an earlier time", nil, earlier, false},
		{"to another name", nil, other, false},
		{"of another workspace", nil, elsewhere, false},
		{"of other names with the same text", nil, moved, false},
		{"carried again, as of an earlier time", func(m *marks) {
			m.add(0, time.Now(), []clickhouse.EdgeRow{earlier})
			m.add(0, time.Now(), []clickhouse.EdgeRow{edge})
		}, earlier, true},
		{"something may be lost", (*marks).forget, edge, false},
		{"carried before something was lost, and noted after it", func(m *marks) {
			m.forget()
			m.add(0, time.Now(), []clickhouse.EdgeRow{edge})
		}, edge, false},
		{"somebody was erased", (*marks).erased, edge, false},
		{"read before somebody was erased", func(m *marks) {
			m.erased()
			m.add(0, time.Now().Add(-time.Second), []clickhouse.EdgeRow{edge})
		}, edge, false},
		{"a minute passed", func(*marks) { time.Sleep(time.Minute) }, edge, true},
		{"the longest time passed", func(*marks) { time.Sleep(2 * knownFor) }, edge, false},
		{"the mark was taken", func(m *marks) { m.take(time.Now().Add(time.Second)) }, edge, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m marks
				m.add(0, time.Now(), []clickhouse.EdgeRow{edge})
				if c.do != nil {
					c.do(&m)
				}
				if got := m.has(c.row.Workspace, c.row.Edge); got != c.want {
					t.Errorf("the edge is known: %t, want %t", got, c.want)
				}
			})
		})
	}
}
