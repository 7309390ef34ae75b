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

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Edges gives every edge of workspace that begins at one of the nodes.
func (s *Store) Edges(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	type ends struct{ a, b identity.Node }
	seen := make(map[ends]bool)
	var edges []identity.Edge
	err := Lookup(ctx, s, "identities", nodes, func(chunk []identity.Node) (string, []any) {
		keys := make([]string, len(chunk))
		for i, n := range chunk {
			keys[i] = string(n)
		}
		return `SELECT key, target, source, at, carried FROM identities FINAL WHERE workspace = ? AND key IN (?) ORDER BY key, target`, []any{workspace, keys}
	}, func(rows driver.Rows) error {
		var a, b string
		var e identity.Edge
		if err := rows.Scan(&a, &b, &e.Source, &e.At, &e.Carried); err != nil {
			return err
		}
		e.A, e.B = identity.Node(a), identity.Node(b)
		if k := (ends{e.A, e.B}); !seen[k] {
			seen[k] = true
			edges = append(edges, e)
		}
		return nil
	})
	return edges, err
}

// Carried gives those of the edges that are known to have been carried to every sale that they concern, as they are stored.
func (s *Store) Carried(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error) {
	type ends struct{ a, b identity.Node }
	seen := make(map[ends]bool)
	var carried []identity.Edge
	err := Lookup(ctx, s, "identities", edges, func(chunk []identity.Edge) (string, []any) {
		keys := make([]string, len(chunk))
		pairs := make([]clickhouse.GroupSet, len(chunk))
		for i, e := range chunk {
			keys[i] = string(e.A)
			pairs[i] = clickhouse.GroupSet{Value: []any{string(e.A), string(e.B)}}
		}
		return `SELECT key, target, source, at FROM identities FINAL WHERE workspace = ? AND key IN (?) AND (key, target) IN (?) AND carried`, []any{workspace, keys, pairs}
	}, func(rows driver.Rows) error {
		var a, b string
		e := identity.Edge{Carried: true}
		if err := rows.Scan(&a, &b, &e.Source, &e.At); err != nil {
			return err
		}
		e.A, e.B = identity.Node(a), identity.Node(b)
		if k := (ends{e.A, e.B}); !seen[k] {
			seen[k] = true
			carried = append(carried, e)
		}
		return nil
	})
	return carried, err
}

// SalesByLink gives the sales of workspace that are credited to a click of one of the links.
func (s *Store) SalesByLink(ctx context.Context, workspace string, links []string) ([]string, error) {
	seen := make(map[string]bool)
	var sales []string
	err := Lookup(ctx, s, "ledger", links, func(chunk []string) (string, []any) {
		return `SELECT DISTINCT sale_id FROM ledger FINAL WHERE workspace = ? AND link_id IN (?) AND status != 'superseded'`, []any{workspace, chunk}
	}, func(rows driver.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if !seen[id] {
			seen[id] = true
			sales = append(sales, id)
		}
		return nil
	})
	return sales, err
}

// Account is a Stripe account whose money in one mode is in the ledger, and the workspace that it is booked in.
type Account struct {
	ID, Workspace string
	Livemode      bool
}

// Accounts returns every Stripe account that the ledger has money of.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	seen := make(map[Account]bool) // a lookup that is tried again begins anew
	err := Lookup(ctx, s, "ledger", []int{0}, func([]int) (string, []any) {
		return `SELECT DISTINCT account, workspace, livemode FROM ledger`, nil
	}, func(rows driver.Rows) error {
		var a Account
		if err := rows.Scan(&a.ID, &a.Workspace, &a.Livemode); err != nil {
			return err
		}
		seen[a] = true
		return nil
	})
	return slices.Collect(maps.Keys(seen)), err
}

// Facts gives every fact that is booked under one of the Stripe objects, by object.
func (s *Store) Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error) {
	type identity struct{ object, kind, source, event string }
	seen := make(map[identity]bool)
	facts := make(map[string][]stripe.Fact)
	err := Lookup(ctx, s, "facts", objects, func(chunk []string) (string, []any) {
		return `SELECT object_id, kind, source, event_id, account, livemode, event_created, received_at, occurred_at, parent_id, settled,
currency, amount, tax, shipping, discount, customer_id, external_customer_id, subscription_id, billing_reason
FROM facts FINAL WHERE workspace = ? AND object_id IN (?) ORDER BY object_id, kind, source, event_id`, []any{workspace, chunk}
	}, func(rows driver.Rows) error {
		var f stripe.Fact
		if err := rows.Scan(&f.ObjectID, &f.Kind, &f.Source, &f.EventID, &f.Account, &f.Livemode, &f.CreatedAt, &f.ReceivedAt, &f.OccurredAt, &f.ParentID, &f.Settled,
			&f.Currency, &f.Amount, &f.Tax, &f.Shipping, &f.Discount, &f.CustomerID, &f.ExternalID, &f.SubscriptionID, &f.BillingReason); err != nil {
			return err
		}
		if k := (identity{f.ObjectID, f.Kind, f.Source, f.EventID}); !seen[k] {
			seen[k] = true
			facts[f.ObjectID] = append(facts[f.ObjectID], f)
		}
		return nil
	})
	return facts, err
}

