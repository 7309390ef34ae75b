// Package credit stores a person's decision who is credited with a sale. It is a name of the sale
// like any other: it is only ever added, it is copied by a rebuild, and the last one stands.
package credit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// Source begins the sources of the edges that corrections are.
const Source = "credit"

// Correction is one decision.
type Correction struct {
	Sale     string        // any Stripe id of the sale, or of a refund or dispute of it
	Decision identity.Node // an affiliate, a click, identity.Nobody or identity.Undone
	Reason   string        // why, for people; at most maxReason characters
	Author   string        // who decided it; at most maxAuthor
}

const (
	maxReason = 500
	maxAuthor = 100
)

// ErrUnknown says that a correction names a sale, a click or an affiliate that nothing is known of,
// or takes back corrections of which there are none.
var ErrUnknown = errors.New("nothing is known by this id")

// Decide applies a correction after all that the sale has, also after those of a clock that is
// ahead of now.
func Decide(ctx context.Context, store recompute.Store, r *recompute.Recomputer, workspace string, c Correction,
	now time.Time) error {
	sale, err := saleOf(ctx, store, workspace, strings.TrimSpace(c.Sale))
	if err != nil {
		return err
	}
	corrections, err := correctionsOf(ctx, store, workspace, sale)
	if err != nil {
		return err
	}
	for _, e := range corrections {
		if now.Before(e.At.Add(time.Millisecond)) {
			now = e.At.Add(time.Millisecond)
		}
	}
	return Apply(ctx, store, r, workspace, c, now)
}

// Apply stores a correction, and books the sale with its refunds and disputes. Of several the one
// of the latest time stands.
func Apply(ctx context.Context, store recompute.Store, r *recompute.Recomputer, workspace string, c Correction,
	now time.Time) error {
	source, err := c.source()
	if err != nil {
		return err
	}
	sale, err := saleOf(ctx, store, workspace, strings.TrimSpace(c.Sale))
	if err != nil {
		return err
	}
	corrections, err := correctionsOf(ctx, store, workspace, sale)
	if err != nil {
		return err
	}
	if err := check(ctx, store, workspace, sale, c.Decision, corrections, now); err != nil {
		return err
	}
	at := now.UTC().Truncate(time.Millisecond)
	correction := identity.NewCorrection(at, c.Decision)
	edges := []identity.Edge{{A: sale, B: correction, Source: source, At: at}}
	if typ := c.Decision.Type(); typ == identity.Click || typ == identity.Affiliate {
		edges = append(edges, identity.Edge{A: correction, B: c.Decision, Source: source, At: at})
	}
	return r.Catalogue(ctx, workspace, edges)
}

// correctionsOf returns the decisions on a sale until now, in no order.
func correctionsOf(ctx context.Context, store recompute.Store, workspace string, sale identity.Node) (
	[]identity.Edge, error,
) {
	k, err := recompute.Load(ctx, store, workspace, store.Names, []identity.Node{sale})
	if err != nil {
		return nil, err
	}
	var corrections []identity.Edge
	for _, n := range k.Graph.Group(sale) {
		for _, e := range k.Graph.From(n) {
			if e.B.Type() == identity.Correction {
				corrections = append(corrections, e)
			}
		}
	}
	return corrections, nil
}

// source returns who decided and why, as the source of an edge: one line of text.
func (c Correction) source() (string, error) {
	author, reason := oneLine(strings.ReplaceAll(c.Author, ":", " ")), oneLine(c.Reason)
	switch {
	case reason == "":
		return "", errors.New("the reason is empty (hint: say why, for whoever reads the sale's story)")
	case utf8.RuneCountInString(reason) > maxReason:
		return "", fmt.Errorf("the reason has more than %d characters (hint: name a ticket for the rest)", maxReason)
	case utf8.RuneCountInString(author) > maxAuthor:
		return "", fmt.Errorf("the author has more than %d characters (hint: give a name with --author)", maxAuthor)
	}
	return Source + "." + author + ": " + reason, nil
}

// oneLine leaves out what a terminal would not print, and makes every space one blank.
func oneLine(text string) string {
	printed := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(printed), " ")
}

