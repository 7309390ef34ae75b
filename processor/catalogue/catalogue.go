// Package catalogue reads a CSV file that names the affiliate of links, promotion codes and
// coupons, for what clicks do not contain.
package catalogue

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

var columns = []string{columnAffiliate, columnProgram, columnLink, columnPromotion, columnCoupon}

// Source is the source of a catalogue's edges.
const Source = "catalogue"

// Catalogue is the content of one file.
type Catalogue struct {
	Edges []identity.Edge
	Links []string // for which it names an affiliate
	Rows  int
}

// Read reads a CSV in UTF-8 with a header of the columns above, in any order. at is the time of its
// edges. The error lists all faults of the file by line; a file with a fault must not be used in
// part.
func Read(r io.Reader, at time.Time) (*Catalogue, error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = -1
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("read header: %w (hint: the first line must name the columns: %s)", err,
			strings.Join(columns, ","))
	}
	at = at.UTC().Truncate(time.Millisecond)
	place := make(map[string]int, len(header))
	var faults []error
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if !slices.Contains(columns, name) {
			faults = append(faults, fmt.Errorf("line 1: column %q is none of %s", name, strings.Join(columns, ", ")))
		}
		place[name] = i
	}
	if _, ok := place[columnAffiliate]; !ok {
		faults = append(faults, errors.New("line 1: the column affiliate_id is missing"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	c := &Catalogue{}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			faults = append(faults, err)
			break // after a broken quote nothing can be read
		}
		line, _ := reader.FieldPos(0)
		value := func(column string) string {
			if i, ok := place[column]; ok && i < len(record) {
				return strings.TrimSpace(record[i])
			}
			return ""
		}
		if value(columnAffiliate) == "" {
			faults = append(faults, fmt.Errorf("line %d: affiliate_id is empty", line))
			continue
		}
		c.row(value, at)
	}
	return c, errors.Join(faults...)
}

// InForce returns the edge that says that a workspace has a catalogue, loaded at the given time.
// From the next minute on only whom a catalogue lists is an affiliate by name: not from the moment
// itself, because a processor may be booking a sale of that moment without having seen the edge.
func InForce(at time.Time) identity.Edge {
	from := at.UTC().Truncate(time.Millisecond).Add(time.Minute)
	return identity.Edge{A: identity.Catalogue, B: identity.CatalogueIsInForce, Source: Source, At: from}
}

func (c *Catalogue) row(value func(string) string, at time.Time) {
	affiliate := identity.New(identity.Affiliate, value(columnAffiliate))
	link := func(a, b identity.Node) {
		c.Edges = append(c.Edges, identity.Edge{A: a, B: b, Source: Source, At: at})
	}
	c.Rows++
	link(affiliate, identity.New(identity.Program, value(columnProgram)))
	if id := value(columnLink); id != "" {
		link(identity.New(identity.Link, id), affiliate)
		c.Links = append(c.Links, id)
	}
	if code := value(columnPromotion); strings.HasPrefix(code, "promo_") {
		link(identity.New(identity.Promotion, code), affiliate)
	} else if code != "" {
		link(identity.New(identity.Code, strings.ToUpper(code)), affiliate)
	}
	if coupon := value(columnCoupon); coupon != "" {
		link(identity.New(identity.Coupon, coupon), affiliate)
	}
}
