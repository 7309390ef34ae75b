package clickhouse

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Names returns what the nodes lead to, and of what clicks and browsers reported under a name the
// first: every edge of a sale or lead, and of a shared name those to other names, cut where there
// are more than identity.Most. However many sales and leads share a name, none of them is read.
func (s *Store) Names(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return s.edges(ctx, workspace, nodes, "AND ("+isHour+" OR NOT ("+toSales+"))")
}

// Neighbours is Names, and returns the sales and leads under a shared name too, cut in the same
// way.
func (s *Store) Neighbours(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return s.edges(ctx, workspace, nodes, "")
}

// AllEdges returns every edge that begins at one of the nodes, however many there are, and of what
// clicks and browsers reported under a name the first.
func (s *Store) AllEdges(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	edges, err := s.identities(ctx, workspace, nodes)
	if err != nil {
		return nil, err
	}
	firsts, err := s.FirstNames(ctx, workspace, nodes)
	return append(edges, firsts...), err
}

// EdgesAfter returns up to limit edges of one name, in order of their targets, from the one behind
// after on.
func (s *Store) EdgesAfter(ctx context.Context, workspace string, name, after identity.Node,
	limit int) ([]identity.Edge, error) {
	return Collect(ctx, s, "identities", `SELECT key, target, source, at, carried FROM identities FINAL
WHERE workspace = ? AND key = ? AND target > ? ORDER BY target LIMIT ?`,
		[]any{workspace, string(name), string(after), limit}, scanEdge)
}

// Deferred returns the requests that are not finished, and not for later.
func (s *Store) Deferred(ctx context.Context) ([]Deferred, error) {
	return Collect(ctx, s, "deferred_names", `SELECT workspace, name, request, at FROM deferred_names FINAL
WHERE NOT done AND at <= now64(3) ORDER BY at`, nil, func(rows driver.Rows, d *Deferred) error {
		return rows.Scan(&d.Workspace, (*string)(&d.Name), &d.Request, &d.At)
	})
}

// within is a condition of SQL: a column names a node of one of the types. ClickHouse finds ranges
// of the table's key by it.
func within(column string, types ...string) string {
	var any []string
	for _, t := range types {
		any = append(any, column+" >= '"+t+":' AND "+column+" < '"+t+";'")
	}
	return strings.Join(any, " OR ")
}

var (
	isHour  = within("key", identity.PaymentHour, identity.InvoiceHour)
	toSales = within("target", identity.Object, identity.Movement, identity.Dispute, identity.Lead)
)

// edges returns all edges of the sales and leads among the nodes, those of shared names that fulfil
// a condition, and what was reported first.
func (s *Store) edges(ctx context.Context, workspace string, nodes []identity.Node, condition string) ([]identity.Edge,
	error) {
	var own, shared []identity.Node
	for _, n := range nodes {
		if n.Standalone() {
			own = append(own, n)
		} else {
			shared = append(shared, n)
		}
	}
	var edges, ofShared, firsts []identity.Edge
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.Go(func() (err error) { edges, err = s.identities(lctx, workspace, own); return err })
	lookups.Go(func() (err error) { ofShared, err = s.cutEdges(lctx, workspace, shared, condition); return err })
	lookups.Go(func() (err error) { firsts, err = s.FirstNames(lctx, workspace, shared); return err })
	if err := lookups.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(edges, ofShared, firsts), nil
}

// edgesOf are the edges of a name to names of one type.
type edgesOf struct {
	name identity.Node
	typ  string
}

// cutEdges looks the edges of shared names up. Where one has more than identity.Most to one type,
// it asks how many, and, of clicks, for the other end of them.
func (s *Store) cutEdges(ctx context.Context, workspace string, nodes []identity.Node, condition string) (
	[]identity.Edge, error,
) {
	found, err := s.firstEdges(ctx, workspace, nodes, condition)
	if err != nil || len(found) <= identity.Most {
		return found, err
	}
	var (
		mu   sync.Mutex // guards many
		many []identity.Edge
	)
	kept := found[:0]
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.SetLimit(lookupsAtOnce)
	for len(found) > 0 { // those of a name to one type lie beside each other
		of, n := edgesOf{found[0].A, found[0].B.Type()}, 1
		for n < len(found) && found[n].A == of.name && found[n].B.Type() == of.typ {
			n++
		}
		first := found[:n]
		found = found[n:]
		if n <= identity.Most {
			kept = append(kept, first...)
			continue
		}
		first = slices.Clone(first) // what is kept is written over it
		lookups.Go(func() error {
			cut, err := s.cut(lctx, workspace, of, first)
			mu.Lock()
			defer mu.Unlock()
			many = append(many, cut...)
			return err
		})
	}
	err = lookups.Wait()
	return append(kept, many...), err
}