// check reports why a decision cannot be taken: it names a click or an affiliate that nobody knows,
// or takes back corrections of which there are none.
func check(ctx context.Context, store recompute.Store, workspace string, sale, decision identity.Node,
	corrections []identity.Edge, now time.Time) error {
	switch decision.Type() {
	case identity.Click:
		clicks, err := store.Clicks(ctx, workspace, []identity.Node{decision})
		if err != nil || clicks[decision] != nil {
			return err
		}
		return fmt.Errorf("click %s: %w in workspace %s (hint: a click must be stored before a sale can be credited to it)",
			decision.Value(), ErrUnknown, workspace)
	case identity.Affiliate:
		return checkAffiliate(ctx, store, workspace, decision, now)
	}
	// One that is undone already may be undone again: the first time may have died before it booked.
	if decision != identity.Undone || len(corrections) > 0 {
		return nil
	}
	return fmt.Errorf("sale %s has no correction to take back: %w (hint: processor explain shows what credits it)",
		sale.Value(), ErrUnknown)
}

// checkAffiliate reports an affiliate who is in no catalogue, where there is one: most likely the
// id is mistyped. Where there is none, anybody may be credited.
func checkAffiliate(ctx context.Context, store recompute.Store, workspace string, affiliate identity.Node,
	now time.Time) error {
	if strings.TrimSpace(affiliate.Value()) == "" {
		return errors.New("the affiliate's id is empty (hint: --nobody credits nobody)")
	}
	edges, err := store.Names(ctx, workspace, []identity.Node{affiliate, identity.Catalogue})
	if err != nil {
		return err
	}
	inForce := false
	for _, e := range edges {
		switch {
		case e.A == affiliate && e.B.Type() == identity.Program:
			return nil
		case e.A == identity.Catalogue && !e.At.After(now):
			inForce = true
		}
	}
	if inForce {
		return fmt.Errorf("affiliate %s: %w, neither in the catalogue nor by a click of a backend (hint: ids are "+
			"case sensitive; "+
			"load a catalogue that has this affiliate first)", affiliate.Value(), ErrUnknown)
	}
	return nil
}

// otherObjects are the ids that people take for a sale's, by their prefix.
var otherObjects = map[string]string{
	"cus_": "a customer", "acct_": "an account", "sub_": "a subscription", "evt_": "an event", "price_": "a price",
	"prod_": "a product", "txn_": "a balance transaction", "po_": "a payout",
}

// saleOf returns the name of the sale that an id belongs to.
func saleOf(ctx context.Context, store recompute.Store, workspace, id string) (identity.Node, error) {
	if _, _, held := schemas.ParseHeldWorkspace(workspace); held {
		return "", fmt.Errorf("workspace %s holds money of an account that no workspace lists (hint: list the "+
			"account, and correct the sale in its own workspace)", workspace)
	}
	for prefix, what := range otherObjects {
		if strings.HasPrefix(id, prefix) {
			return "", fmt.Errorf("%s is %s, and no sale (hint: give the id of an invoice, payment intent, charge, "+
				"session, refund or "+
				"dispute)", id, what)
		}
	}
	sale := identity.New(identity.Object, id)
	edges, err := store.Names(ctx, workspace, identity.Unsorted(id))
	if err != nil {
		return "", err
	}
	for _, e := range edges {
		switch {
		case e.A == sale:
			return sale, nil
		case e.B.Type() == identity.Object:
			return e.B, nil
		}
	}
	facts, err := store.Facts(ctx, workspace, []string{id})
	if err != nil {
		return "", err
	}
	for _, f := range facts[id] {
		// A refund whose names are not stored yet says itself what it belongs to.
		if f.ParentID != "" && f.Subject() != sale {
			return identity.New(identity.Object, f.ParentID), nil
		}
	}
	if len(facts[id]) > 0 {
		return sale, nil
	}
	return "", fmt.Errorf("sale %s: %w in workspace %s (hint: give an id of Stripe's, as in_… or pi_…; ids are "+
		"case sensitive; --workspace names another workspace)",
		id, ErrUnknown, workspace)
}

// Explain returns who made a correction and why, of its edge's source.
func Explain(source string) string { return strings.TrimPrefix(source, Source+".") }
