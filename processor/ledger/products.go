package ledger

import (
	"maps"
	"math/big"
	"slices"

	"tributary/processor/stripe"
)

// Part is what one product has of an entry.
type Part struct {
	Product string // prod_…, or what the seller calls it; empty: not named
	Net     int64  // minor units of the entry's currency without tax, signed
}

// parts are amounts by product, in the order in which the products were named first.
type parts []Part

// plus returns the sums of both.
func (p parts) plus(q parts) parts {
	sum := slices.Clone(p)
	for _, x := range q {
		if n := slices.IndexFunc(sum, func(y Part) bool { return y.Product == x.Product }); n >= 0 {
			sum[n].Net += x.Net
		} else {
			sum = append(sum, x)
		}
	}
	return sum
}

func (p parts) minus(q parts) parts {
	negative := make(parts, len(q))
	for n, x := range q {
		negative[n] = Part{x.Product, -x.Net}
	}
	return p.plus(negative)
}

// sum of all parts.
func (p parts) sum() int64 {
	var sum int64
	for _, x := range p {
		sum += x.Net
	}
	return sum
}

// named reports whether anything is a product's.
func (p parts) named() bool {
	return slices.ContainsFunc(p, func(x Part) bool { return x.Product != "" })
}

// divide returns net in parts that have the proportions of p, and add up to net: each is cut off to
// whole minor units, and what is left goes to the largest remainders, of equal ones to the first.
// Parts of -net are those of net with the other sign. What cannot be divided is not named: by parts
// that add up to nothing or less, or so that a part is no int64.
func (p parts) divide(net int64) parts {
	if len(p) == 1 && p[0].Net > 0 {
		return parts{{p[0].Product, net}}
	}
	unnamed := parts{{"", net}}
	whole := new(big.Int)
	for _, x := range p {
		whole.Add(whole, big.NewInt(x.Net))
	}
	if whole.Sign() <= 0 {
		return unnamed
	}
	amount := big.NewInt(net)
	left := new(big.Int).Abs(amount)
	divided, remainders := slices.Clone(p), make([]*big.Int, len(p))
	for n, x := range p {
		share := new(big.Int).Abs(amount)
		remainders[n] = new(big.Int)
		share.DivMod(share.Mul(share, big.NewInt(x.Net)), whole, remainders[n])
		if left.Sub(left, share); !share.IsInt64() {
			return unnamed
		}
		divided[n].Net = share.Int64()
	}
	order := make([]int, len(p))
	for n := range order {
		order[n] = n
	}
	slices.SortStableFunc(order, func(a, b int) int { return remainders[b].Cmp(remainders[a]) })
	for _, n := range order[:left.Int64()] {
		divided[n].Net++
	}
	if net < 0 {
		return parts{}.minus(divided)
	}
	return divided
}

// between returns what the parts have of everything from one sum to another: over many sums in a
// row each has its share of all, to the last unit.
func (p parts) between(from, to int64) parts {
	if len(p) == 1 { // the usual case, without a remainder
		return p.divide(to - from)
	}
	return p.divide(to).minus(p.divide(from))
}

// net is what an entry moved, without tax.
func (e *Entry) net() int64 { return e.Amount - e.Tax }

// divide gives each product its part of the entry, if any product is named.
func (e *Entry) divide(by parts) {
	if by.named() {
		e.setProducts(by.divide(e.net()))
	}
}

func (e *Entry) setProducts(p parts) {
	e.Products = nil
	if p.named() {
		e.Products = slices.DeleteFunc(slices.Clone(p), func(x Part) bool { return x.Net == 0 })
	}
}

// parts are the entry's products, or all of it as what is not named.
func (e *Entry) parts() parts {
	if len(e.Products) == 0 {
		return parts{{"", e.net()}}
	}
	return e.Products
}

// soldBy returns the parts of a sale, by the richest of the facts about it that name a product.
func soldBy(facts []*stripe.Fact) parts {
	var sold parts
	if f := best(facts, func(f *stripe.Fact) bool { return len(f.Lines) > 0 }); f != nil {
		for _, l := range f.Lines {
			sold = sold.plus(parts{{l.Product, l.Net}})
		}
	}
	return sold
}

// sold returns the parts of a payment: those that it has of its invoices, else what it says itself.
func (p *payment) sold(invoices []*invoice) parts {
	var sum parts
	for _, i := range invoices {
		sum = sum.plus(i.parts[p].products)
	}
	if sum.named() {
		return sum
	}
	if own := soldBy(p.facts); own != nil {
		return own
	}
	return soldBy(p.charged)
}

// lineProducts returns the products of all invoices' lines, by the ids of the lines, if there are
// credit notes.
func (b *books) lineProducts(notes map[string][]*stripe.Fact) map[string]string {
	if len(notes) == 0 {
		return nil
	}
	products := map[string]string{}
	for _, g := range b.groups {
		for _, i := range g.invoices {
			productsOf(products, i.facts)
		}
	}
	return products
}

// creditedParts returns the parts of an entry that credit notes state, by the lines for which they
// were issued.
func (s *sale) creditedParts(e *Entry, index int, products map[string]string) parts {
	var sum parts
	for _, a := range s.applied[index] {
		lines := creditedLines(a.note, products)
		if !lines.named() {
			continue
		}
		net := a.amount - a.tax
		if !statesTax(a.note, e) {
			net = stripe.Share(e.net(), a.amount, e.Amount)
		}
		sum = sum.plus(lines.divide(net))
	}
	return sum
}

// shareProducts gives every movement of a sale its parts. Where a credit note says for which lines
// a refund was made, these are the parts. All others go back by what is then left of the products:
// in order of time, the share of all that went back by then, less the shares before it. So nothing
// is left of any product once all of the sale went back, whatever movements it went back by. What
// goes back of a payment that failed is of that payment's products.
func (b *books) shareProducts(s *sale, products map[string]string) {
	if !s.named && len(s.applied) == 0 {
		return
	}
	left := s.sold
	var credited map[int]parts
	if len(s.applied) > 0 {
		left, credited = maps.Clone(left), map[int]parts{}
		for _, m := range s.out {
			e := &b.entries[m.index]
			if by := s.creditedParts(e, m.index, products); by != nil {
				credited[m.index] = by
				of := pool{e.Currency, m.failed}
				left[of] = left[of].plus(by)
			}
		}
	}
	back := map[pool]int64{} // negative
	for _, m := range s.out {
		e, by := &b.entries[m.index], credited[m.index]
		of := pool{e.Currency, m.failed}
		if net := e.net() - by.sum(); net != 0 || by == nil {
			before := back[of]
			back[of] = before + net
			rest := s.proportions(left, of).between(before, before+net)
			if by != nil {
				rest = by.plus(rest)
			}
			by = rest
		}
		e.setProducts(by)
	}
}

// proportions returns by which parts money of a sale goes back: what is left of what it is taken
// from, else what was sold, be it in another currency, as what the buyer saw is.
func (s *sale) proportions(left map[pool]parts, of pool) parts {
	for _, p := range []parts{left[of], s.sold[of]} {
		if p.sum() > 0 {
			return p
		}
	}
	for _, other := range slices.SortedFunc(maps.Keys(s.sold), pool.compare) {
		if p := s.sold[other]; p.sum() > 0 {
			return p
		}
	}
	return s.known
}
