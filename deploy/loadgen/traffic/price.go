package traffic

// price is what one payment consists of, in minor units:
// total = subtotal − discount + shipping + tax, and without the tax where it is inclusive.
type price struct {
	currency                                 string
	subtotal, discount, shipping, tax, total int64
	inclusive                                bool
}

// priced computes a product's price in a buyer's currency, with the tax that is usual there.
func (s *buyer) priced(p product, discounted bool) price {
	x := price{currency: s.currency, subtotal: p.in(s.currency)}
	if p.shipping != nil {
		x.shipping = in(p.shipping, s.currency)
	}
	if discounted {
		x.discount = whole(x.subtotal/10, s.currency)
	}
	return s.taxedOn(x)
}

// prorated is what a change of plan costs in the middle of a period: half of the new price less
// half of the old one. Of a downgrade it is negative.
func (s *buyer) prorated(from, to price) (x price, credit, charge int64) {
	credit = -whole((from.subtotal-from.discount)/2, s.currency)
	charge = whole((to.subtotal-to.discount)/2, s.currency)
	return s.taxedOn(price{currency: s.currency, subtotal: credit + charge}), credit, charge
}

// taxedOn adds tax and total.
func (s *buyer) taxedOn(x price) price {
	x.total = x.subtotal - x.discount + x.shipping
	sign, n := int64(1), x.total
	if n < 0 {
		sign, n = -1, -n
	}
	if percent := currencies[x.currency].tax; percent > 0 {
		x.inclusive, x.tax = true, sign*whole(rounded(n*percent, 100+percent), x.currency)
	} else if s.person.country.code == "US" && s.taxed {
		x.tax = sign * whole(rounded(n*825, 10000), x.currency)
		x.total += x.tax
	}
	return x
}

// net leaves a price nothing but its total: what a bare payment intent says of it.
func (x price) net() price {
	return price{currency: x.currency, subtotal: x.total, total: x.total}
}

func (p product) in(currency string) int64 { return in(p.price, currency) }

func in(prices map[string]int64, currency string) int64 {
	if n, ok := prices[currency]; ok {
		return n
	}
	return local(prices["usd"], currency)
}

// whole rounds down to an amount that Stripe takes in this currency.
func whole(n int64, currency string) int64 { return n - n%currencies[currency].step }

// rounded divides, half up; both are positive.
func rounded(n, by int64) int64 { return (2*n + by) / (2 * by) }

// share returns part × numerator / denominator, half to even. Denominator and the result's sign are
// positive.
func share(part, numerator, denominator int64) int64 {
	if part == 0 || denominator == 0 {
		return 0
	}
	n := part * numerator
	quo, rem := n/denominator, n%denominator
	if 2*rem > denominator || 2*rem == denominator && quo%2 == 1 {
		quo++
	}
	return quo
}