// cut cuts edges of which there are too many; first are some with the smallest targets. ClickHouse
// reads all rows of the name, which are sorted, and keeps none: FINAL counts what is stored twice
// once. A set of a million distinct targets takes seven times as long.
func (s *Store) cut(ctx context.Context, workspace string, of edgesOf, first []identity.Edge) ([]identity.Edge, error) {
	type counted struct{ n uint64 }
	from := " FROM identities FINAL WHERE workspace = ? AND key = ? AND " + within("target", of.typ)
	args := []any{workspace, string(of.name)}
	total, err := Collect(ctx, s, "identities", "SELECT count()"+from, args,
		func(rows driver.Rows, c *counted) error { return rows.Scan(&c.n) })
	if err != nil {
		return nil, err
	}
	var last []identity.Edge
	if of.typ == identity.Click {
		last, err = Collect(ctx, s, "identities", "SELECT key, target, source, at, carried"+from+
			" ORDER BY target DESC LIMIT "+strconv.Itoa(identity.Most), args, scanEdge)
	}
	return identity.Cut(first, last, total[0].n), err
}

// firstEdges returns the edges that fulfil a condition, in the order of their targets, of each name
// and type of target at most one more than identity.Most.
func (s *Store) firstEdges(ctx context.Context, workspace string, nodes []identity.Node, condition string) (
	[]identity.Edge, error,
) {
	return Lookup(ctx, s, "identities", nodes, func(chunk []identity.Node) (string, []any) {
		keys, names := list(chunk)
		return `SELECT key, target, source, at, carried FROM identities FINAL
WHERE workspace = ? AND key IN (` + keys + `) ` + condition + ` ORDER BY key, target
LIMIT ` + strconv.Itoa(identity.Most+1) + ` BY key, substring(target, 1, position(target, ':'))`,
			[]any{workspace, names}
	}, scanEdge)
}

// separator stands between the keys of a list: ASCII's unit separator.
const separator = "\x1f"

// list returns an expression of SQL, an array of the keys, and its argument. It is one text, which
// a function cuts: ClickHouse parses that in a fraction of the time that as many literals take. A
// key that holds the separator needs the literals.
func list[K ~string](keys []K) (expression string, argument any) {
	texts := make([]string, len(keys))
	literals := false
	for i, k := range keys {
		texts[i] = string(k)
		literals = literals || strings.Contains(texts[i], separator)
	}
	if literals {
		return "?", texts
	}
	return `splitByChar('\x1f', ?)`, strings.Join(texts, separator)
}

// FirstNames returns what was reported first under those of the names that a click or a browser may
// report something of.
func (s *Store) FirstNames(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	var names []identity.Node
	for _, n := range nodes {
		switch n.Type() {
		case identity.Reference, identity.Affiliate, identity.Public:
			names = append(names, n)
		}
	}
	return Lookup(ctx, s, "first_names", names, func(chunk []identity.Node) (string, []any) {
		keys, argument := list(chunk)
		return `SELECT name, target, source, at FROM first_names FINAL
WHERE workspace = ? AND name IN (` + keys + `)`, []any{workspace, argument}
	}, func(rows driver.Rows, e *identity.Edge) error {
		return rows.Scan((*string)(&e.A), (*string)(&e.B), &e.Source, &e.At)
	})
}

// sorted ends a lookup whose rows are all needed: they are sorted after they were read. To read each
// part in the order of its key is dearer, unless a limit lets it end early.
const sorted = " SETTINGS optimize_read_in_order = 0"

