package erase

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// ErrNobody is returned when nothing is stored under the names.
var ErrNobody = errors.New("nothing is known by these names")

// Sync waits until the servers have what others took, of the tables in which an erasure finds
// names. Call it before Find, if the person is to be erased: a server that lags does not know the
// latest names and events, and they would stay.
func Sync(ctx context.Context, store *clickhouse.Store) error {
	return store.Sync(ctx, "identities", "first_names", "deferred_names", "erasures", "clicks", "page_views", "leads",
		"stripe_events", "facts", "ledger", "dead_letters")
}

// Run erases a person. It stores the list of erased names first: records that are consumed from
// then on are stored without them. Then it removes the names from every table. It may be
// interrupted and run again: each name keeps its alias.
func Run(ctx context.Context, store *clickhouse.Store, list *List, p *Person, now time.Time) error {
	if len(p.Names)+len(p.Clicks)+len(p.Visitors) == 0 {
		return ErrNobody
	}
	if err := list.Load(ctx, store); err != nil {
		return err
	}
	var rows []clickhouse.ErasureRow
	add := func(n identity.Node, alias string) {
		if _, known := list.alias(p.Workspace, n); !known {
			rows = append(rows, clickhouse.ErasureRow{Workspace: p.Workspace, Name: hash(p.Workspace, n), Alias: alias,
				At: now})
		}
	}
	for _, n := range p.listed() {
		add(n, newAlias(n))
	}
	for _, n := range p.Objects {
		// A movement's refund has an id of the seller's, which may be another buyer's payment: it is
		// known by its own payment (List.movement).
		if n.Type() == identity.Object || schemas.LooksLikeStripe(n.Value()) {
			add(identity.New(identity.Object, n.Value()), "")
		}
	}
	if err := store.InsertErasures(ctx, rows); err != nil {
		return err
	}
	if err := list.Load(ctx, store); err != nil {
		return err
	}
	return RedactLateArrivals(ctx, store, list, p)
}

// newAlias returns a random name in place of n, none of an e-mail address, a click or a visitor. It
// keeps the form of Stripe's customers: they are of one mode, and the seller's own names of both
// (identity.TestMode).
func newAlias(n identity.Node) string {
	switch n.Type() {
	case identity.Email, identity.Click, visitorType:
		return ""
	}
	alias := "erased_" + strings.ToLower(rand.Text()[:16])
	for _, form := range []string{"cus_", "acct_"} {
		if n.Type() == identity.Customer && strings.HasPrefix(n.Value(), form) {
			return form + alias
		}
	}
	return alias
}

// RedactLateArrivals removes a person who is on the list already from every table: from rows that a
// processor has inserted since, because its list was older.
func RedactLateArrivals(ctx context.Context, store *clickhouse.Store, list *List, p *Person) error {
	if err := Sync(ctx, store); err != nil {
		return err
	}
	redaction := p.redaction(list)
	if len(redaction.Quoted)+len(p.Objects) > 0 {
		if err := redactEvents(ctx, store, list, p, redaction.Quoted); err != nil {
			return err
		}
		if err := deleteHeld(ctx, store, p.Workspace, values(p.Objects), redaction); err != nil {
			return fmt.Errorf("delete what was held: %w", err)
		}
	}
	if err := renameEdges(ctx, store, p, redaction); err != nil {
		return err
	}
	if err := redact(ctx, store, p.Workspace, redaction); err != nil {
		return err
	}
	if err := redactReasons(ctx, store, p.Workspace, p.Objects, redaction); err != nil {
		return err
	}
	if len(p.Clicks) > 0 {
		if err := redactClicks(ctx, store, p.Workspace, p.Clicks); err != nil {
			return err
		}
		if err := recountClicks(ctx, store, p.Workspace, p.Clicks); err != nil {
			return err
		}
	}
	// Last: an erasure that is killed and run again finds the rest by the names.
	return forget(ctx, store, p.Workspace, redaction)
}

// Again erases once more who has been erased since the database before copied the list of erased
// names. What was booked by that copy has become the live tables, and may have the names. keys are
// those of List.
func Again(ctx context.Context, store *clickhouse.Store, keys func(string) *stripe.Keys, before string) error {
	if err := store.Sync(ctx, clickhouse.Table(before, "erasures")); err != nil {
		return err
	}
	if err := Sync(ctx, store); err != nil {
		return err
	}
	list := &List{Keys: keys}
	if err := list.Load(ctx, store); err != nil {
		return fmt.Errorf("read erased names: %w", err)
	}
	back, err := erasedSince(ctx, store, before)
	if err != nil {
		return fmt.Errorf("find erased names: %w", err)
	}
	for workspace, names := range back {
		var from []identity.Node
		var visitors []string
		for _, n := range names {
			switch n.Type() {
			case visitorType:
				visitors = append(visitors, n.Value())
			case identity.Customer, identity.External, identity.Email, identity.Click:
				from = append(from, n)
			}
		}
		person, err := Find(ctx, store, workspace, from, visitors)
		if err != nil {
			return err
		}
		if err := RedactLateArrivals(ctx, store, list, person); err != nil {
			return err
		}
	}
	return nil
}

