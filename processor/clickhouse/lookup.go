package clickhouse

import (
	"context"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Deferred returns the requests that are not finished, and not for later. For later is nothing that
// would be so for longer than any request waits: ClickHouse's clock was set back since.
func (s *Store) Deferred(ctx context.Context) ([]Deferred, error) {
	return Collect(ctx, s, "deferred_names", `SELECT workspace, name, request FROM deferred_names FINAL
WHERE NOT done AND (at <= now64(3) OR at > now64(3) + toIntervalSecond(?)) ORDER BY at`,
		[]any{int(longestWait.Seconds())}, func(rows driver.Rows, d *Deferred) error {
			return rows.Scan(&d.Workspace, (*string)(&d.Name), &d.Request)
		})
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

// Facts returns every fact about the Stripe objects, by object. It reads all rows of a fact and drops
// those that have been replaced, which is cheaper than FINAL. FINAL is asked for objects whose rows
// do not say which of them stands (standingFacts).
func (s *Store) Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error) {
	rows, err := s.factRows(ctx, workspace, objects, "")
	if err != nil {
		return nil, err
	}
	facts, unsure := standingFacts(rows)
	final, err := s.factRows(ctx, workspace, unsure, "FINAL")
	for i := range final {
		f := &final[i].Fact
		facts[f.ObjectID] = append(facts[f.ObjectID], *f)
	}
	return facts, err
}

// factRow is one row of a fact. Of several the one with the greatest version stands.
type factRow struct {
	stripe.Fact
	version uint64
}

func (s *Store) factRows(ctx context.Context, workspace string, objects []string, final string) ([]factRow, error) {
	return Lookup(ctx, s, "facts", objects, func(chunk []string) (string, []any) {
		keys, argument := list(chunk)
		return `SELECT object_id, kind, source, event_id, account, livemode, event_created, received_at, occurred_at,
parent_id, invoice_id, transaction_id, settled, currency, amount, tax, shipping, discount, total, due, noted,
captured,
customer_id, external_customer_id, subscription_id, billing_reason, line_ids, line_products, line_net, version
FROM facts ` + final + ` WHERE workspace = ? AND object_id IN (` + keys + `)
ORDER BY object_id, kind, source, event_id, transaction_id` + sorted, []any{workspace, argument}
	}, func(rows driver.Rows, f *factRow) error {
		var ids, products []string
		var net []int64
		err := rows.Scan(&f.ObjectID, &f.Kind, &f.Source, &f.EventID, &f.Account, &f.Livemode, &f.CreatedAt,
			&f.ReceivedAt, &f.OccurredAt, &f.ParentID, &f.InvoiceID, &f.TransactionID, &f.Certain, &f.Currency,
			&f.Amount, &f.Tax, &f.Shipping, &f.Discount, &f.Total, &f.Due, &f.Noted, &f.Captured,
			&f.CustomerID, &f.ExternalID, &f.SubscriptionID, &f.BillingReason, &ids, &products, &net, &f.version)
		for n := range ids {
			f.Lines = append(f.Lines, stripe.Line{ID: ids[n], Product: products[n], Net: net[n]})
		}
		return err
	})
}

// standingFacts returns, of rows sorted by their key, those with the greatest version of each fact,
// by object. unsure are objects of which the rows do not say it: of two rows with one version FINAL
// and merges keep the one that was inserted last.
func standingFacts(rows []factRow) (facts map[string][]stripe.Fact, unsure []string) {
	facts = make(map[string][]stripe.Fact, len(rows))
	for len(rows) > 0 {
		object, certain, n := rows[0].ObjectID, true, 1
		for n < len(rows) && rows[n].ObjectID == object {
			n++
		}
		of := make([]stripe.Fact, 0, n)
		for same := rows[:n]; len(same) > 0; {
			best, equal, i := &same[0], true, 1
			for ; i < len(same) && same[i].Kind == best.Kind && same[i].Source == best.Source &&
				same[i].EventID == best.EventID && same[i].TransactionID == best.TransactionID; i++ {
				switch r := &same[i]; {
				case r.version > best.version:
					best, equal = r, true
				case r.version == best.version:
					equal = equal && reflect.DeepEqual(r.Fact, best.Fact)
				}
			}
			certain = certain && equal
			of, same = append(of, best.Fact), same[i:]
		}
		if certain {
			facts[object] = of
		} else {
			unsure = append(unsure, object)
		}
		rows = rows[n:]
	}
	return facts, unsure
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

// array returns an expression of SQL, an array of ids of 16 bytes, by which ClickHouse finds them
// in a table's key. Like that of list it is one text, since a literal for each id would cost more
// than the lookup.
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
