package erase

import (
	"context"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/schemas"
)

// Visitor is a browser with some of its clicks.
type Visitor struct{ ClickID, VisitorID string }

// Visitors gives who made the clicks, in UUID form, or who are the visitors, with all clicks of theirs.
func Visitors(ctx context.Context, s *clickhouse.Store, workspace string, clicks, visitors []string) ([]Visitor, error) {
	var list []Visitor
	err := s.Each(ctx, func(rows driver.Rows) error {
		var v Visitor
		if err := rows.Scan(&v.ClickID, &v.VisitorID); err != nil {
			return err
		}
		list = append(list, v)
		return nil
	}, "SELECT UUIDNumToString(click_id), visitor_id FROM clicks FINAL WHERE workspace = ? AND (has(?, UUIDNumToString(click_id)) OR visitor_id != '' AND has(?, visitor_id))",
		workspace, clickhouse.Strings(clicks), clickhouse.Strings(visitors))
	return list, err
}

// EventsMentioning gives the raw events whose bodies contain any of the words.
func EventsMentioning(ctx context.Context, s *clickhouse.Store, workspace string, words []string) ([]clickhouse.EventRow, error) {
	var list []clickhouse.EventRow
	err := s.Each(ctx, func(rows driver.Rows) error {
		r := clickhouse.EventRow{Workspace: workspace, StripeEvent: new(schemas.StripeEvent)}
		var body string
		if err := rows.Scan(&r.ID, &r.Type, &r.Account, &r.Livemode, &r.APIVersion, &r.Created, &r.ReceivedAt, &body); err != nil {
			return err
		}
		r.Body = []byte(body)
		list = append(list, r)
		return nil
	}, "SELECT event_id, type, account, livemode, api_version, created, received_at, body FROM stripe_events FINAL WHERE workspace = ? AND multiSearchAny(body, ?) ORDER BY event_id",
		workspace, clickhouse.Strings(words))
	return list, err
}

// RedactedMark is a field that redacted bodies have.
const RedactedMark = "tributary_erased"

// DropOriginals removes the rows of events that have been stored again without the person.
func DropOriginals(ctx context.Context, s *clickhouse.Store, workspace string, events []string) error {
	return s.Exec(ctx, "ALTER TABLE stripe_events DELETE WHERE workspace = ? AND has(?, event_id) AND position(body, ?) = 0", workspace, clickhouse.Strings(events), `"`+RedactedMark+`":true`)
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
	from, to, nodes, aliases, words, leads := f.From, f.To, f.Nodes, f.Aliases, f.Words, f.Leads
	replaced := func(column string) string { return column + " = transform(" + column + ", ?, ?, " + column + ")" }
	for _, table := range []string{"facts", "ledger", "ledger_log"} {
		set := []string{replaced("customer_id"), replaced("external_customer_id")}
		args := []any{clickhouse.Strings(from), clickhouse.Strings(to), clickhouse.Strings(from), clickhouse.Strings(to)}
		where := "workspace = ? AND (has(?, customer_id) OR has(?, external_customer_id)"
		tail := []any{workspace, clickhouse.Strings(from), clickhouse.Strings(from)}
		if table != "facts" {
			set = append(set, "visitor_id = if(has(?, concat('visitor:', visitor_id)), '', visitor_id)", replaced("match_key"))
			args = append(args, clickhouse.Strings(nodes), clickhouse.Strings(nodes), clickhouse.Strings(aliases))
			where += " OR has(?, concat('visitor:', visitor_id)) OR has(?, match_key)"
			tail = append(tail, clickhouse.Strings(nodes), clickhouse.Strings(nodes))
		}
		if err := s.Exec(ctx, "ALTER TABLE "+table+" UPDATE "+strings.Join(set, ", ")+" WHERE "+where+")", append(args, tail...)...); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{"ALTER TABLE revenue UPDATE " + replaced("match_key") + " WHERE workspace = ? AND has(?, match_key)", []any{clickhouse.Strings(nodes), clickhouse.Strings(aliases), workspace, clickhouse.Strings(nodes)}},
		{"ALTER TABLE leads UPDATE " + replaced("external_id") + ", " + replaced("match_key") + ", email_hash = toFixedString('', 16), metadata = map() WHERE workspace = ? AND (has(?, external_id) OR has(?, lower(hex(lead_id))) OR has(?, match_key))",
			[]any{clickhouse.Strings(from), clickhouse.Strings(to), clickhouse.Strings(nodes), clickhouse.Strings(aliases), workspace, clickhouse.Strings(from), clickhouse.Strings(leads), clickhouse.Strings(nodes)}},
		{"ALTER TABLE identities DELETE WHERE workspace = ? AND (has(?, key) OR has(?, target))", []any{workspace, clickhouse.Strings(nodes), clickhouse.Strings(nodes)}},
		{"ALTER TABLE dead_letters UPDATE body = '{}', key = '', headers = map() WHERE multiSearchAny(body, ?)", []any{clickhouse.Strings(words)}},
	} {
		if err := s.Exec(ctx, step.statement, step.args...); err != nil {
			return err
		}
	}
	return nil
}

// ForgetClicks takes the person out of clicks, as erase.List.Click does of records.
func ForgetClicks(ctx context.Context, s *clickhouse.Store, workspace string, clicks []string) error {
	const origin = "if(empty(domain(%)), '', concat(protocol(%), '://', substring(%, position(%, '://') + 3, length(netloc(%))), '/'))"
	return s.Exec(ctx, `ALTER TABLE clicks UPDATE visitor_id = '', identity_hash = toFixedString('', 8), url = `+strings.ReplaceAll(origin, "%", "url")+`,
path = '', referrer = `+strings.ReplaceAll(origin, "%", "referrer")+`, ad_click_id = '', region = '', city = '', user_agent = '', properties = map()
WHERE workspace = ? AND has(?, UUIDNumToString(click_id))`, workspace, clickhouse.Strings(clicks))
}