func (p *Person) redaction(list *List) redaction {
	r := redaction{Visitors: p.Visitors}
	rename := func(from identity.Node, to string) {
		r.Nodes, r.NodeAliases = append(r.Nodes, string(from)), append(r.NodeAliases, to)
	}
	for _, n := range p.Names {
		if n.Type() == identity.Email {
			rename(n, "")
			rename(n.InTestMode(), "")
			continue
		}
		alias, _ := list.alias(p.Workspace, n)
		r.Values, r.Aliases = append(r.Values, n.Value()), append(r.Aliases, alias)
		own, replaced := n, identity.New(n.Type(), alias)
		first, firstReplaced := identity.New(identity.FirstSale, n.Value()), identity.New(identity.FirstSale, alias)
		rename(own, string(replaced))
		rename(first, string(firstReplaced))
		rename(identity.PublicName(own), string(identity.PublicName(replaced)))
		rename(own.InTestMode(), string(replaced.InTestMode()))
		rename(first.InTestMode(), string(firstReplaced.InTestMode()))
		if n.Type() == identity.External { // a bare client_reference_id is a reference, whatever it turns out to be
			reference, replaced := identity.New(identity.Reference, n.Value()), identity.New(identity.Reference, alias)
			rename(reference, string(replaced))
			rename(identity.PublicName(reference), string(identity.PublicName(replaced)))
		}
		r.Quoted = append(r.Quoted, quoted(n.Value())...)
	}
	for _, v := range p.Visitors {
		rename(identity.New(visitorType, v), "")
	}
	for _, l := range p.Leads {
		r.Leads = append(r.Leads, l.Value())
	}
	return r
}

// quoted returns a value in the ways that a JSON body may have it: letters beyond ASCII and the
// characters of HTML as they are, or escaped.
func quoted(value string) []string {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a string can always be encoded
	text := strings.TrimSpace(plain.String())
	var ascii strings.Builder
	for _, c := range text {
		switch {
		case c < utf8.RuneSelf:
			ascii.WriteRune(c)
		default:
			for _, unit := range utf16.AppendRune(nil, c) {
				fmt.Fprintf(&ascii, `\u%04x`, unit)
			}
		}
	}
	html, _ := json.Marshal(value)
	forms := []string{text, ascii.String(), string(html)}
	slices.Sort(forms)
	return slices.Compact(forms)
}

func redactEvents(ctx context.Context, store *clickhouse.Store, list *List, p *Person, quoted []string) error {
	workspace := p.Workspace
	events, err := eventsMentioning(ctx, store, workspace, quoted, values(p.Objects))
	if err != nil {
		return fmt.Errorf("find events: %w", err)
	}
	var rows []clickhouse.EventRow
	var ids []string
	for _, r := range events {
		if redacted, changed := list.Event(workspace, r.StripeEvent); changed {
			ids = append(ids, r.ID)
			r.StripeEvent = redacted
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := store.InsertEvents(ctx, rows); err != nil {
		return err
	}
	return deleteOriginals(ctx, store, workspace, ids)
}

// renameEdges stores the person's edges under the aliases, and those of the payments to hours,
// whose names contain the customer. Those of an e-mail address are dropped: a later lead or sale
// could only repeat them with the address.
func renameEdges(ctx context.Context, store *clickhouse.Store, p *Person, r redaction) error {
	aliases := make(map[identity.Node]identity.Node, len(r.Nodes))
	for i, n := range r.Nodes {
		aliases[identity.Node(n)] = identity.Node(r.NodeAliases[i])
	}
	edges, err := store.AllEdges(ctx, p.Workspace, slices.Concat(slices.Sorted(maps.Keys(aliases)), p.Objects))
	if err != nil {
		return err
	}
	var rows, firsts []clickhouse.EdgeRow
	for _, e := range edges {
		original := e
		said := e.A.Type() == identity.Public && e.B != identity.OfPublic(e.A) // by a browser, and in first_names
		e.A, e.B = p.renamed(e.A, e.At, aliases), p.renamed(e.B, e.At, aliases)
		switch row := (clickhouse.EdgeRow{Workspace: p.Workspace, Edge: e}); {
		case e == original || e.A == "" || e.B == "":
		case said:
			firsts = append(firsts, row)
		default:
			rows = append(rows, row)
		}
	}
	if err := store.InsertFirstNames(ctx, firsts); err != nil {
		return err
	}
	return store.InsertEdges(ctx, rows)
}

// renamed returns what a name of an edge of the given time is after the erasure.
func (p *Person) renamed(n identity.Node, at time.Time, aliases map[identity.Node]identity.Node) identity.Node {
	if alias, erased := aliases[n]; erased {
		n = alias
	}
	if n.Type() == identity.Again {
		if alias, erased := aliases[identity.AgainOf(n)]; erased {
			n = identity.NewAgain(at, alias)
		}
	}
	for _, name := range p.Names {
		if name.Type() == identity.Customer {
			n = n.OfCustomer(name.Value(), aliases[name].Value())
		}
	}
	return n
}

// EmailNode returns the node of a hashed e-mail address.
func EmailNode(hashed []byte) identity.Node {
	return identity.New(identity.Email, hex.EncodeToString(hashed))
}
