package clickhouse

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"tributary/processor/identity"
)

// Names returns what the nodes lead to, and of what clicks and browsers reported under a name the
// first: every edge of a sale or lead, and of a shared name those to other names, cut where there
// are more than identity.Most. However many sales and leads share a name, none of them is read.
func (s *Store) Names(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return s.edges(ctx, workspace, nodes, toNames)
}

// OfCatalogue returns, of what Names returns, what the operator's catalogue says of links and
// affiliates. No first_names are read for it.
func (s *Store) OfCatalogue(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	edges, err := s.cutEdges(ctx, workspace, nodes, toNames)
	return slices.DeleteFunc(edges, func(e identity.Edge) bool { return !e.OfCatalogue() }), err
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

// EdgesAfter returns up to limit edges of one name, in order of their targets, beginning with the
// first one after the target after.
func (s *Store) EdgesAfter(ctx context.Context, workspace string, name, after identity.Node,
	limit int) ([]identity.Edge, error) {
	return Collect(ctx, s, "identities", `SELECT key, target, source, at, carried FROM identities FINAL
WHERE workspace = ? AND key = ? AND target > ? ORDER BY target LIMIT ?`,
		[]any{workspace, string(name), string(after), limit}, scanEdge)
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
	toNames = "AND (" + isHour + " OR NOT (" + toSales + "))"
)

// edges returns the edges of the nodes: of sales and leads all of them; of names that several sales
// may share, those that fulfil the condition, and those that were reported first (FirstNames).
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
	return s.newest(ctx, workspace, nodes, condition+` ORDER BY key, target
LIMIT `+strconv.Itoa(identity.Most+1)+` BY key, substring(target, 1, position(target, ':'))`, identity.Most)
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

// sorted ends a lookup whose rows are all needed: they are sorted after they were read. To read
// each part in the order of its key is dearer, unless a limit lets it end early.
const sorted = " SETTINGS optimize_read_in_order = 0"

func (s *Store) identities(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	return s.newest(ctx, workspace, nodes, "ORDER BY key, target"+sorted, math.MaxInt)
}

// edgeRow is one row of an edge. Of several the one with the greatest version stands.
type edgeRow struct {
	identity.Edge
	version uint64
}

// newest returns the edges of nodes as they stand. rest is the statement behind its condition on
// the key; it must return more than most rows of a name and a type of target where there are more.
// It reads all rows of an edge and drops those that have been replaced, which is cheaper than
// FINAL. FINAL is used where the rows do not say which of them stands (standing). Names where that
// happened lately are read with FINAL at once: to read a million rows of one in vain takes long.
func (s *Store) newest(ctx context.Context, workspace string, nodes []identity.Node, rest string, most int) (
	[]identity.Edge, error,
) {
	nodes, doubtful := s.doubtful.among(workspace, nodes)
	var edges, final []identity.Edge
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.Go(func() (err error) { final, err = s.finalEdges(lctx, workspace, doubtful, rest); return err })
	lookups.Go(func() error {
		rows, err := s.edgeRows(lctx, workspace, nodes, "", rest)
		if err != nil {
			return err
		}
		var unsure []identity.Node
		edges, unsure = standing(rows, most)
		s.doubtful.add(workspace, unsure)
		more, err := s.finalEdges(lctx, workspace, unsure, rest)
		edges = append(edges, more...)
		return err
	})
	err := lookups.Wait()
	return append(edges, final...), err
}

func (s *Store) finalEdges(ctx context.Context, workspace string, nodes []identity.Node, rest string) ([]identity.Edge,
	error) {
	rows, err := s.edgeRows(ctx, workspace, nodes, "FINAL", rest)
	edges := make([]identity.Edge, len(rows))
	for i := range rows {
		edges[i] = rows[i].Edge
	}
	return edges, err
}

// doubtfulNames are some names whose rows lately did not say which of them stand (standing).
type doubtfulNames struct {
	mu    sync.Mutex
	names map[nameOf]struct{}
}

type nameOf struct {
	workspace string
	name      identity.Node
}

// maxDoubtful bounds the memory of doubtfulNames.
const maxDoubtful = 1000

func (d *doubtfulNames) add(workspace string, names []identity.Node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(names) == 0 {
		return
	}
	if d.names == nil || len(d.names)+len(names) > maxDoubtful {
		d.names = make(map[nameOf]struct{}) // those that are asked for often come again
	}
	for _, n := range names[:min(len(names), maxDoubtful)] {
		d.names[nameOf{workspace, n}] = struct{}{}
	}
}

// among returns the other nodes, and those that are such names.
func (d *doubtfulNames) among(workspace string, nodes []identity.Node) (others, doubtful []identity.Node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.names) == 0 {
		return nodes, nil
	}
	others = slices.DeleteFunc(slices.Clone(nodes), func(n identity.Node) bool {
		_, is := d.names[nameOf{workspace, n}]
		if is {
			doubtful = append(doubtful, n)
		}
		return is
	})
	return others, doubtful
}