func (s *Store) identities(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return Lookup(ctx, s, "identities", nodes, func(chunk []identity.Node) (string, []any) {
		keys, names := list(chunk)
		return `SELECT key, target, source, at, carried FROM identities FINAL
WHERE workspace = ? AND key IN (` + keys + `) ORDER BY key, target` + sorted, []any{workspace, names}
	}, scanEdge)
}

// Bounds of one lookup of named clicks.
const (
	clickGap       = time.Minute // between two ids begins another range
	maxClickRanges = 100
	maxNamedClicks = 10_000 // in the ranges, of the batch or not
)

// NamedClicks returns those of the clicks that some edge begins at: sales and leads that came
// before their click. Most batches have none, and one query says so, however large they are: ids
// are ordered by time, so that those of a batch lie in one short range of the key, and a few
// stragglers in ranges of their own. Where that would read too much, the ids are asked for one by
// one.
func (s *Store) NamedClicks(
	ctx context.Context, workspace string, ids []schemas.ClickID,
) ([]schemas.ClickID, error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, schemas.ClickID.Compare)
	ids = slices.Compact(ids)
	named, complete, err := s.namedInRanges(ctx, workspace, clickRanges(ids))
	if err == nil && !complete {
		named, err = Lookup(ctx, s, "identities", ids, func(chunk []schemas.ClickID) (string, []any) {
			names := make([]string, len(chunk))
			for i, id := range chunk {
				names[i] = clickKey(id)
			}
			keys, argument := list(names)
			return `SELECT DISTINCT key FROM identities WHERE workspace = ? AND key IN (` + keys + `)`,
				[]any{workspace, argument}
		}, scanClickKey)
	}
	return slices.DeleteFunc(named, func(id schemas.ClickID) bool {
		_, ours := slices.BinarySearchFunc(ids, id, schemas.ClickID.Compare)
		return !ours
	}), err
}

// clickRange is the first and the last id of a range.
type clickRange struct{ first, last schemas.ClickID }

// clickRanges cuts sorted ids where a gap in time is.
func clickRanges(ids []schemas.ClickID) []clickRange {
	var ranges []clickRange
	for _, id := range ids {
		if n := len(ranges); n > 0 && id.Time().Sub(ranges[n-1].last.Time()) <= clickGap {
			ranges[n-1].last = id
		} else {
			ranges = append(ranges, clickRange{id, id})
		}
	}
	return ranges
}

// namedInRanges returns the named clicks in the ranges, and whether these are all.
func (s *Store) namedInRanges(ctx context.Context, workspace string, ranges []clickRange) (
	named []schemas.ClickID, complete bool, err error,
) {
	switch {
	case len(ranges) == 0:
		return nil, true, nil
	case len(ranges) > maxClickRanges:
		return nil, false, nil
	}
	conditions := make([]string, len(ranges))
	args := []any{workspace}
	for i, r := range ranges {
		conditions[i] = "key BETWEEN ? AND ?"
		args = append(args, clickKey(r.first), clickKey(r.last))
	}
	named, err = Collect(ctx, s, "identities", `SELECT DISTINCT key FROM identities
WHERE workspace = ? AND (`+strings.Join(conditions, " OR ")+`) LIMIT ?`, append(args, maxNamedClicks+1), scanClickKey)
	return named, len(named) <= maxNamedClicks, err
}

func clickKey(id schemas.ClickID) string { return string(identity.New(identity.Click, id.String())) }

func scanClickKey(rows driver.Rows, id *schemas.ClickID) error {
	var key identity.Node
	err := rows.Scan((*string)(&key))
	*id, _ = schemas.ParseClickID(key.Value())
	return err
}

// Carried returns those of the edges that are known to have reached every sale that they concern,
// as they are stored.
func (s *Store) Carried(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error) {
	return Lookup(ctx, s, "identities", edges, func(chunk []identity.Edge) (string, []any) {
		as, bs := make([]identity.Node, len(chunk)), make([]identity.Node, len(chunk))
		for i, e := range chunk {
			as[i], bs[i] = e.A, e.B
		}
		keys, names := list(as)
		targets, others := list(bs)
		return `SELECT key, target, source, at, carried FROM identities FINAL
WHERE workspace = ? AND (key, target) IN (arrayZip(` + keys + `, ` + targets + `)) AND carried`,
			[]any{workspace, names, others}
	}, scanEdge)
}

