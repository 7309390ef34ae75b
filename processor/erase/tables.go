package erase

import (
	"context"
	"maps"
	"slices"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/schemas"
)

// visitor is a browser with one of its clicks or page views.
type visitor struct{ ClickID, VisitorID string }

// array makes a list an argument for an Array(String). ClickHouse knows no type of an empty array:
// one that matches no value stands for it.
func array(values []string) clickhousego.ArraySet {
	if len(values) == 0 {
		return clickhouse.Strings([]string{"\x00"})
	}
	return clickhouse.Strings(values)
}

// visitorsOf returns the clicks and page views with one of these ids (UUIDs, or the site's own) or
// by one of these visitors, each with its visitor.
func visitorsOf(ctx context.Context, s *clickhouse.Store, workspace string,
	clicks, foreign, visitors []string,
) ([]visitor, error) {
	var list []visitor
	err := s.Each(ctx, func(rows driver.Rows) error {
		var v visitor
		err := rows.Scan(&v.ClickID, &v.VisitorID)
		list = append(list, v)
		return err
	}, `SELECT UUIDNumToString(id), visitor_id FROM
(SELECT workspace, click_id AS id, foreign_id, visitor_id FROM clicks FINAL
 UNION ALL SELECT workspace, page_view_id, '', visitor_id FROM page_views FINAL)
WHERE workspace = ? AND (has(?, UUIDNumToString(id)) OR foreign_id != '' AND has(?, foreign_id)
    OR visitor_id != '' AND has(?, visitor_id))`,
		workspace, array(clicks), array(foreign), array(visitors))
	return list, err
}

// mentioning is the condition that a body contains one of some texts, or has one of some objects'
// ids as a string.
const mentioning = `(multiSearchAny(body, ?) OR hasAny(extractAll(body, '"([a-z]+_[0-9A-Za-z_]+)"'), ?))`

// eventsMentioning returns the raw events whose bodies contain any of the texts, or have any of the
// objects as a string. Of a movement, the object or its payment is one of them.
func eventsMentioning(ctx context.Context, s *clickhouse.Store, workspace string,
	texts, objects []string,
) ([]clickhouse.EventRow, error) {
	var list []clickhouse.EventRow
	err := s.Each(ctx, func(rows driver.Rows) error {
		r := clickhouse.EventRow{Workspace: workspace, StripeEvent: new(schemas.StripeEvent)}
		var body string
		err := rows.Scan(&r.ID, &r.Type, &r.Account, &r.Livemode, &r.APIVersion, &r.Created, &r.ReceivedAt, &body)
		r.Body = []byte(body)
		list = append(list, r)
		return err
	}, `SELECT event_id, type, account, livemode, api_version, created, received_at, body FROM stripe_events FINAL
WHERE workspace = ? AND (`+mentioning+` OR startsWith(account, ?)
    AND (has(?, JSONExtractString(body, 'data', 'object', 'id'))
        OR has(?, JSONExtractString(body, 'data', 'object', 'charge')))) ORDER BY event_id`,
		workspace, array(texts), array(objects), schemas.MovementAccount, array(objects), array(objects))
	return list, err
}

// erasedSince returns, by workspace, the names in the tables that are on the list of erased ones
// and not on that of another database.
func erasedSince(ctx context.Context, s *clickhouse.Store, before string) (map[string][]identity.Node, error) {
	names := make(map[string][]identity.Node)
	err := s.Each(ctx, func(rows driver.Rows) error {
		var workspace, node string
		err := rows.Scan(&workspace, &node)
		names[workspace] = append(names[workspace], identity.Node(node))
		return err
	}, `SELECT DISTINCT workspace, node FROM
(SELECT workspace, arrayJoin([key, target]) AS node FROM identities
 UNION ALL SELECT workspace, name FROM first_names
 UNION ALL SELECT workspace, arrayJoin(['`+identity.Click+`:' || UUIDNumToString(click_id), '`+visitorType+`:' || visitor_id])
    FROM clicks
 UNION ALL SELECT workspace, arrayJoin(['`+identity.Click+`:' || UUIDNumToString(page_view_id),
    '`+visitorType+`:' || visitor_id]) FROM page_views
 UNION ALL SELECT workspace, '`+visitorType+`:' || visitor_id FROM ledger)
WHERE (workspace, `+hashed+`) IN (SELECT workspace, name FROM erasures WHERE (workspace, name) NOT IN
    (SELECT workspace, name FROM `+clickhouse.Table(before, "erasures")+`))`)
	return names, err
}

