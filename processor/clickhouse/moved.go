package clickhouse

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
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

const areEntries = "workspace = ? AND entry_id IN (SELECT toFixedString(unhex(arrayJoin(splitByChar(',', ?))), 16))"

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
	ids := make(map[string]map[string]bool)
	for i := range rows {
		of := ids[rows[i].Workspace]
		if of == nil {
			of = make(map[string]bool)
			ids[rows[i].Workspace] = of
		}
		of[hex.EncodeToString(rows[i].ID[:])] = true
	}
	for workspace, of := range ids {
		moved, err := Lookup(ctx, s, "revenue_days", slices.Sorted(maps.Keys(of)), func(chunk []string) (string, []any) {
			return "SELECT DISTINCT lower(hex(entry_id)) FROM revenue_days WHERE " + areEntries +
				" GROUP BY workspace, livemode, entry_id HAVING min(day) != max(day)", []any{workspace, strings.Join(chunk, ",")}
		}, func(rows driver.Rows, id *string) error { return rows.Scan(id) })
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(moved, lookupChunk) {
			err := s.retry(ctx, "revenue", "insert", func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				return s.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings)),
					insertMoved+areEntries+ofSeveralDays, workspace, strings.Join(chunk, ","))
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