func (s *Store) edgeRows(ctx context.Context, workspace string, nodes []identity.Node, final, rest string) ([]edgeRow,
	error) {
	return Lookup(ctx, s, "identities", nodes, func(chunk []identity.Node) (string, []any) {
		keys, names := list(chunk)
		return `SELECT key, target, source, at, carried, version FROM identities ` + final + `
WHERE workspace = ? AND key IN (` + keys + `) ` + rest, []any{workspace, names}
	}, func(rows driver.Rows, r *edgeRow) error {
		return rows.Scan((*string)(&r.A), (*string)(&r.B), &r.Source, &r.At, &r.Carried, &r.version)
	})
}

// standing returns, of rows sorted by their names and targets, those with the greatest version of
// each edge. unsure are names of which the rows do not say it: of two with one version FINAL and
// merges keep the one that was inserted last; and where a name has more than most rows of one type
// there may be more of them than were read.
func standing(rows []edgeRow, most int) (edges []identity.Edge, unsure []identity.Node) {
	edges = make([]identity.Edge, 0, len(rows))
	for len(rows) > 0 {
		begin, name, certain := len(edges), rows[0].A, true
		var typ string
		ofType := 0
		for len(rows) > 0 && rows[0].A == name {
			best, equal, n := rows[0], true, 1
			for ; n < len(rows) && rows[n].A == name && rows[n].B == best.B; n++ {
				switch r := &rows[n]; {
				case r.version > best.version:
					best, equal = *r, true
				case r.version == best.version:
					equal = equal && r.Source == best.Source && r.At.Equal(best.At) && r.Carried == best.Carried
				}
			}
			if t := best.B.Type(); t != typ {
				typ, ofType = t, 0
			}
			ofType += n
			certain = certain && equal && ofType <= most
			edges = append(edges, best.Edge)
			rows = rows[n:]
		}
		if !certain {
			edges, unsure = edges[:begin], append(unsure, name)
		}
	}
	return edges, unsure
}

// Carried returns those of the edges that are known to have reached every sale that they concern,
// as they are stored. It needs no FINAL, which costs half as much again: of two rows of an edge
// with one version both have the same time, and both are marked or neither is (EdgeRow.version).
func (s *Store) Carried(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error) {
	return Lookup(ctx, s, "identities", edges, func(chunk []identity.Edge) (string, []any) {
		as, bs := make([]identity.Node, len(chunk)), make([]identity.Node, len(chunk))
		for i, e := range chunk {
			as[i], bs[i] = e.A, e.B
		}
		keys, names := list(as)
		targets, others := list(bs)
		return `SELECT key, target, argMax(source, version), argMax(at, version), true FROM identities
WHERE workspace = ? AND (key, target) IN (arrayZip(` + keys + `, ` + targets + `))
GROUP BY key, target HAVING argMax(carried, version)`,
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
