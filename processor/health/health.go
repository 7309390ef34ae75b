// Package health lets a page that reads ClickHouse only show how far the processors are behind
// Kafka, what the last checks found, and how far backfills are. Each fact has its time: the page
// can say that something is not known, and does not show an old figure as the present one.
package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/audit"
	"tributary/processor/backfill"
	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/reconcile"
	"tributary/schemas"
)

// Verdicts of checks and backfills.
const (
	good     = "good"
	findings = "findings"
	unproven = "unproven" // no difference, but not everything could be compared
	underWay = "under_way"
	done     = "done"
)

// Audit returns what an audit found. After a repair, left is the audit that followed it.
func Audit(at time.Time, found, left *audit.Report) []clickhouse.StatusRow {
	row := clickhouse.StatusRow{What: "audit", At: at, Verdict: good, Number: uint64(len(left.Findings))}
	if len(left.Findings) > 0 {
		row.Verdict = findings
	}
	row.Detail = fmt.Sprintf("%d records handled again", found.Records)
	if repaired := len(found.Findings) - len(left.Findings); repaired > 0 {
		row.Detail += fmt.Sprintf("; %d findings repaired", repaired)
	}
	if len(found.LeftOut) > 0 {
		row.Detail += "; not checked: " + strings.Join(found.LeftOut, "; ")
	}
	return []clickhouse.StatusRow{row}
}

// Reconcile returns what a comparison with Stripe found.
func Reconcile(at time.Time, r *reconcile.Report) []clickhouse.StatusRow {
	differences, unproved := r.Counts()
	row := clickhouse.StatusRow{
		What: "reconcile", Subject: subject(r.Scope.Livemode, r.Scope.Account), At: at, Verdict: good,
		Number: uint64(differences),
		Detail: fmt.Sprintf("%s to %s: %s", r.Scope.Period.From.Format(time.DateOnly),
			r.Scope.Period.To.Format(time.DateOnly), r.Verdict),
	}
	switch {
	case differences > 0:
		row.Verdict = findings
	case unproved > 0:
		row.Verdict = unproven
	}
	return []clickhouse.StatusRow{row}
}

// subject names a Stripe account and its mode.
func subject(livemode bool, account string) string {
	mode := "live"
	if !livemode {
		mode = "test"
	}
	return strings.TrimSpace(mode + " " + account)
}

// Writer stores lines of pipeline_status; clickhouse.Store does.
type Writer interface {
	InsertStatus(ctx context.Context, rows []clickhouse.StatusRow) error
}

// writeTimeout is how long a verdict may take to be stored.
const writeTimeout = 10 * time.Second

// Store stores the verdict of a check. A check is none the worse where that fails, as for a user
// who may only read.
func Store(ctx context.Context, w Writer, rows []clickhouse.StatusRow, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := w.InsertStatus(ctx, rows); err != nil {
		log.Warn("the verdict is not stored, so the page does not show it", "error", err)
	}
}

// Reporter stores what only Kafka knows: consumer lag and the progress of backfills.
type Reporter struct {
	Kafka   []kgo.Opt // how to reach it
	Store   Writer
	Elected func() bool // reports whether this processor reports; one of all does
	Log     *slog.Logger
}

// askTimeout is how long Kafka may take to answer. A report that fails is left out: the one before
// grows old, and is then no longer shown as what is known.
const askTimeout = 10 * time.Second

// Run reports every so often until ctx ends. Kafka's refusal is logged once and stops nothing.
func (r *Reporter) Run(ctx context.Context, every time.Duration) error {
	client, err := kgo.NewClient(r.Kafka...)
	if err != nil {
		return fmt.Errorf("open Kafka client of the health report: %w", err)
	}
	defer client.Close()
	admin, failing := kadm.NewClient(client), false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		if !r.Elected() {
			continue
		}
		err := r.report(ctx, admin, time.Now().UTC())
		if err != nil && !failing && ctx.Err() == nil {
			r.Log.Warn("how far the processors are behind Kafka is not known", "error", err)
		}
		failing = err != nil
	}
}

func (r *Reporter) report(ctx context.Context, admin *kadm.Client, now time.Time) error {
	asked, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	rows, err := lag(asked, admin, now)
	if err != nil {
		return fmt.Errorf("read consumer lag: %w", err)
	}
	progress, err := backfill.All(asked, admin)
	if err != nil {
		return err
	}
	for _, p := range progress {
		verdict := underWay
		if p.Done {
			verdict = done
		}
		rows = append(rows, clickhouse.StatusRow{
			What: "backfill", Subject: subject(p.Livemode, p.Account), At: time.Unix(p.At, 0).UTC(), Verdict: verdict,
			Number: uint64(p.Step), Detail: p.String(),
		})
	}
	return r.Store.InsertStatus(ctx, rows)
}

// lag returns how many records of each topic wait for the processors. A topic that a group has
// never read has no line.
func lag(ctx context.Context, admin *kadm.Client, now time.Time) (rows []clickhouse.StatusRow, err error) {
	groups, err := admin.Lag(ctx, schemas.ConsumerGroup, consume.ThinGroup)
	if err != nil {
		return nil, err
	}
	for _, group := range groups.Sorted() {
		if err := group.Error(); errors.Is(err, kerr.GroupIDNotFound) {
			continue // no thin event is fetched here
		} else if err != nil {
			return nil, err
		}
		waiting := make(map[string]uint64)
		for _, p := range group.Lag.Sorted() {
			if p.Err != nil {
				return nil, fmt.Errorf("%s, partition %d: %w", p.Topic, p.Partition, p.Err)
			}
			waiting[p.Topic] += uint64(max(0, p.Lag))
		}
		for topic, records := range waiting {
			rows = append(rows, clickhouse.StatusRow{
				What: "lag", Subject: group.Group + " " + topic, At: now, Number: records,
			})
		}
	}
	return rows, nil
}
