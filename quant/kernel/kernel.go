// Package kernel holds the arithmetic: slices in, slices out, no I/O, no shapes.
//
// It computes what coremltools 9.0 computes (optimize/_utils.py,
// quantize_weight_by_dtype and its inverse), to the last bit, in the weight's own
// dtype: true division, round half to even, every operation rounded to that dtype.
// float16 is held in float32 values and rounded after each operation, which equals
// rounding the exact result because float32 has more than twice its digits. Products
// are written T(x*y) so that no platform fuses a multiply with an add.
//
// A row of weights is cut into runs that share a scale; a block is the same run of
// one or more rows. A caller measures rows with Range (merging over the rows of a
// block), turns ranges into scales with Params, then calls Quantize and Dequantize
// per row. The functions here are the generic twins, the reference for any faster one.
//
// Codes and zero points are raw bytes: two's complement when the scheme is signed.
package kernel

import (
	"math"

	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Float is the type that values are held in.
type Float interface{ float32 | float64 }

// Arith is the arithmetic of one weight.
type Arith struct {
	Scheme scheme.Scheme
	Half   bool // values are float16 held in float32
}

// round brings the result of one operation back to the weight's dtype.
func round[T Float](half bool, x T) T {
	if half {
		return T(tensor.RoundF16(float32(x)))
	}
	return x
}

// Reset prepares ranges for Range.
func Reset[T Float](lo, hi []T) {
	for i := range lo {
		lo[i], hi[i] = T(math.Inf(1)), T(math.Inf(-1))
	}
}

// Range widens lo[j], hi[j] by the j-th run of src; len(src) = run * len(lo).
// A NaN in a run makes both NaN for good.
func Range[T Float](src []T, run int, lo, hi []T) {
	for j := range lo {
		l, h := lo[j], hi[j]
		nan := false
		for _, v := range src[j*run : (j+1)*run] {
			if v < l {
				l = v
			}
			if v > h {
				h = v
			}
			nan = nan || v != v
		}
		if nan {
			l, h = T(math.NaN()), T(math.NaN())
		}
		lo[j], hi[j] = l, h
	}
}

// Params turns the range of each block into its scale and, where the scheme stores
// one, its zero point (zp is nil otherwise). A block of zeros gets scale 0.
func Params[T Float](a Arith, lo, hi []T, scale []T, zp []byte) {
	qmin, qmax := a.Scheme.Range()
	for i := range scale {
		l, h := lo[i], hi[i]
		if a.Scheme.Mode == scheme.Symmetric {
			m := max(abs(l), abs(h))
			l, h = -m, m
		} else {
			l, h = min(l, 0), max(h, 0)
		}
		span := round(a.Half, h-l)
		scale[i] = round(a.Half, span/T(qmax-qmin))
		if zp == nil {
			continue
		}
		z := T(a.Scheme.FixedZeroPoint())
		if a.Scheme.Mode == scheme.Affine {
			up, down := round(a.Half, T(T(qmin)*h)), round(a.Half, T(T(qmax)*l))
			z = round(a.Half, round(a.Half, up-down)/span)
			z = clip(rint(z), T(qmin), T(qmax))
		}
		zp[i] = code(z)
	}
}

// NoZeroScale puts 1 in the place of an unsigned scale of 0, which a block of zeros (or of
// numbers that vanish against 0) has; its codes are then all the zero point. coremltools
// writes the 0, and its converter divides by it, takes the whole tensor for signed and
// clips every positive weight away (coremltools issue 2853 and ./build.sh oracle).
func NoZeroScale[T Float](a Arith, scale []T) {
	if a.Scheme.Signed() {
		return
	}
	for i, s := range scale {
		if s == 0 {
			scale[i] = 1
		}
	}
}

// Quantize writes one code per weight; len(src) = len(codes) = run * len(scale).
// zp is nil when the scheme stores none.
func Quantize[T Float](a Arith, src []T, run int, scale []T, zp []byte, codes []byte) {
	lo, hi := a.Scheme.Range()
	qmin, qmax := T(lo), T(hi)
	for j, s := range scale {
		z := T(0)
		if zp != nil {
			z = T(a.value(zp[j]))
		}
		dst := codes[j*run : (j+1)*run]
		for i, w := range src[j*run : (j+1)*run] {
			q := rint(round(a.Half, w/s))
			q = clip(round(a.Half, q+z), qmin, qmax)
			dst[i] = code(q)
		}
	}
}

// Dequantize writes scale * (code - zero point); shapes as in Quantize. For float64
// coremltools keeps the product in a float32 on the way, and so do we.
func Dequantize[T Float](a Arith, codes []byte, run int, scale []T, zp []byte, dst []T) {
	for j, s := range scale {
		z := float32(0)
		if zp != nil {
			z = a.value(zp[j])
		}
		out := dst[j*run : (j+1)*run]
		for i, c := range codes[j*run : (j+1)*run] {
			d := a.value(c) - z
			out[i] = round(a.Half, T(float32(T(T(d)*s))))
		}
	}
}

// value reads a code or a zero point.
func (a Arith) value(b byte) float32 {
	if a.Scheme.Signed() {
		return float32(int8(b))
	}
	return float32(b)
}

// code casts as numpy does on x86-64 and arm64: NaN becomes 0.
func code[T Float](x T) byte {
	if x != x {
		return 0
	}
	return byte(int(x))
}

// clip keeps x within [lo, hi] and lets NaN pass.
func clip[T Float](x, lo, hi T) T {
	if x < lo {
		return lo
	}
	if x > hi {
		return hi
	}
	return x
}

func rint[T Float](x T) T { return T(math.RoundToEven(float64(x))) }

func abs[T Float](x T) T { return T(math.Abs(float64(x))) }
