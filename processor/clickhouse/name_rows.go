package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/big"
	"slices"
	"time"

	"tributary/processor/identity"
)

// EdgeRow is an edge in its workspace.
type EdgeRow struct {
	Workspace string
	identity.Edge
	// OneWay edges are stored from A to B only: B is a name that the public can give to many, and
	// nobody who looks B up needs them; or the row marks an edge as carried.
	OneWay bool
}

var edgeColumns = []nativeColumn[EdgeRow]{
	repeated("workspace", func(r *EdgeRow) string { return r.Workspace }),
	text("key", func(r *EdgeRow) identity.Node { return r.A }),
	text("target", func(r *EdgeRow) identity.Node { return r.B }),
	repeated("source", func(r *EdgeRow) string { return r.Source }),
	datetime64("at", func(r *EdgeRow) time.Time { return r.At }),
	flag("carried", func(r *EdgeRow) bool { return r.Carried }),
	number("version", func(r *EdgeRow) uint64 { return r.version() }),
}

// version makes the edge that was reported first stay, and of two of the same time the propagated
// one.
func (r *EdgeRow) version() uint64 {
	v := ^uint64(0) - 2*uint64(max(r.At.UnixMilli(), 0)) - 1
	if r.Carried {
		v++
	}
	return v
}

// InsertEdges inserts edges, each in both directions unless it is one-way.
func (s *Store) InsertEdges(ctx context.Context, rows []EdgeRow) error {
	both := make([]EdgeRow, 0, 2*len(rows))
	for _, r := range rows {
		back := r
		back.A, back.B = r.B, r.A
		if both = append(both, r); !r.OneWay {
			both = append(both, back)
		}
	}
	return insertNative(ctx, s, "identities", edgeColumns, both)
}

// firstNameColumns are those of first_names: the row of a name that was reported first stands, and
// of two of one millisecond the one with the greater hash of its target.
var firstNameColumns = []column[EdgeRow]{
	col("workspace", func(r *EdgeRow) string { return r.Workspace }),
	col("name", func(r *EdgeRow) string { return string(r.A) }),
	col("target", func(r *EdgeRow) string { return string(r.B) }),
	col("source", func(r *EdgeRow) string { return r.Source }),
	col("at", func(r *EdgeRow) time.Time { return r.At }),
	col("version", func(r *EdgeRow) *big.Int { return r.FirstVersion() }),
}

// FirstVersion orders the reports under one name: the earlier report has the greater version.
func (r *EdgeRow) FirstVersion() *big.Int {
	sum := sha256.Sum256([]byte(r.B))
	v := new(big.Int).SetUint64(first(r.At))
	return v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(binary.BigEndian.Uint64(sum[:8])))
}

// InsertFirstNames writes what clicks and browsers reported under a name, of which only the first
// stays: a name that a million clicks carry is one row, and one lookup.
func (s *Store) InsertFirstNames(ctx context.Context, rows []EdgeRow) error {
	type name struct {
		workspace string
		name      identity.Node
	}
	firsts := make(map[name]EdgeRow, len(rows))
	for _, r := range rows {
		k := name{r.Workspace, r.A}
		if old, ok := firsts[k]; !ok || old.FirstVersion().Cmp(r.FirstVersion()) < 0 {
			firsts[k] = r
		}
	}
	return insert(ctx, s, "first_names", firstNameColumns, slices.Collect(maps.Values(firsts)))
}

// Deferred is a request to book the sales and leads under one name again, later: they are too many
// for the batch that found it.
type Deferred struct {
	Workspace string
	Name      identity.Node
	Request   string // random: a request that comes while another is being worked on is one more
	// Wait is how long after its insert it is due, less than longestWait.
	Wait time.Duration
	Done bool
}

// longestWait bounds Deferred.Wait: what is due still later was stored when ClickHouse's clock was
// wrong.
const longestWait = 24 * time.Hour

// timedRequest is a request, and when it is due by ClickHouse's clock.
type timedRequest struct {
	*Deferred
	at time.Time
}

var deferredColumns = []column[timedRequest]{
	col("workspace", func(r *timedRequest) string { return r.Workspace }),
	col("name", func(r *timedRequest) string { return string(r.Name) }),
	col("request", func(r *timedRequest) string { return r.Request }),
	col("at", func(r *timedRequest) time.Time { return r.at }),
	col("done", func(r *timedRequest) bool { return r.Done }),
}

// InsertDeferred inserts requests. A row with Done set says that its request is finished.
//
// The time at which one is due is ClickHouse's, which finds what is due: by a clock that is fast, one
// would be due late, and by a slow one before what it is to wait for. What is due at once is so by
// every clock.
func (s *Store) InsertDeferred(ctx context.Context, rows []Deferred) error {
	if len(rows) == 0 {
		return nil
	}
	return s.retry(ctx, "deferred_names", "insert", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		var now time.Time
		if err := s.conn.QueryRow(ctx, "SELECT now64(3, 'UTC')").Scan(&now); err != nil {
			return err
		}
		timed := make([]timedRequest, len(rows))
		for i := range rows {
			r := &rows[i]
			timed[i] = timedRequest{r, now.Add(r.Wait)} // of a row that is done: from then on it is kept for a month
			if r.Wait == 0 && !r.Done {
				timed[i].at = time.Unix(0, 0)
			}
		}
		return insertOnce(ctx, s, "deferred_names", deferredColumns, timed)
	})
}
