package clickhouse

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/ledger"
)

// insertMoved stores a row with moved = 1 for each day that an entry was known under and has left.
const insertMoved = `INSERT INTO revenue (workspace, livemode, day, entry_id, version, moved)
SELECT workspace, livemode, arrayJoin(arrayFilter(d -> d != last, days)) AS day, entry_id, latest, 1
FROM
(
    SELECT workspace, livemode, entry_id,
        groupUniqArray(day) AS days, argMax(day, version) AS last, max(version) AS latest
    FROM revenue_days
    WHERE `

const ofSeveralDays = `
    GROUP BY workspace, livemode, entry_id
    HAVING length(days) > 1
)`

func areEntries(ids []ledger.EntryID) string {
	return "workspace = ? AND entry_id IN (" + array(ids) + ")"
}

// leaveOldDays takes entries out of the days of revenue that they have left. It must come after the
// insert of the entries. Two processors may store two versions of an entry with two days at the
// same time, and then
//
//  1. both insert, in any order;
//  2. each looks up under which days the entry is known;
//  3. the one whose insert came last finds both, and takes the lesser version out.
//
// An entry that always had one day, as nearly all have, costs its lookup only: an INSERT that
// selects nothing costs twice as much.
//
// One that is killed in between handles its batch again, because its offsets are not committed.
func (s *Store) leaveOldDays(ctx context.Context, rows []ledger.Entry) error {
	ids := make(map[string][]ledger.EntryID)
	for i := range rows {
		ids[rows[i].Workspace] = append(ids[rows[i].Workspace], rows[i].ID)
	}
	for workspace, of := range ids {
		moved, err := Lookup(ctx, s, "revenue_days", of, func(chunk []ledger.EntryID) (string, []any) {
			return "SELECT DISTINCT entry_id FROM revenue_days WHERE " + areEntries(chunk) +
				" GROUP BY workspace, livemode, entry_id HAVING min(day) != max(day)", []any{workspace}
		}, func(rows driver.Rows, id *ledger.EntryID) error {
			var bytes string
			err := rows.Scan(&bytes)
			copy(id[:], bytes)
			return err
		})
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(moved, lookupChunk) {
			err := s.retry(ctx, "revenue", "insert", func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				return s.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings)),
					insertMoved+areEntries(chunk)+ofSeveralDays, workspace)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
