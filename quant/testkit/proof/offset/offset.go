// Package offset is a method with a float offset, as MLX has it: w = scale * code + offset, one of the two ends of a
// group's range exact. It stands in no table of Nibble's own; tests add it, to show what a new method takes: this
// folder and a row. Its groups lie within a row.
package offset

import (
	"math"

	"nibble/quant/kernel"
	"nibble/quant/method"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Row is the method's in the table.
var Row = method.Row{
	Name:   "offset",
	Planes: func(scheme.Scheme) plane.Has { return plane.Has{Offset: true} },
	Single: func(s scheme.Scheme, _ tensor.Type) method.Method[float32] { return arithmetic[float32]{most(s)} },
	Double: func(s scheme.Scheme) method.Method[float64] { return arithmetic[float64]{most(s)} },
}

// most is the largest code; the smallest is 0.
func most(s scheme.Scheme) float64 { return float64(int(1)<<s.Bits() - 1) }

type arithmetic[T kernel.Float] struct{ most float64 }

func (arithmetic[T]) Has() plane.Has { return plane.Has{Offset: true} }

func (m arithmetic[T]) Fit(w []T, group int, _ plane.Stats[T], p plane.Params[T]) kernel.Unfit {
	for k := range p.Scale {
		group := w[k*group : (k+1)*group]
		low, high := group[0], group[0]
		for _, v := range group {
			if v != v {
				return kernel.NaN
			}
			if math.IsInf(float64(v), 0) {
				return kernel.Infinite
			}
			low, high = min(low, v), max(high, v)
		}
		if p.Scale[k], p.Offset[k] = Params(low, high, T(m.most)); math.IsInf(float64(p.Scale[k]), 0) {
			return kernel.TooLargeF32
		}
	}
	return ""
}

// Params is the scale and the offset of a range.
func Params[T kernel.Float](low, high, most T) (scale, offset T) {
	edge := high
	if scale = max((high-low)/most, 1e-7); -low > high {
		edge = low
	} else {
		scale = -scale
	}
	if q := T(math.RoundToEven(float64(edge / scale))); q != 0 {
		return edge / q, edge
	}
	return scale, 0
}

// Code is the code of a weight.
func Code[T kernel.Float](w, scale, offset, most T) byte {
	return byte(min(max(T(math.RoundToEven(float64((w-offset)/scale))), 0), most))
}

// Value is what a code stands for.
func Value[T kernel.Float](code byte, scale, offset T) T { return T(scale*T(code)) + offset }

func (m arithmetic[T]) Encode(w []T, group int, p plane.Params[T], codes []byte, e *kernel.Errors) {
	for i, v := range w {
		scale, offset := p.Scale[i/group], p.Offset[i/group]
		codes[i] = Code(v, scale, offset, T(m.most))
		before, after := float64(v), float64(Value(codes[i], scale, offset))
		e.Count++
		e.Signal += before * before
		e.Noise += (before - after) * (before - after)
		e.Approximated += after * after
		e.Max = max(e.Max, math.Abs(before-after))
	}
}

func (m arithmetic[T]) Decode(codes []byte, group int, p plane.Params[T], out []T) {
	for i, c := range codes {
		out[i] = Value(c, p.Scale[i/group], p.Offset[i/group])
	}
}