// redactedMark is a field that redacted bodies have.
const redactedMark = "tributary_erased"

// deleteOriginals deletes the rows of events that have been stored again without the person.
func deleteOriginals(ctx context.Context, s *clickhouse.Store, workspace string, events []string) error {
	return s.Exec(ctx, "ALTER TABLE stripe_events DELETE WHERE workspace = ? AND has(?, event_id) AND "+
		"position(body, ?) = 0",
		workspace, array(events), `"`+redactedMark+`":true`)
}

// redaction is what one erasure replaces. Values and Aliases are parallel: external ids and
// customers. So are Nodes and NodeAliases: names as identities and match_key have them, type:value.
type redaction struct {
	Values, Aliases    []string
	Nodes, NodeAliases []string
	Quoted             []string // the values as JSON has them, to search bodies for
	Leads              []string // hexadecimal ids
	Visitors           []string
}

// forget deletes the names themselves, which renameEdges has stored under the aliases: a key cannot
// be updated.
func forget(ctx context.Context, s *clickhouse.Store, workspace string, r redaction) error {
	if err := deleteEdges(ctx, s, []string{workspace}, r.Nodes); err != nil {
		return err
	}
	return s.Exec(ctx, "ALTER TABLE first_names DELETE WHERE workspace = ? AND has(?, name)", workspace, array(r.Nodes))
}

// redact replaces the names in every column that can be updated.
func redact(ctx context.Context, s *clickhouse.Store, workspace string, r redaction) error {
	if err := clickhouse.VoidFirstSales(ctx, s); err != nil { // the hash of a buyer's new name is another one
		return err
	}
	for _, table := range []string{"facts", "ledger", "ledger_log", "revenue", "leads", "leads_attributed"} {
		var u update
		switch table {
		case "ledger", "ledger_log":
			u.replace("match_key", r.Nodes, r.NodeAliases)
			const visitor = "concat('" + visitorType + ":', visitor_id)"
			u.set = append(u.set, "visitor_id = if(has(?, "+visitor+"), '', visitor_id)")
			u.setArgs = append(u.setArgs, array(r.Nodes))
			u.any(visitor, r.Nodes)
			fallthrough
		case "facts":
			u.replace("customer_id", r.Values, r.Aliases)
			u.replace("external_customer_id", r.Values, r.Aliases)
		case "revenue":
			u.replace("match_key", r.Nodes, r.NodeAliases)
			u.replace("customer_id", r.Values, r.Aliases)
			u.replace("external_customer_id", r.Values, r.Aliases)
		case "leads":
			u.replace("external_id", r.Values, r.Aliases)
			u.replace("match_key", r.Nodes, r.NodeAliases)
			u.clear("email_hash", "toFixedString('', 16)")
			u.clear("metadata", "map()")
			u.any("lower(hex(lead_id))", r.Leads)
			fallthrough
		case "leads_attributed":
			u.replace("person", r.Nodes, r.NodeAliases)
		}
		if err := u.run(ctx, s, table, workspace); err != nil {
			return err
		}
	}
	if err := clickhouse.VoidFirstSales(ctx, s); err != nil {
		return err
	}
	// They have hashes of buyers' names. They are computed again in some minutes.
	if err := s.Exec(ctx, "ALTER TABLE first_sales DELETE WHERE workspace = ?", workspace); err != nil {
		return err
	}
	if err := renameDeferred(ctx, s, workspace, r); err != nil {
		return err
	}
	return redactDeadLetters(ctx, s, r)
}

// renameDeferred makes what is to be booked under a name in the background wait under its alias.
func renameDeferred(ctx context.Context, s *clickhouse.Store, workspace string, r redaction) error {
	names := array(r.Nodes)
	err := s.Exec(ctx, "INSERT INTO deferred_names SELECT workspace, transform(name, ?, ?, name) AS alias, "+
		"request, at, done "+
		"FROM deferred_names FINAL WHERE workspace = ? AND has(?, name) AND alias != ''",
		names, array(r.NodeAliases), workspace, names)
	if err != nil {
		return err
	}
	return s.Exec(ctx, "ALTER TABLE deferred_names DELETE WHERE workspace = ? AND has(?, name)", workspace, names)
}

// minSearched is how long a name must be to be searched for where nothing says where it begins and
// ends.
const minSearched = 5

// deadLettersNaming is the condition that a dead letter names the person. A body of JSON has names
// in quotes; clicks and leads, errors, keys and headers have them without.
const deadLettersNaming = `(arrayExists(x -> position(body, x) > 0, ?)
    OR arrayExists(x -> position(concat(body, key, error, toString(headers)), x) > 0, ?))`

