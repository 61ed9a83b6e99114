package kernel

import "math"

// Unfit is the code of why weights have no scales; "" when they have.
type Unfit string

// What the arithmetic cannot take. coremltools makes codes of such weights that mean nothing.
const (
	NaN         Unfit = "nan"
	Infinite    Unfit = "infinite"
	TooLargeF16 Unfit = "too_large_f16"
	TooLargeF32 Unfit = "too_large_f32"
	TooLargeF64 Unfit = "too_large_f64"
)

// Unfits are the sentences of all codes, in English.
var Unfits = map[Unfit]string{
	NaN:         "its weights hold a value that is not a number (NaN)",
	Infinite:    "its weights hold an infinite value",
	TooLargeF16: "its weights span more than F16 arithmetic can hold",
	TooLargeF32: "its weights span more than F32 arithmetic can hold",
	TooLargeF64: "its weights span more than F64 arithmetic can hold",
}

// String is the sentence of the code, in English.
func (u Unfit) String() string { return Unfits[u] }

// Fit is Params and NoZeroScale, and says why weights have no scales where they have none.
func Fit[T Float](a Arith, lo, hi, scale []T, zp []byte) Unfit {
	if Params(a, lo, hi, scale, zp) {
		return "" // no scale is near where that happens
	}
	for i := range lo {
		if l, h := float64(lo[i]), float64(hi[i]); l != l || h != h {
			return NaN
		} else if math.IsInf(l, 0) || math.IsInf(h, 0) {
			return Infinite
		}
	}
	NoZeroScale(a, scale)
	for i, s := range scale {
		if math.IsInf(float64(s), 0) || a.overflows(float64(lo[i]), float64(hi[i])) {
			return TooLarge[T](a)
		}
	}
	return ""
}

// overflows finds what an infinite scale does not show. The zero point of affine codes comes from qmin*hi and
// qmax*lo, which overflow float16 long before the weights do; coremltools then clips an infinity and writes codes
// that mean nothing. It also dequantizes float64 weights through float32.
func (a Arith) overflows(lo, hi float64) bool {
	if a.MinMax {
		return false // its zero points come from quotients
	}
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

// TooLarge is the code that names the dtype of an arithmetic.
func TooLarge[T Float](a Arith) Unfit {
	var zero T
	switch any(zero).(type) {
	case float64:
		return TooLargeF64
	}
	if a.Half {
		return TooLargeF16
	}
	return TooLargeF32
}
