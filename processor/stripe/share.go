package stripe

import "math/bits"

// Share returns part × numerator / denominator, rounded half to even, and 0 where denominator
// is 0. The product has 128 bits, so that it is exact.
func Share(part, numerator, denominator int64) int64 {
	if denominator == 0 || part == 0 {
		return 0
	}
	hi, lo := bits.Mul64(magnitude(part), magnitude(numerator))
	by := magnitude(denominator)
	share, rest := bits.Div64(hi%by, lo, by) // hi < by, unless the share is beyond an int64
	if left := by - rest; rest > left || rest == left && share%2 == 1 {
		share++
	}
	if (part < 0) != (numerator < 0) != (denominator < 0) {
		return -int64(share)
	}
	return int64(share)
}

// magnitude is the absolute value, also of the smallest int64.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
