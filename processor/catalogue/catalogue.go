// Package catalogue reads a CSV file that names the affiliate of links, promotion codes and
// coupons, for what clicks do not contain.
package catalogue

import (
	"errors"
	"io"
	"strings"
	"time"

	"tributary/processor/csvtable"
	"tributary/processor/identity"
)

// Columns of the CSV's header. affiliate_id is required; a row may leave all others empty, and may
// fill several.
const (
	columnAffiliate = "affiliate_id"
	columnProgram   = "program_id"
	columnLink      = "link_id"
	columnPromotion = "promotion_code" // promo_… or what the buyer types
	columnCoupon    = "coupon"         // the coupon's id
)

// maxName is the longest name, in bytes: the edge takes no longer one, and Stripe's are shorter.
const maxName = 200

var format = csvtable.Format{
	Columns: []csvtable.Column{
		{Name: columnAffiliate, Required: true}, {Name: columnProgram}, {Name: columnLink},
		{Name: columnPromotion}, {Name: columnCoupon},
	},
	Hint: "the first line names the columns: affiliate_id,program_id,link_id,promotion_code,coupon",
}

// Catalogue is the content of one file.
type Catalogue struct {
	Edges []identity.Edge
	Links int // for which it names an affiliate
	Rows  int

	owners map[identity.Node]owner // of links, codes and coupons
}

// owner is the affiliate of a name, and the line that says so.
type owner struct {
	affiliate identity.Node
	line      int
}

// Read reads a CSV in UTF-8 with a header of the columns above, in any order. at is the time of its
// edges. The error lists all faults of the file by line; a file with a fault must not be used in
// part.
func Read(r io.Reader, at time.Time) (*Catalogue, error) {
	c := &Catalogue{owners: make(map[identity.Node]owner)}
	at = at.UTC().Truncate(time.Millisecond)
	rows := format.Open(r)
	for rows.Next() {
		if c.check(rows) {
			c.row(rows, at)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	// Once a catalogue is in force, only whom it lists is an affiliate by name.
	if c.Rows == 0 {
		return nil, errors.New("the file names no affiliate (hint: one row for each, below the header)")
	}
	return c, nil
}

// check reports whether a row can be used, and notes what is wrong with it.
func (c *Catalogue) check(rows *csvtable.Reader) bool {
	if rows.Value(columnAffiliate) == "" {
		rows.Fault(columnAffiliate, "it is empty (hint: every row names an affiliate)")
		return false
	}
	good := true
	for _, column := range format.Columns {
		if n := len(rows.Value(column.Name)); n > maxName {
			rows.Fault(column.Name, "%d bytes (hint: at most %d)", n, maxName)
			good = false
		}
	}
	return good
}

// InForce returns the edge that says that a workspace has a catalogue, loaded at the given time.
// From the next minute on only whom a catalogue lists is an affiliate by name: not from the moment
// itself, because a processor may be booking a sale of that moment without having seen the edge.
func InForce(at time.Time) identity.Edge {
	from := at.UTC().Truncate(time.Millisecond).Add(time.Minute)
	return identity.Edge{A: identity.Catalogue, B: identity.CatalogueIsInForce, Source: identity.CatalogueSource, At: from}
}

func (c *Catalogue) row(rows *csvtable.Reader, at time.Time) {
	affiliate := identity.New(identity.Affiliate, rows.Value(columnAffiliate))
	edge := func(a, b identity.Node) {
		c.Edges = append(c.Edges, identity.Edge{A: a, B: b, Source: identity.CatalogueSource, At: at})
	}
	// A link, code or coupon has one affiliate. Two in one file are a mistake of which nobody can say
	// who is meant.
	own := func(column string, name identity.Node) {
		before, known := c.owners[name]
		if known && before.affiliate != affiliate {
			rows.Fault(column, "%q belongs to the affiliate of line %d already (hint: delete one of the rows)",
				rows.Value(column), before.line)
		}
		c.owners[name] = owner{affiliate, rows.Line()}
		edge(name, affiliate)
	}
	c.Rows++
	edge(affiliate, identity.New(identity.Program, rows.Value(columnProgram)))
	if id := rows.Value(columnLink); id != "" {
		own(columnLink, identity.New(identity.Link, id))
		c.Links++
	}
	if code := rows.Value(columnPromotion); strings.HasPrefix(code, "promo_") {
		own(columnPromotion, identity.New(identity.Promotion, code))
	} else if code != "" {
		own(columnPromotion, identity.New(identity.Code, strings.ToUpper(code)))
	}
	if coupon := rows.Value(columnCoupon); coupon != "" {
		own(columnCoupon, identity.New(identity.Coupon, coupon))
	}
}
