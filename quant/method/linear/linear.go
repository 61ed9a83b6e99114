// Package linear is what the methods share that make linear codes of the ranges of groups: coremltools' (apple) and
// compressed-tensors' (minmax). They differ in their kernel.Arith alone. Groups may have any shape and size.
//
// Only package quant is stable.
package linear

import (
	"math"

	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/scheme"
)

// Planes are what such a method makes of a scheme beside codes and scales.
func Planes(s scheme.Scheme) plane.Has {
	return plane.Has{ZeroPoint: s.HasZeroPoint() && !s.Offsets, Offset: s.Offsets}
}

// Method is the arithmetic of one weight.
type Method[T kernel.Float] struct {
	has    plane.Has
	arith  kernel.Arith
	offset T // of a scale of 1, where offsets are made: what the least code stands for
	most   T // that an offset can be
}

// New is the method of a scheme with an arithmetic.
func New[T kernel.Float](s scheme.Scheme, a kernel.Arith) *Method[T] {
	m := &Method[T]{has: Planes(s), arith: a, offset: T(math.Ldexp(-1, s.Bits()-1)), most: math.MaxFloat32}
	if a.Half {
		m.most = 65504
	}
	return m
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

// Settle makes the parameters of groups whose ranges are whole. An offset is a scale times a power of two, and exact.
func (m *Method[T]) Settle(s plane.Stats[T], p plane.Params[T]) kernel.Unfit {
	unfit := kernel.Fit(m.arith, s.Low, s.High, p.Scale, p.ZeroPoint)
	if m.has.Offset && unfit == "" {
		for i, scale := range p.Scale {
			if p.Offset[i] = m.offset * scale; -p.Offset[i] > m.most {
				return kernel.TooLarge[T](m.arith)
			}
		}
	}
	return unfit
}

// Encode writes one code for each weight and adds what that loses to e.
func (m *Method[T]) Encode(w []T, group int, p plane.Params[T], codes []byte, e *kernel.Errors) {
	kernel.Quantize(m.arith, w, group, p.Scale, p.ZeroPoint, codes, e)
}

// Decode writes what codes stand for.
func (m *Method[T]) Decode(codes []byte, group int, p plane.Params[T], out []T) {
	kernel.Dequantize(m.arith, codes, group, p.Scale, p.ZeroPoint, out)
}
