package erase

import (
	"context"
	"strings"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/schemas"
)

// Visitor is a browser with some of its clicks.
type Visitor struct{ ClickID, VisitorID string }

// list is a list as an argument for an Array(String). ClickHouse knows no type of an empty array: one stands for it that no value matches.
func list(values []string) clickhousego.ArraySet {
	if len(values) == 0 {
		return clickhouse.Strings([]string{"\x00"})
	}
	return clickhouse.Strings(values)
}

// Visitors returns who made the clicks, in UUID form or by the site's own ids, or who are the visitors, with all clicks of theirs.
func Visitors(ctx context.Context, s *clickhouse.Store, workspace string, clicks, foreign, visitors []string) ([]Visitor, error) {
	var found []Visitor
	err := s.Each(ctx, func(rows driver.Rows) error {
		var v Visitor
		if err := rows.Scan(&v.ClickID, &v.VisitorID); err != nil {
			return err
		}
		found = append(found, v)
		return nil
	}, `SELECT UUIDNumToString(click_id), visitor_id FROM clicks FINAL
WHERE workspace = ? AND (has(?, UUIDNumToString(click_id)) OR foreign_id != '' AND has(?, foreign_id) OR visitor_id != '' AND has(?, visitor_id))`,
		workspace, list(clicks), list(foreign), list(visitors))
	return found, err
}

// EventsMentioning gives the raw events whose bodies contain any of the words.
func EventsMentioning(ctx context.Context, s *clickhouse.Store, workspace string, words []string) ([]clickhouse.EventRow, error) {
	var found []clickhouse.EventRow
	err := s.Each(ctx, func(rows driver.Rows) error {
		r := clickhouse.EventRow{Workspace: workspace, StripeEvent: new(schemas.StripeEvent)}
		var body string
		if err := rows.Scan(&r.ID, &r.Type, &r.Account, &r.Livemode, &r.APIVersion, &r.Created, &r.ReceivedAt, &body); err != nil {
			return err
		}
		r.Body = []byte(body)
		found = append(found, r)
		return nil
	}, "SELECT event_id, type, account, livemode, api_version, created, received_at, body FROM stripe_events FINAL WHERE workspace = ? AND multiSearchAny(body, ?) ORDER BY event_id",
		workspace, list(words))
	return found, err
}

// RedactedMark is a field that redacted bodies have.
const RedactedMark = "tributary_erased"

// DropOriginals removes the rows of events that have been stored again without the person.
func DropOriginals(ctx context.Context, s *clickhouse.Store, workspace string, events []string) error {
	return s.Exec(ctx, "ALTER TABLE stripe_events DELETE WHERE workspace = ? AND has(?, event_id) AND position(body, ?) = 0", workspace, list(events), `"`+RedactedMark+`":true`)
}

// Forgotten is what one erasure replaces. From and To are parallel, and so are Nodes and Aliases: values, and names of the join.
type Forgotten struct {
	From, To       []string
	Nodes, Aliases []string
	Words          []string // what bodies are searched for
	Leads          []string // hexadecimal ids
}

// Forget replaces names in every table in which they are values. What is part of a table's key must have been written anew before: here
// it is removed.
func Forget(ctx context.Context, s *clickhouse.Store, workspace string, f Forgotten) error {
	from, to, nodes, aliases := list(f.From), list(f.To), list(f.Nodes), list(f.Aliases)
	replaced := func(column string) string { return column + " = transform(" + column + ", ?, ?, " + column + ")" }
	for _, table := range []string{"facts", "ledger", "ledger_log"} {
		set := []string{replaced("customer_id"), replaced("external_customer_id")}
		args := []any{from, to, from, to}
		where := "workspace = ? AND (has(?, customer_id) OR has(?, external_customer_id)"
		tail := []any{workspace, from, from}
		if table != "facts" {
			set = append(set, "visitor_id = if(has(?, concat('visitor:', visitor_id)), '', visitor_id)", replaced("match_key"))
			args = append(args, nodes, nodes, aliases)
			where += " OR has(?, concat('visitor:', visitor_id)) OR has(?, match_key)"
			tail = append(tail, nodes, nodes)
		}
		if err := s.Exec(ctx, "ALTER TABLE "+table+" UPDATE "+strings.Join(set, ", ")+" WHERE "+where+")", append(args, tail...)...); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{"ALTER TABLE revenue UPDATE " + replaced("match_key") + " WHERE workspace = ? AND has(?, match_key)", []any{nodes, aliases, workspace, nodes}},
		{"ALTER TABLE leads UPDATE " + replaced("external_id") + ", " + replaced("match_key") + ", " + replaced("person") +
			`, email_hash = toFixedString('', 16), metadata = map()
WHERE workspace = ? AND (has(?, external_id) OR has(?, lower(hex(lead_id))) OR has(?, match_key) OR has(?, person))`,
			[]any{from, to, nodes, aliases, nodes, aliases, workspace, from, list(f.Leads), nodes, nodes}},
		{"ALTER TABLE leads_attributed UPDATE " + replaced("person") + " WHERE workspace = ? AND has(?, person)", []any{nodes, aliases, workspace, nodes}},
		// A field that was set back to a name ends in the name: again:TIME NAME.
		{`ALTER TABLE identities DELETE WHERE workspace = ? AND (has(?, key) OR has(?, target)
OR startsWith(key, 'again:') AND has(?, substring(key, position(key, ' ') + 1)) OR startsWith(target, 'again:') AND has(?, substring(target, position(target, ' ') + 1)))`,
			[]any{workspace, nodes, nodes, nodes, nodes}},
		{"ALTER TABLE first_names DELETE WHERE workspace = ? AND has(?, name)", []any{workspace, nodes}},
	} {
		if err := s.Exec(ctx, step.statement, step.args...); err != nil {
			return err
		}
	}
	if len(f.Words) == 0 {
		return nil
	}
	return s.Exec(ctx, "ALTER TABLE dead_letters UPDATE body = '{}', key = '', headers = map() WHERE multiSearchAny(body, ?)", list(f.Words))
}

// ForgetClicks takes the person out of clicks, as erase.List.Click does of records.
func ForgetClicks(ctx context.Context, s *clickhouse.Store, workspace string, clicks []string) error {
	const origin = "if(empty(domain(%)), '', concat(protocol(%), '://', substring(%, position(%, '://') + 3, length(netloc(%))), '/'))"
	return s.Exec(ctx, `ALTER TABLE clicks UPDATE visitor_id = '', identity_hash = toFixedString('', 8), url = `+strings.ReplaceAll(origin, "%", "url")+`,
path = '', referrer = `+strings.ReplaceAll(origin, "%", "referrer")+`, ad_click_id = '', region = '', city = '', user_agent = '', properties = map()
WHERE workspace = ? AND has(?, UUIDNumToString(click_id))`, workspace, list(clicks))
}
