// Package kernel holds the arithmetic: slices in, slices out, no I/O and no shapes. Methods (method/...) call it;
// nothing in it is stable for others.
//
// It computes what coremltools 9.0 computes (optimize/_utils.py, quantize_weight_by_dtype and its inverse), to the
// last bit, in the weight's own dtype: true division, round half to even, every operation rounded to that dtype.
// float16 is held in float32 values and rounded after each operation, which equals rounding the exact result because
// float32 has more than twice its digits. bfloat16, which coremltools refuses, is float32 arithmetic; where a container
// stores its scales in bfloat16 (Brain), they are rounded before codes are made with them, and so is what codes stand
// for, as whoever runs such a file does. Products are written T(x*y) so that no platform fuses a multiply with an add.
//
// Two other tools have arithmetic of their own: compressed-tensors (minmax.go), and MLX (offset.go).
//
// A row of weights is cut into groups that share a scale. Every function takes their length as group. Where a group
// has several rows, a caller gives its rows one after the other: it measures each with Range, which widens the same
// ranges, turns the ranges into scales with Params, and calls Quantize for each row, which also sums the errors. A
// caller keeps to chunks that fit a processor's nearest cache, so that all of this passes over memory once.
//
// Each function has a generic twin (generic.go), the reference, and for weights held in float32 a SIMD twin
// (*_simd.go) with the same results, bit for bit, for groups of a multiple of 8 weights. The exported entries choose
// between them.
//
// Codes and zero points are raw bytes: two's complement when the scheme is signed.
//
// Only package quant is stable.
package kernel

import (
	"nibble/quant/scheme"
)

// Float is a type that values are held in.
type Float interface{ float32 | float64 }

// Arith is the arithmetic of one weight as plain numbers, since the kernels are called too often to ask a scheme each
// time.
type Arith struct {
	Half     bool // values are float16 held in float32
	Brain    bool // scales, and what codes stand for, are bfloat16 held in float32
	MinMax   bool // it is compressed-tensors', and not coremltools' (minmax.go)
	Affine   bool // ranges need not be symmetric
	Signed   bool // codes are two's complement
	HasZero  bool // zero points are stored
	Min, Max int  // codes
	Zero     int  // zero point of symmetric codes
}

// NewArith is coremltools' arithmetic of a scheme, on float16 weights (half) or on others.
func NewArith(s scheme.Scheme, half bool) Arith {
	a := Arith{Half: half, Affine: s.Mode == scheme.Affine, Signed: s.Signed(), HasZero: s.HasZeroPoint(),
		Zero: s.FixedZeroPoint()}
	a.Min, a.Max = s.Range()
	return a
}

// unit is what the length of a group must be a multiple of for the SIMD twins.
const unit = 8

// Range widens lo[j], hi[j] by group j of src; len(src) = group * len(lo). Ranges hold 0 (see Reset): lo is the least
// of the weights and -0, hi the largest of them and 0. A NaN becomes the hi of its group, or the lo when its sign is
// set, for good.
func Range[T Float](src []T, group int, lo, hi []T) {
	src = src[:group*len(lo)]
	if w, ok := any(src).([]float32); ok {
		rangeOf(w, group, any(lo).([]float32), any(hi[:len(lo)]).([]float32))
		return
	}
	rangeDouble(any(src).([]float64), group, any(lo).([]float64), any(hi).([]float64))
}

// Params turns the range of each group into its scale and, where the scheme stores one, its zero point; else zp is
// nil. A group of zeros gets scale 0. It reports whether all groups are usual: no scale is 0, not finite or near
// either, and no step came near overflow. Where they are not, Fit looks at them one by one.
func Params[T Float](a Arith, lo, hi []T, scale []T, zp []byte) bool {
	n := len(scale)
	lo, hi = lo[:n], hi[:n]
	if zp != nil {
		zp = zp[:n]
	}
	if s, ok := any(scale).([]float32); ok {
		return paramsOf(a, any(lo).([]float32), any(hi).([]float32), s, zp)
	}
	params(a, lo, hi, scale, zp)
	return false
}

// NoZeroScale puts 1 in the place of an unsigned scale of 0, which a group of zeros has, and one of numbers that
// vanish against 0; its codes are then all the zero point. Here we differ from coremltools, which writes the 0: its
// converter divides by it, takes the whole tensor for signed and clips every positive weight away (coremltools issue
// 2853 and ./build.sh oracle).
func NoZeroScale[T Float](a Arith, scale []T) {
	if a.Signed {
		return
	}
	for i, s := range scale {
		if s == 0 {
			scale[i] = 1
		}
	}
}

// Quantize writes one code per weight, len(src) = len(codes) = group * len(scale), and adds what that loses to e.
// scale and zp are what Params made of ranges that hold src; zp is nil when the scheme stores none.
func Quantize[T Float](a Arith, src []T, group int, scale []T, zp []byte, codes []byte, e *Errors) {
	src, codes = src[:group*len(scale)], codes[:group*len(scale)]
	if zp != nil {
		zp = zp[:len(scale)]
	}
	if s, ok := any(scale).([]float32); ok {
		quantizeOf(a, any(src).([]float32), group, s, zp, codes, e)
		return
	}
	quantizeDouble(a, any(src).([]float64), group, any(scale).([]float64), zp, codes, e)
}

// Dequantize writes scale * (code - zero point); shapes are as in Quantize. For float64 coremltools keeps the product
// in a float32 on the way, and so do we.
func Dequantize[T Float](a Arith, codes []byte, group int, scale []T, zp []byte, dst []T) {
	codes, dst = codes[:group*len(scale)], dst[:group*len(scale)]
	if zp != nil {
		zp = zp[:len(scale)]
	}
	if s, ok := any(scale).([]float32); ok {
		dequantizeOf(a, codes, group, s, zp, any(dst).([]float32))
		return
	}
	dequantize(a, codes, group, scale, zp, dst)
}

// Measure adds to e what replacing src by dst loses, as Quantize does, where dst is not what Quantize saw: values
// that were rounded once more.
func Measure(a Arith, src, dst []float32, group int, scale []float32, e *Errors) {
	src, dst = src[:group*len(scale)], dst[:group*len(scale)]
	measureOf(a, src, dst, group, scale, e)
}
