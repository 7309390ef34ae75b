package stripe

import "math/big"

// Share returns part × numerator / denominator, rounded half to even, and 0 where denominator
// is 0.
func Share(part, numerator, denominator int64) int64 {
	if denominator == 0 || part == 0 {
		return 0
	}
	num := new(big.Int).Mul(big.NewInt(part), big.NewInt(numerator))
	den := big.NewInt(denominator)
	if den.Sign() < 0 {
		num.Neg(num)
		den.Neg(den)
	}
	quo, rem := new(big.Int).DivMod(num, den, new(big.Int)) // floor; 0 ≤ rem < den
	switch rem.Lsh(rem, 1).Cmp(den) {
	case 1:
		quo.Add(quo, big.NewInt(1))
	case 0:
		if quo.Bit(0) == 1 {
			quo.Add(quo, big.NewInt(1))
		}
	}
	return quo.Int64()
}
