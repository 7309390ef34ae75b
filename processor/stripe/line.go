package stripe

import (
	"cmp"
	"slices"
)

// Line is a part of what was sold, or of what a credit note gives back.
type Line struct {
	ID      string // of the invoice's line; empty: it is none
	Product string // prod_…, or what the seller's metadata names; empty: not named
	Net     int64  // minor units without tax, discounts subtracted; negative: a proration or adjustment
}

// soldAs returns the one line of a sale whose metadata names its product; none if it names none.
func soldAs(product string, f Fact) []Line {
	if product == "" {
		return nil
	}
	return []Line{{Product: product, Net: max(f.Amount, f.Total) - f.Tax}}
}

// product returns the product that the metadata of an object names.
func (o object) product() string {
	meta := o.child("metadata")
	return cmp.Or(meta.text("product_id"), meta.text("product"))
}

// invoiceLines returns the lines of an invoice, and a last one for what is in its total and is no
// product that is named: shipping, and the lines that the event does not hold. Where no line names a
// product, the invoice's metadata may.
//
// Traps:
//   - An event holds ten lines; of more, has_more says so.
//   - Stripe may round tax once for the whole invoice, and the oldest versions do not say which line
//     a discount is of: the lines are off the total then, and only their proportions count.
func (o object) invoiceLines(f Fact) []Line {
	list := o.lines()
	if !slices.ContainsFunc(list, func(l Line) bool { return l.Product != "" }) {
		return soldAs(o.product(), f)
	}
	rest := f.Shipping
	if ship := o.child("shipping_cost"); ship.present() {
		rest -= ship.integer("amount_tax")
	}
	if lines := o.child("lines"); lines.present() && lines.flag("has_more") {
		rest = f.Total - f.Tax
		for _, l := range list {
			rest -= l.Net
		}
	}
	if rest != 0 {
		list = append(list, Line{Net: rest})
	}
	return list
}

// creditedLines returns the lines of a credit note, if one of them is a line of its invoice.
func (o object) creditedLines() []Line {
	list := o.lines()
	if !slices.ContainsFunc(list, func(l Line) bool { return l.ID != "" }) {
		return nil
	}
	return list
}

// lines reads the lines of an invoice or credit note. One that cannot be read is no reason to keep
// the money waiting: then there are none.
func (o object) lines() []Line {
	known, ofNote := len(o.doc.missing), o.is("object", "credit_note")
	defer func() { o.doc.missing = o.doc.missing[:known] }()
	var list []Line
	for _, line := range o.array("lines") {
		if !line.present() {
			return nil
		}
		id := line.text("id")
		if ofNote {
			id = line.id("invoice_line_item")
		}
		list = append(list, Line{ID: id, Product: line.lineProduct(), Net: line.lineNet()})
	}
	if len(o.doc.missing) > known {
		return nil
	}
	return list
}

// lineProduct returns the product of a line: up to API 2025-02 its price or plan names it, from
// basil (2025-03-31) on its pricing. https://docs.stripe.com/api/invoice-line-item/object
func (o object) lineProduct() string {
	for _, keys := range [][]string{{"pricing", "price_details"}, {"price"}, {"plan"}} {
		if id := o.grandchild(keys...).id("product"); id != "" {
			return id
		}
	}
	return o.product()
}

// lineNet returns the amount of a line, which is before discounts, and contains its tax where that
// is inclusive. Credits that are no discount are Stripe's billing credits.
func (o object) lineNet() int64 {
	net := o.integer("amount")
	for _, d := range o.array("discount_amounts") {
		net -= d.integer("amount")
	}
	for _, c := range o.array("pretax_credit_amounts") {
		if !c.is("type", "discount") {
			net -= c.integer("amount")
		}
	}
	taxes := o.array("taxes")
	if len(taxes) == 0 {
		taxes = o.array("tax_amounts")
	}
	for _, t := range taxes {
		if t.flag("inclusive") || t.is("tax_behavior", "inclusive") {
			net -= t.integer("amount")
		}
	}
	return net
}
