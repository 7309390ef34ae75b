package clickhouse

import (
	"context"
	"time"
)

// StatusRow is one line of pipeline_status: what was found to be so at a time. It replaces the
// earlier line of the same What and Subject.
type StatusRow struct {
	What    string // lag, audit, reconcile or backfill
	Subject string // as the column's comment says
	At      time.Time
	Verdict string
	Number  uint64
	Detail  string
}

var statusColumns = []column[StatusRow]{
	col("what", func(r *StatusRow) string { return r.What }),
	col("subject", func(r *StatusRow) string { return r.Subject }),
	col("at", func(r *StatusRow) time.Time { return r.At }),
	col("verdict", func(r *StatusRow) string { return r.Verdict }),
	col("number", func(r *StatusRow) uint64 { return r.Number }),
	col("detail", func(r *StatusRow) string { return r.Detail }),
}

// InsertStatus inserts what is known of the pipeline itself.
func (s *Store) InsertStatus(ctx context.Context, rows []StatusRow) error {
	return insert(ctx, s, "pipeline_status", statusColumns, rows)
}
