package identity

// relation holds, for each type of names by its ordinal, a set of types, which has their ordinals
// as bits: each edge of a batch is asked several times whether it leads on.
type relation [32]uint32

func relate(types map[string][]string) (r relation) {
	for from, all := range types {
		for _, to := range all {
			if ordinal(from) == 0 || ordinal(to) == 0 {
				panic("no ordinal of " + from + " or " + to)
			}
			r[ordinal(from)] |= 1 << ordinal(to)
		}
	}
	return r
}

func (r *relation) has(from, to uint32) bool { return r[from]>>to&1 == 1 }

// ordinal numbers the types of names that lead to others, or that others lead to; 0 is any other.
// Nothing that is stored holds it.
func ordinal(typ string) uint32 {
	switch typ {
	case Object:
		return 1
	case Movement:
		return 2
	case Dispute:
		return 3
	case Customer:
		return 4
	case Subscription:
		return 5
	case External:
		return 6
	case Reference:
		return 7
	case Click:
		return 8
	case Affiliate:
		return 9
	case Program:
		return 10
	case Lead:
		return 11
	case Promotion:
		return 12
	case Coupon:
		return 13
	case Code:
		return 14
	case Email:
		return 15
	case Link:
		return 16
	case Public:
		return 17
	case Again:
		return 18
	case Correction:
		return 19
	case FirstSale:
		return 20
	case PaymentHour:
		return 21
	case InvoiceHour:
		return 22
	case catalogueType:
		return 23
	}
	return 0
}