func scanEdge(rows driver.Rows, e *identity.Edge) error {
	return rows.Scan((*string)(&e.A), (*string)(&e.B), &e.Source, &e.At, &e.Carried)
}

// CreditedBy returns the sales and leads of workspace that are credited to a click of one of the
// links or affiliates, sorted.
func (s *Store) CreditedBy(ctx context.Context, workspace string, links, affiliates []string) ([]identity.Node, error) {
	credited := map[identity.Node]bool{}
	for column, values := range map[string][]string{"link_id": links, "affiliate_id": affiliates} {
		type row struct{ sale, lead string }
		rows, err := Lookup(ctx, s, "ledger", values, func(chunk []string) (string, []any) {
			condition := " WHERE workspace = ? AND " + column + " IN (?) AND click_id != toFixedString('', 16)"
			return `SELECT sale_id, '' FROM ledger FINAL` + condition + ` AND status != 'superseded' GROUP BY sale_id
UNION ALL SELECT '', lower(hex(lead_id)) FROM leads FINAL` + condition, []any{workspace, chunk, workspace, chunk}
		}, func(rows driver.Rows, r *row) error { return rows.Scan(&r.sale, &r.lead) })
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.lead != "" {
				credited[identity.New(identity.Lead, r.lead)] = true
			} else { // a refund or dispute whose payment is not known is a sale of its own
				for _, n := range identity.Unsorted(r.sale) {
					credited[n] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(credited)), nil
}

// Account is a Stripe account whose money in one mode is in the ledger, and the workspace that it
// is booked in.
type Account struct {
	ID, Workspace string
	Livemode      bool
}

// Accounts returns every Stripe account that the ledger has entries of, other than held ones.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	return Collect(ctx, s, "ledger", `SELECT DISTINCT account, workspace, livemode FROM ledger
WHERE NOT startsWith(workspace, ?)`, []any{schemas.HeldPrefix},
		func(rows driver.Rows, a *Account) error { return rows.Scan(&a.ID, &a.Workspace, &a.Livemode) })
}

// LedgerRules returns the number of the rules by which the ledger is booked, and since when. What
// was noted last counts: after an upgrade was taken back these are the older rules. 0 is a ledger
// from before there were numbers, or one that is being exchanged for that of other rules.
func (s *Store) LedgerRules(ctx context.Context) (rules uint32, since time.Time, err error) {
	_, err = Collect(ctx, s, "ledger_rules", `SELECT argMax(rules, (since, rules)), max(since) FROM ledger_rules`, nil,
		func(rows driver.Rows, _ *struct{}) error { return rows.Scan(&rules, &since) })
	if since.Unix() <= 0 {
		since = time.Time{} // nothing is noted
	}
	return rules, since, err
}

// Facts returns every fact about the Stripe objects, by object.
func (s *Store) Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error) {
	rows, err := Lookup(ctx, s, "facts", objects, func(chunk []string) (string, []any) {
		keys, argument := list(chunk)
		return `SELECT object_id, kind, source, event_id, account, livemode, event_created, received_at, occurred_at,
parent_id, invoice_id, transaction_id, settled, currency, amount, tax, shipping, discount, total, due, captured,
customer_id, external_customer_id, subscription_id, billing_reason, line_ids, line_products, line_net
FROM facts FINAL WHERE workspace = ? AND object_id IN (` + keys + `)
ORDER BY object_id, kind, source, event_id, transaction_id` + sorted, []any{workspace, argument}
	}, func(rows driver.Rows, f *stripe.Fact) error {
		var ids, products []string
		var net []int64
		err := rows.Scan(&f.ObjectID, &f.Kind, &f.Source, &f.EventID, &f.Account, &f.Livemode, &f.CreatedAt,
			&f.ReceivedAt, &f.OccurredAt, &f.ParentID, &f.InvoiceID, &f.TransactionID, &f.Certain, &f.Currency,
			&f.Amount, &f.Tax, &f.Shipping, &f.Discount, &f.Total, &f.Due, &f.Captured,
			&f.CustomerID, &f.ExternalID, &f.SubscriptionID, &f.BillingReason, &ids, &products, &net)
		for n := range ids {
			f.Lines = append(f.Lines, stripe.Line{ID: ids[n], Product: products[n], Net: net[n]})
		}
		return err
	})
	facts := make(map[string][]stripe.Fact)
	for _, f := range rows {
		facts[f.ObjectID] = append(facts[f.ObjectID], f)
	}
	return facts, err
}

// Clicks returns the clicks that are known among the nodes, by node. A click is found in its own
// workspace only: ids are public, because they stand in URLs.
func (s *Store) Clicks(ctx context.Context, workspace string,
	nodes []identity.Node,
) (map[identity.Node]*join.Click, error) {
	rows, err := Lookup(ctx, s, "clicks", nodes, func(chunk []identity.Node) (string, []any) {
		var ids []schemas.ClickID
		for _, n := range chunk {
			if id, ok := schemas.ParseClickID(n.Value()); ok {
				ids = append(ids, id)
			}
		}
		return `SELECT click_id, clicked_at, received_at, vouched, link_id, affiliate_id, program_id, visitor_id,
utm_source, utm_medium, utm_campaign, utm_term, utm_content, channel, country, device
FROM clicks FINAL WHERE workspace = ? AND click_id IN (` + array(ids) + `)`, []any{workspace}
	}, func(rows driver.Rows, c *join.Click) error {
		var id string
		err := rows.Scan(&id, &c.ClickedAt, &c.ReceivedAt, &c.Vouched, &c.LinkID, &c.AffiliateID, &c.ProgramID,
			&c.VisitorID, &c.UTMSource, &c.UTMMedium, &c.UTMCampaign, &c.UTMTerm, &c.UTMContent, &c.Channel, &c.Country,
			&c.Device)
		copy(c.ID[:], id)
		return err
	})
	clicks := make(map[identity.Node]*join.Click, len(rows))
	for i := range rows {
		clicks[identity.New(identity.Click, rows[i].ID.String())] = &rows[i]
	}
	return clicks, err
}

// array returns an expression of SQL, an array of ids of 16 bytes, by which ClickHouse finds them in
// a table's key. Like that of list it is one text, since a literal for each id would cost more than
// the lookup.
func array[T ~[16]byte](ids []T) string {
	const before, after = "reinterpret(unhex('", "'), 'Array(FixedString(16))')"
	text := make([]byte, 0, len(before)+32*len(ids)+len(after))
	text = append(text, before...)
	for i := range ids {
		text = hex.AppendEncode(text, ids[i][:])
	}
	return string(append(text, after...))
}

// NoHash is what a FixedString(16) returns where nothing was stored.
var NoHash = string(make([]byte, 16))

// Leads returns the leads with these ids, as they were received. Their credit is left out, because
// the caller computes it again.
func (s *Store) Leads(ctx context.Context, workspace string, ids [][16]byte) ([]ledger.Lead, error) {
	return Lookup(ctx, s, "leads", ids, func(chunk [][16]byte) (string, []any) {
		return `SELECT lead_id, received_at, occurred_at, external_id, event_name, mode, quantity, livemode, vouched, email_hash,
metadata FROM leads FINAL WHERE workspace = ? AND lead_id IN (` + array(chunk) + `)`, []any{workspace}
	}, func(rows driver.Rows, l *ledger.Lead) error {
		var id, hash string
		err := rows.Scan(&id, &l.ReceivedAt, &l.OccurredAt, &l.ExternalID, &l.EventName, &l.Mode, &l.Quantity, &l.Livemode,
			&l.Vouched, &hash, &l.Metadata)
		l.Workspace = workspace
		copy(l.ID[:], id)
		if hash != NoHash {
			l.EmailHash = hash
		}
		return err
	})
}

// Rates returns every rate that is stored.
func (s *Store) Rates(ctx context.Context) ([]fx.Rate, error) {
	return Collect(ctx, s, "fx_rates", `SELECT currency, date, valid_to, source, usd, fetched_at, fault, revised_at
FROM fx_rates FINAL ORDER BY source, currency, date`, nil, func(rows driver.Rows, r *fx.Rate) error {
		var date, validTo time.Time
		err := rows.Scan(&r.Currency, &date, &validTo, &r.Source, &r.USD, &r.FetchedAt, &r.Fault, &r.RevisedAt)
		r.Date, r.ValidTo = fx.DateOf(date), fx.DateOf(validTo)
		if r.RevisedAt.Unix() == 0 {
			r.RevisedAt = time.Time{}
		}
		return err
	})
}

// RatesVersion returns a text that changes whenever rates are inserted, and may change when
// ClickHouse merges parts.
func (s *Store) RatesVersion(ctx context.Context) (string, error) {
	rows, err := Collect(ctx, s, "fx_rates", `SELECT concat(toString(count()), ' ', toString(max(fetched_at)))
FROM fx_rates`, nil,
		func(rows driver.Rows, version *string) error { return rows.Scan(version) })
	if err != nil {
		return "", err
	}
	return rows[0], nil
}

// FirstDay returns the first day of the ledger and of spend; false while there is neither.
func (s *Store) FirstDay(ctx context.Context) (fx.Date, bool, error) {
	days, err := Collect(ctx, s, "day_rates", `SELECT min(day) FROM revenue HAVING count() > 0
UNION ALL SELECT min(day) FROM spend HAVING count() > 0`, nil,
		func(rows driver.Rows, day *time.Time) error { return rows.Scan(day) })
	if err != nil || len(days) == 0 {
		return 0, false, err
	}
	return fx.DateOf(slices.MinFunc(days, time.Time.Compare)), true, nil
}

// DayCurrencies returns the currencies that day_rates has.
func (s *Store) DayCurrencies(ctx context.Context) ([]string, error) {
	return Collect(ctx, s, "day_rates", "SELECT DISTINCT toString(currency) FROM day_rates", nil,
		func(rows driver.Rows, currency *string) error { return rows.Scan(currency) })
}

// DayRates returns what day_rates has of some currencies.
func (s *Store) DayRates(ctx context.Context, currencies []string) ([]fx.DayRate, error) {
	return Collect(ctx, s, "day_rates", "SELECT currency, day, usd, source FROM day_rates FINAL WHERE currency IN (?)",
		[]any{currencies}, func(rows driver.Rows, r *fx.DayRate) error {
			var day time.Time
			err := rows.Scan(&r.Currency, &day, &r.USD, &r.Source)
			r.Day = fx.DateOf(day)
			return err
		})
}

// Sale names one sale that is to be recomputed.
type Sale struct{ Workspace, ObjectID string }

// Unfinished returns sales that may have become better since they were booked: unattributed
// although something names a click, or without a final rate. since bounds the first kind by the
// event's receipt: a sale that nothing resolves is not recomputed for ever. Beyond limit the choice
// is random, so that no sale waits for ever behind others.
func (s *Store) Unfinished(ctx context.Context, since time.Time, limit int) ([]Sale, error) {
	return paced(ctx, s, &s.ledgerScan, "ledger", `SELECT workspace, sale_id FROM (
SELECT DISTINCT workspace, sale_id FROM ledger FINAL
WHERE status = 'booked' AND amount != 0 AND match_rule = 'none' AND match_key != ''
       AND NOT startsWith(match_key, 'correction:') AND received_at >= ?
   OR status = 'booked' AND amount != 0 AND (fx_source = '' OR NOT fx_final AND day < today()))
ORDER BY rand() LIMIT ?`, []any{since, limit}, ScanSale)
}

// Outdated returns sales with an entry whose rate was revised after the entry was booked. revised
// returns when the rate of a currency on a day was, 0 or a Unix time in seconds. Beyond limit the
// choice is random, as of Unfinished.
func (s *Store) Outdated(ctx context.Context, revised func(currency string, day time.Time) int64, limit int) ([]Sale,
	error) {
	some, err := Collect(ctx, s, "fx_rates", "SELECT max(revised_at) > 0 AS some FROM fx_rates", nil,
		func(rows driver.Rows, some *uint8) error { return rows.Scan(some) })
	if err != nil || some[0] == 0 {
		return nil, err
	}
	type converted struct {
		currency string
		day      time.Time
		revised  int64
	}
	all, err := paced(ctx, s, &s.ratesScan, "ledger", `SELECT currency, day, min(`+revisionOf+`)
FROM ledger FINAL WHERE `+isConverted+` GROUP BY currency, day`, nil, func(rows driver.Rows, c *converted) error {
		return rows.Scan(&c.currency, &c.day, &c.revised)
	})
	var keys []string
	var times clickhouse.ArraySet
	for _, c := range all {
		if at := revised(c.currency, c.day); at > c.revised {
			keys, times = append(keys, c.currency+" "+c.day.Format(time.DateOnly)), append(times, at)
		}
	}
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return Collect(ctx, s, "ledger", `SELECT workspace, sale_id FROM (
SELECT DISTINCT workspace, sale_id FROM ledger FINAL
WHERE `+isConverted+` AND transform(concat(currency, ' ', toString(day)), ?, ?, 0) > `+revisionOf+`)
ORDER BY rand() LIMIT ?`, []any{Strings(keys), times, limit}, ScanSale)
}

// isConverted is the condition of an entry that has a rate which may be revised, and revisionOf the
// expression of ledger.Version.Revised.
const (
	isConverted = "status = 'booked' AND amount != 0 AND fx_source NOT IN ('', 'usd')"
	revisionOf  = `if(bitAnd(bitShiftRight(version, 124), 1) = 1,
    toInt64(bitAnd(bitShiftRight(version, 2), 65535)) * 86400 + 86399, toInt64(bitAnd(bitShiftRight(version, 2), 4294967295)))`
)

// ScanSale reads a row of workspace and sale_id.
func ScanSale(rows driver.Rows, sale *Sale) error { return rows.Scan(&sale.Workspace, &sale.ObjectID) }

// Outstanding counts the entries that are not as good as they may become.
type Outstanding struct {
	Unconverted uint64 // no rate for their day: in no sum in USD
	Crowded     uint64 // lie near more payments than are compared: no link to an invoice is assumed
	Waiting     uint64 // name a click or affiliate that nothing known answers to
}

// Outstanding counts over the whole ledger.
func (s *Store) Outstanding(ctx context.Context) (Outstanding, error) {
	rows, err := paced(ctx, s, &s.revenueScan, "revenue", `SELECT countIf(status = 'booked' AND amount != 0 AND fx_source = ''),
countIf(status = 'booked' AND amount != 0 AND bitAnd(bitShiftRight(version, 125), 1) = 1),
countIf(status = 'booked' AND amount != 0 AND match_rule = 'none' AND match_key != ''
    AND NOT startsWith(match_key, 'correction:'))
FROM revenue FINAL`, nil,
		func(rows driver.Rows, o *Outstanding) error { return rows.Scan(&o.Unconverted, &o.Crowded, &o.Waiting) })
	if err != nil {
		return Outstanding{}, err
	}
	return rows[0], nil
}

// Unconverted returns what is booked and has no amount in USD, by currency.
func (s *Store) Unconverted(ctx context.Context) ([]fx.Unconverted, error) {
	return Collect(ctx, s, "revenue", `SELECT currency, count(), sum(amount), min(day), max(day) FROM revenue FINAL
WHERE status = 'booked' AND amount != 0 AND fx_source = '' GROUP BY currency ORDER BY currency`, nil,
		func(rows driver.Rows, u *fx.Unconverted) error {
			return rows.Scan(&u.Currency, &u.Entries, &u.Amount, &u.Oldest, &u.Newest)
		})
}

// Erasures returns all erased names.
func (s *Store) Erasures(ctx context.Context) ([]ErasureRow, error) {
	return Collect(ctx, s, "erasures", "SELECT workspace, name, alias, at FROM erasures FINAL", nil,
		func(rows driver.Rows, r *ErasureRow) error {
			var name string
			err := rows.Scan(&r.Workspace, &name, &r.Alias, &r.At)
			copy(r.Name[:], name)
			return err
		})
}