// Clicks gives the clicks that are known among the nodes, by node. A click matches within its workspace only: ids are public,
// they stand in URLs.
func (s *Store) Clicks(ctx context.Context, workspace string, nodes []identity.Node) (map[identity.Node]*join.Click, error) {
	clicks := make(map[identity.Node]*join.Click, len(nodes))
	err := Lookup(ctx, s, "clicks", nodes, func(chunk []identity.Node) (string, []any) {
		var ids strings.Builder
		for _, n := range chunk {
			id, ok := schemas.ParseClickID(n.Value())
			if !ok {
				continue
			}
			if ids.Len() > 0 {
				ids.WriteByte(',')
			}
			ids.WriteString("unhex('" + hex.EncodeToString(id[:]) + "')")
		}
		if ids.Len() == 0 {
			ids.WriteString("''")
		}
		return `SELECT click_id, clicked_at, received_at, link_id, affiliate_id, program_id, visitor_id,
utm_source, utm_medium, utm_campaign, utm_term, utm_content, channel, country, device
FROM clicks FINAL WHERE click_id IN (` + ids.String() + `) AND workspace = ?`, []any{workspace}
	}, func(rows driver.Rows) error {
		var id string
		c := new(join.Click)
		if err := rows.Scan(&id, &c.ClickedAt, &c.ReceivedAt, &c.LinkID, &c.AffiliateID, &c.ProgramID, &c.VisitorID,
			&c.UTMSource, &c.UTMMedium, &c.UTMCampaign, &c.UTMTerm, &c.UTMContent, &c.Channel, &c.Country, &c.Device); err != nil {
			return err
		}
		copy(c.ID[:], id)
		clicks[identity.New(identity.Click, c.ID.String())] = c
		return nil
	})
	return clicks, err
}

// NoHash is what a FixedString(16) gives back where nothing was stored.
var NoHash = string(make([]byte, 16))

// Leads gives the leads with these ids, as they were told: who brought them is found anew.
func (s *Store) Leads(ctx context.Context, workspace string, ids [][16]byte) ([]ledger.Lead, error) {
	found := make(map[[16]byte]ledger.Lead, len(ids))
	err := Lookup(ctx, s, "leads", ids, func(chunk [][16]byte) (string, []any) {
		list := make([]string, len(chunk))
		for i, id := range chunk {
			list[i] = "unhex('" + hex.EncodeToString(id[:]) + "')"
		}
		return `SELECT lead_id, received_at, external_id, event_name, mode, quantity, email_hash, metadata
FROM leads FINAL WHERE workspace = ? AND lead_id IN (` + strings.Join(list, ",") + `)`, []any{workspace}
	}, func(rows driver.Rows) error {
		l := ledger.Lead{Workspace: workspace}
		var id, hash string
		if err := rows.Scan(&id, &l.ReceivedAt, &l.ExternalID, &l.EventName, &l.Mode, &l.Quantity, &hash, &l.Metadata); err != nil {
			return err
		}
		copy(l.ID[:], id)
		if hash != NoHash {
			l.EmailHash = hash
		}
		found[l.ID] = l
		return nil
	})
	leads := make([]ledger.Lead, 0, len(found))
	for _, l := range found {
		leads = append(leads, l)
	}
	return leads, err
}

// Rates returns every rate ever kept.
func (s *Store) Rates(ctx context.Context) ([]fx.Rate, error) {
	type key struct {
		currency, source string
		date             fx.Date
	}
	seen := make(map[key]bool)
	var rates []fx.Rate
	err := Lookup(ctx, s, "fx_rates", []int{0}, func([]int) (string, []any) {
		return `SELECT currency, date, valid_to, source, usd, fetched_at, fault FROM fx_rates FINAL ORDER BY source, currency, date`, nil
	}, func(rows driver.Rows) error {
		var r fx.Rate
		var date, validTo time.Time
		if err := rows.Scan(&r.Currency, &date, &validTo, &r.Source, &r.USD, &r.FetchedAt, &r.Fault); err != nil {
			return err
		}
		r.Date, r.ValidTo = fx.DateOf(date), fx.DateOf(validTo)
		if k := (key{r.Currency, r.Source, r.Date}); !seen[k] {
			seen[k] = true
			rates = append(rates, r)
		}
		return nil
	})
	return rates, err
}

