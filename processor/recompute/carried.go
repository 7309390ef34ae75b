package recompute

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// carriedEdges remember edges that were carried shortly before: for knownFor at least, unless too
// many come, and for twice as long at most. Of more than mostKnown the older half is forgotten. To
// forget an edge is dear and not wrong: whoever reports it next carries it once more.
//
// An edge is remembered by a digest, so that it takes some 40 bytes. It is a cryptographic one: of
// two edges with one digest the second would never be carried, and anybody may choose names.
type carriedEdges struct {
	recent, older map[edgeDigest]int64 // to the time since when the edge is true, in Unix milliseconds
	since         time.Time            // when recent was begun
}

type edgeDigest [16]byte

// mostKnown bounds the memory of carriedEdges, to 40 MB (TestMarksOfABacklog).
const mostKnown = 700_000

// knownFor is how long an edge is remembered at least: until after it is marked, where ClickHouse
// is known to have kept it in time. It is no longer, because tables may be emptied and filled
// again while a processor runs, and an edge that is known is not stored.
const knownFor = unsynced + unsynced/2

// add remembers an edge.
func (c *carriedEdges) add(now time.Time, workspace string, e identity.Edge) {
	c.forgetOld(now)
	if len(c.recent) >= mostKnown/2 {
		c.begin(now)
	}
	if c.recent == nil {
		c.recent = make(map[edgeDigest]int64)
	}
	d, at := digest(workspace, e), e.At.UnixMilli()
	if earlier, ok := c.recent[d]; !ok || at < earlier {
		c.recent[d] = at
	}
}

// has reports whether an edge that became true no later than this one is remembered.
func (c *carriedEdges) has(now time.Time, workspace string, e identity.Edge) bool {
	c.forgetOld(now)
	if len(c.recent)+len(c.older) == 0 {
		return false
	}
	d := digest(workspace, e)
	for _, known := range []map[edgeDigest]int64{c.recent, c.older} {
		if at, ok := known[d]; ok && at <= e.At.UnixMilli() {
			return true
		}
	}
	return false
}

// forgetOld drops what has been remembered for its time.
func (c *carriedEdges) forgetOld(now time.Time) {
	if now.Sub(c.since) >= 2*knownFor {
		*c = carriedEdges{since: now}
	} else if now.Sub(c.since) >= knownFor {
		c.begin(now)
	}
}

// begin forgets the older half.
func (c *carriedEdges) begin(now time.Time) { c.recent, c.older, c.since = nil, c.recent, now }

// digest is that of an edge's workspace and ends.
func digest(workspace string, e identity.Edge) edgeDigest {
	text := make([]byte, 0, 256)
	for _, s := range [...]string{workspace, string(e.A), string(e.B)} {
		text = append(binary.AppendUvarint(text, uint64(len(s))), s...)
	}
	sum := sha256.Sum256(text)
	return edgeDigest(sum[:16])
}

// packedEdges are rows that mark edges as carried, in a third of the memory and without pointers:
// each byte that lives lets two bytes of garbage wait.
type packedEdges struct {
	said  []origin
	rows  []packedEdge
	names []byte // of all rows, A and B in turn
}

// origin is what many edges have in common.
type origin struct{ workspace, source string }

type packedEdge struct {
	at   int64  // Unix milliseconds, the precision of the column
	a, b uint32 // where the names end
	said uint32 // in packedEdges.said
}

// pack keeps of edges what a mark says.
func pack(edges []clickhouse.EdgeRow) packedEdges {
	size := 0
	for i := range edges {
		size += len(edges[i].A) + len(edges[i].B)
	}
	p := packedEdges{rows: make([]packedEdge, len(edges)), names: make([]byte, 0, size)}
	places := make(map[origin]uint32)
	for i := range edges {
		e := &edges[i]
		o := origin{e.Workspace, e.Source}
		place, ok := places[o]
		if !ok {
			place = uint32(len(p.said))
			places[o], p.said = place, append(p.said, o)
		}
		p.names = append(p.names, e.A...)
		a := uint32(len(p.names))
		p.names = append(p.names, e.B...)
		p.rows[i] = packedEdge{e.At.UnixMilli(), a, uint32(len(p.names)), place}
	}
	return p
}

// appendTo appends the rows to edges.
func (p *packedEdges) appendTo(edges []clickhouse.EdgeRow) []clickhouse.EdgeRow {
	begin := uint32(0)
	for _, r := range p.rows {
		o := p.said[r.said]
		edges = append(edges, clickhouse.EdgeRow{Workspace: o.workspace, OneWay: true, Edge: identity.Edge{
			A: identity.Node(p.names[begin:r.a]), B: identity.Node(p.names[r.a:r.b]),
			Source: o.source, At: time.UnixMilli(r.at).UTC(), Carried: true,
		}})
		begin = r.b
	}
	return edges
}

// size is about how many bytes the rows take.
func (p *packedEdges) size() int {
	size := 24*len(p.rows) + len(p.names)
	for _, o := range p.said {
		size += 32 + len(o.workspace) + len(o.source)
	}
	return size
}
