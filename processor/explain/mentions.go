package explain

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
)

// Mention is one record that mentions some object: an event or a dead letter.
type Mention struct {
	ID         string // evt_…; of a dead letter its origin, topic/partition/offset
	What       string // the event's type; of a dead letter its reason and error
	DeadLetter bool
	Created    time.Time // by Stripe; of a dead letter when it was set aside. UTC
	ReceivedAt time.Time // by the edge, UTC
	APIVersion string
	IDs        []string // of those asked for, the ones that it mentions
}

// Mentions searches the bodies of raw events and dead letters for objects' ids, and returns at most
// limit records that have one of them: the dead letters, then the events by time of creation.
// Bodies have no index, so it reads all of them. It tries once.
func Mentions(ctx context.Context, s *clickhouse.Store, workspace string, ids []string, limit int) ([]Mention, error) {
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = `"` + id + `"` // as JSON has it: pi_1 is not pi_10
	}
	search := clickhouse.Strings(quoted)
	var found []Mention
	err := s.Each(ctx, func(rows driver.Rows) error {
		var m Mention
		if err := rows.Scan(&m.ID, &m.What, &m.DeadLetter, &m.Created, &m.ReceivedAt, &m.APIVersion,
			&m.IDs); err != nil {
			return err
		}
		for i, id := range m.IDs {
			m.IDs[i] = strings.Trim(id, `"`)
		}
		found = append(found, m)
		return nil
	}, `SELECT id, what, letter, created, received_at, api_version, arrayFilter(id -> position(body, id) > 0, ?) FROM
(
    SELECT event_id AS id, toString(type) AS what, false AS letter, toDateTime64(created, 3, 'UTC') AS created,
        received_at, toString(api_version) AS api_version, body
    FROM stripe_events FINAL WHERE workspace = ? AND multiSearchAny(body, ?)
    UNION ALL
    SELECT concat(topic, '/', toString(partition), '/', toString(offset)), concat(reason, ': ', error), true,
        at, at, '', body
    FROM dead_letters FINAL WHERE multiSearchAny(body, ?)
)
ORDER BY letter DESC, created, id LIMIT ?`, search, workspace, search, search, limit)
	if err != nil {
		return nil, fmt.Errorf("search events: %w", err)
	}
	return found, nil
}
