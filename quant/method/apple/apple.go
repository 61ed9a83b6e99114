// Package apple is the method of coremltools' PostTrainingQuantizer (coremltools 9.0, optimize/_utils.py): linear codes
// of 4 or 8 bits with a scale and, where the scheme has one, a zero point for each group, in the weight's own dtype.
// The arithmetic is package kernel's; groups may have any shape and size.
//
// It stands in the table of package method, through which the executor and verify come to it.
//
// Only package quant is stable.
package apple

import (
	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/scheme"
)

// Planes are what the method makes of a scheme beside codes and scales.
func Planes(s scheme.Scheme) plane.Has { return plane.Has{ZeroPoint: s.HasZeroPoint()} }

// Method is the arithmetic of one weight.
type Method[T kernel.Float] struct {
	has   plane.Has
	arith kernel.Arith
}

// New is the method for weights of a scheme, float16 ones or others.
func New[T kernel.Float](s scheme.Scheme, half bool) *Method[T] {
	return &Method[T]{Planes(s), kernel.NewArith(s, half)}
}

// Has is which planes it makes beside codes and scales.
func (m *Method[T]) Has() plane.Has { return m.has }

// Fit makes the parameters of groups that lie one after the other in w, and says why there are none.
func (m *Method[T]) Fit(w []T, group int, s plane.Stats[T], p plane.Params[T]) kernel.Unfit {
	m.Reset(s)
	m.Range(w, group, s)
	return m.Settle(s, p)
}

// Reset empties the ranges of groups.
func (m *Method[T]) Reset(s plane.Stats[T]) { kernel.Reset(s.Low, s.High) }

// Range widens the range of group k by group k of w.
func (m *Method[T]) Range(w []T, group int, s plane.Stats[T]) { kernel.Range(w, group, s.Low, s.High) }

// Merge widens ranges by those of other weights of the same groups, in any order.
func (m *Method[T]) Merge(s, other plane.Stats[T]) {
	kernel.Range(other.Low, 1, s.Low, s.High)
	kernel.Range(other.High, 1, s.Low, s.High)
}

// Settle makes the parameters of groups whose ranges are whole.
func (m *Method[T]) Settle(s plane.Stats[T], p plane.Params[T]) kernel.Unfit {
	return kernel.Fit(m.arith, s.Low, s.High, p.Scale, p.ZeroPoint)
}

// Encode writes one code for each weight and adds what that loses to e.
func (m *Method[T]) Encode(w []T, group int, p plane.Params[T], codes []byte, e *kernel.Errors) {
	kernel.Quantize(m.arith, w, group, p.Scale, p.ZeroPoint, codes, e)
}

// Decode writes what codes stand for.
func (m *Method[T]) Decode(codes []byte, group int, p plane.Params[T], out []T) {
	kernel.Dequantize(m.arith, codes, group, p.Scale, p.ZeroPoint, out)
}
