package kernel

import "math"

// Fit is Params and NoZeroScale, and says why weights have no scales, "" when they have: NaN,
// infinities, and weights too large for their arithmetic. coremltools makes codes of such weights
// that mean nothing.
func Fit[T Float](a Arith, lo, hi, scale []T, zp []byte) (unfit string) {
	if Params(a, lo, hi, scale, zp) {
		return "" // no scale is near where that happens
	}
	for i := range lo {
		if l, h := float64(lo[i]), float64(hi[i]); l != l || h != h {
			return "its weights hold a value that is not a number (NaN)"
		} else if math.IsInf(l, 0) || math.IsInf(h, 0) {
			return "its weights hold an infinite value"
		}
	}
	NoZeroScale(a, scale)
	for i, s := range scale {
		if math.IsInf(float64(s), 0) || a.overflows(float64(lo[i]), float64(hi[i])) {
			return "its weights span more than " + nameOf[T](a) + " arithmetic can hold"
		}
	}
	return ""
}

// overflows finds what an infinite scale does not show. The zero point of affine codes
// comes from qmin*hi and qmax*lo, which overflow float16 long before the weights do;
// coremltools then clips an infinity and writes codes that mean nothing. And it
// dequantizes float64 weights through float32.
func (a Arith) overflows(lo, hi float64) bool {
	most := math.MaxFloat32
	if a.Half {
		most = 65504
	}
	reach := 1.0
	if a.Affine {
		reach = float64(max(-a.Min, a.Max))
	}
	return max(math.Abs(lo), math.Abs(hi))*reach > most
}

// nameOf is the dtype of an arithmetic.
func nameOf[T Float](a Arith) string {
	var zero T
	switch any(zero).(type) {
	case float64:
		return "F64"
	}
	if a.Half {
		return "F16"
	}
	return "F32"
}