// deadLetters returns the arguments of deadLettersNaming.
func (r redaction) deadLetters() []any {
	var anywhere []string
	for _, value := range slices.Concat(r.Values, r.Visitors) {
		if len(value) >= minSearched {
			anywhere = append(anywhere, value)
		}
	}
	return []any{array(r.Quoted), array(anywhere)}
}

// redactDeadLetters empties the records that name the person.
func redactDeadLetters(ctx context.Context, s *clickhouse.Store, r redaction) error {
	return s.Exec(ctx, "ALTER TABLE dead_letters UPDATE body = '{}', key = '', error = '', headers = map() WHERE "+
		deadLettersNaming, r.deadLetters()...)
}

// mentioned reports whether an event or a dead letter names the person.
func (r redaction) mentioned(ctx context.Context, s *clickhouse.Store, workspace string) (bool, error) {
	n := 0
	err := s.Each(ctx, func(rows driver.Rows) error {
		n++
		return nil
	}, `SELECT 1 FROM stripe_events WHERE workspace = ? AND multiSearchAny(body, ?) LIMIT 1
UNION ALL SELECT 1 FROM dead_letters WHERE `+deadLettersNaming+" LIMIT 1",
		append([]any{workspace, array(r.Quoted)}, r.deadLetters()...)...)
	return n > 0, err
}

// redactReasons removes the reasons of corrections of the person's sales, and of those that mention
// a name of theirs. Who decided stays.
func redactReasons(ctx context.Context, s *clickhouse.Store, workspace string, objects []identity.Node,
	r redaction) error {
	sales := make([]string, len(objects))
	for i, n := range objects {
		sales[i] = string(n)
	}
	return s.Exec(ctx, `ALTER TABLE identities
UPDATE source = replaceRegexpOne(source, '^(credit\\.[^:]*): .*$', '\\1: erased with the buyer')
WHERE workspace = ? AND startsWith(source, 'credit.')
    AND (has(?, key) OR has(?, target) OR arrayExists(x -> position(source, x) > 0, ?))`,
		workspace, array(sales), array(sales), array(r.Values))
}

// deleteEdges deletes the edges of names in some workspaces.
func deleteEdges(ctx context.Context, s *clickhouse.Store, workspaces, names []string) error {
	nodes := array(names)
	// The name of an hour contains the customer; a field that was set back to a name ends in it:
	// again:TIME NAME.
	return s.Exec(ctx, `ALTER TABLE identities DELETE WHERE has(?, workspace) AND (has(?, key) OR has(?, target)
    OR multiSearchAny(concat(key, ' ', target), ?)
    OR startsWith(key, 'again:') AND has(?, substring(key, position(key, ' ') + 1))
    OR startsWith(target, 'again:') AND has(?, substring(target, position(target, ' ') + 1)))`,
		array(workspaces), nodes, nodes, clickhouse.Strings(hours(names)), nodes, nodes)
}

// deleteHeld deletes what names the person where this workspace's events were held until it listed
// their account. All of that is booked in this workspace; what is not stays until it is.
func deleteHeld(ctx context.Context, s *clickhouse.Store, workspace string, objects []string, r redaction) error {
	events := make(map[string][]string) // by the workspace in which they were held
	err := s.Each(ctx, func(rows driver.Rows) error {
		var held, id string
		err := rows.Scan(&held, &id)
		events[held] = append(events[held], id)
		return err
	}, `SELECT DISTINCT workspace, event_id FROM stripe_events WHERE startsWith(workspace, ?)
AND `+mentioning+` AND event_id IN (SELECT event_id FROM stripe_events WHERE workspace = ?)`,
		schemas.HeldPrefix, array(r.Quoted), array(objects), workspace)
	if err != nil || len(events) == 0 {
		return err
	}
	for held, ids := range events {
		err := s.Exec(ctx, "ALTER TABLE stripe_events DELETE WHERE workspace = ? AND has(?, event_id)", held, array(ids))
		if err != nil {
			return err
		}
	}
	held := slices.Sorted(maps.Keys(events))
	for _, table := range []string{"facts", "ledger", "ledger_log", "revenue"} {
		err := s.Exec(ctx, "ALTER TABLE "+table+" DELETE WHERE has(?, workspace) AND "+
			"(has(?, customer_id) OR has(?, external_customer_id) OR has(?, object_id))", array(held), array(r.Values),
			array(r.Values), array(objects))
		if err != nil {
			return err
		}
	}
	return deleteEdges(ctx, s, held, r.Nodes)
}