// RatesVersion returns what changes whenever rates are inserted. It may also change without that, when
// ClickHouse merges parts.
func (s *Store) RatesVersion(ctx context.Context) (string, error) {
	var version string
	err := Lookup(ctx, s, "fx_rates", []int{0}, func([]int) (string, []any) {
		return `SELECT concat(toString(count()), ' ', toString(max(fetched_at))) FROM fx_rates`, nil
	}, func(rows driver.Rows) error { return rows.Scan(&version) })
	return version, err
}

// Sale names one sale for a second look.
type Sale struct{ Workspace, ObjectID string }

// Unfinished gives sales that may have become better since they were booked: unattributed although something names a
// click, without a final rate, or held for longer than settle. since bounds the first kind by the event's receipt: what
// nobody ever resolves is not looked at for ever. Beyond limit the choice is random, so that none waits for ever behind others.
func (s *Store) Unfinished(ctx context.Context, since time.Time, settle time.Duration, limit int) ([]Sale, error) {
	seen := make(map[Sale]bool)
	var sales []Sale
	err := Lookup(ctx, s, "ledger", []int{0}, func([]int) (string, []any) {
		return `SELECT workspace, sale_id FROM (SELECT DISTINCT workspace, sale_id FROM ledger FINAL
WHERE status = 'held' AND received_at < now64(3) - toIntervalSecond(?)
   OR status = 'booked' AND match_rule = 'none' AND match_key != '' AND received_at >= ?
   OR status = 'booked' AND amount != 0 AND (fx_source = '' OR NOT fx_final AND day < today()))
ORDER BY rand() LIMIT ?`, []any{int64(settle.Seconds()), since, limit}
	}, func(rows driver.Rows) error {
		var sale Sale
		if err := rows.Scan(&sale.Workspace, &sale.ObjectID); err != nil {
			return err
		}
		if !seen[sale] {
			seen[sale] = true
			sales = append(sales, sale)
		}
		return nil
	})
	return sales, err
}

// Outstanding counts the entries that are not as good as they may become.
type Outstanding struct {
	Unconverted uint64 // no rate for their day: in no sum in USD
	Held        uint64 // not certain to be movements of their own: in no sum
	Waiting     uint64 // name a click or affiliate that nothing known answers to
}

// Outstanding counts over the whole ledger.
func (s *Store) Outstanding(ctx context.Context) (Outstanding, error) {
	var o Outstanding
	err := Lookup(ctx, s, "revenue", []int{0}, func([]int) (string, []any) {
		return `SELECT countIf(status = 'booked' AND amount != 0 AND fx_source = ''), countIf(status = 'held'), countIf(status = 'booked' AND match_rule = 'none' AND match_key != '')
FROM revenue FINAL`, nil
	}, func(rows driver.Rows) error { return rows.Scan(&o.Unconverted, &o.Held, &o.Waiting) })
	return o, err
}

// Unconverted lists what is booked and has no USD, by currency.
func (s *Store) Unconverted(ctx context.Context) ([]fx.Unconverted, error) {
	seen := make(map[string]bool)
	var list []fx.Unconverted
	err := Lookup(ctx, s, "revenue", []int{0}, func([]int) (string, []any) {
		return `SELECT currency, count(), sum(amount), min(day), max(day) FROM revenue FINAL
WHERE status = 'booked' AND amount != 0 AND fx_source = '' GROUP BY currency ORDER BY currency`, nil
	}, func(rows driver.Rows) error {
		var u fx.Unconverted
		if err := rows.Scan(&u.Currency, &u.Entries, &u.Amount, &u.Oldest, &u.Newest); err != nil {
			return err
		}
		if !seen[u.Currency] {
			seen[u.Currency] = true
			list = append(list, u)
		}
		return nil
	})
	return list, err
}

// Erasures gives all of them.
func (s *Store) Erasures(ctx context.Context) ([]ErasureRow, error) {
	var list []ErasureRow
	err := Lookup(ctx, s, "erasures", []int{0}, func([]int) (string, []any) {
		list = nil
		return "SELECT workspace, name, alias, at FROM erasures FINAL", nil
	}, func(rows driver.Rows) error {
		var r ErasureRow
		var name string
		if err := rows.Scan(&r.Workspace, &name, &r.Alias, &r.At); err != nil {
			return err
		}
		r.Name = [16]byte([]byte(name))
		list = append(list, r)
		return nil
	})
	return list, err
}
