package sql_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"tributary/sql/sqltest"
)

// Stripe's times are whole seconds, so a sale may have many refunds of one time, and an invoice that
// is paid again has several payments of one object and amount. Which of them a question lists first
// does not depend on the order in which they are stored.
func TestOrderOfEquals(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	const rows = 40
	for _, c := range []struct {
		question string
		row      string // entry's number i: kind, object, time, amount, net
	}{
		{"live_events", "'refund', concat('re_', i), toDateTime('2025-03-01 10:00:00', 'UTC'), -100 - i, -1 - i / 100"},
		{"what_changed", "'payment', 'pi_1', toDateTime('2025-03-01 10:00:00', 'UTC') + i, 100, 1"},
		{"story_of_a_sale", "'payment', 'pi_1', toDateTime('2025-03-01 10:00:00', 'UTC') + i, 100, 1"},
	} {
		q := question(t, c.question)
		var answers []string
		for _, stored := range []string{"i", fmt.Sprint(rows, " - i")} {
			workspace := c.question + stored
			ask(t, dsn, fmt.Sprintf(`INSERT INTO ledger (workspace, entry_id, livemode, day, sale_id, currency, status, version,
					kind, object_id, occurred_at, amount, net_usd)
				SELECT '%s', toFixedString(leftPad(toString(%s), 16, '0'), 16), true, '2025-03-01', 'pi_1', 'usd', 'booked', 1, %s
				FROM (SELECT number::Int64 AS i FROM numbers(%d))`, workspace, stored, c.row, rows), nil)
			given := parameters(q)
			maps.Copy(given, map[string]string{
				"workspace": workspace, "from": "2025-03-01 00:00:00", "to": "2025-03-02 00:00:00", "only": "{}",
				"since": "2025-03-01 00:00:00", "until": "2100-03-01 00:00:00", "limit": "3", "sale": "pi_1",
			})
			answers = append(answers, ask(t, dsn, q.Text, given))
		}
		if answers[0] != answers[1] || strings.Count(answers[0], "pi_1") < 3 {
			t.Errorf("%s lists\n%s\nand, stored in another order,\n%s", c.question, answers[0], answers[1])
		}
	}
}
