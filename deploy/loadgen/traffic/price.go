package traffic

// price is what one payment consists of, in minor units:
// total = subtotal − discount + shipping + tax, and without the tax where it is inclusive.
type price struct {
	currency                                 string
	subtotal, discount, shipping, tax, total int64
	inclusive                                bool
}

// priced computes a product's price in a buyer's currency, with the tax that is usual there.
func (s *buyer) priced(p product) price {
	w := s.w
	x := price{currency: s.currency, subtotal: p.price[s.currency]}
	if p.shipping != nil {
		x.shipping = p.shipping[s.currency]
	}
	if w.chance(.12) {
		x.discount = x.subtotal / 10
	}
	x.total = x.subtotal - x.discount + x.shipping
	switch s.currency {
	case "eur": // the price includes VAT
		x.inclusive, x.tax = true, rounded(x.total*20, 120)
	case "jpy": // the price includes consumption tax
		x.inclusive, x.tax = true, rounded(x.total*10, 110)
	default: // sales tax comes on top, in some states
		if s.person.country.code == "US" && s.taxed {
			x.tax = rounded(x.total*825, 10000)
			x.total += x.tax
		}
	}
	return x
}

// rounded divides, half up; both are positive.
func rounded(n, by int64) int64 { return (2*n + by) / (2 * by) }
