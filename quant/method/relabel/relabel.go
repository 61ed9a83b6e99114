// Package relabel is the method of weights that are quantized already, with symmetric codes, when they are said in a
// form with offsets. The scales are what it is given, one to a group, and stay as they are; the offset is what the
// least code stands for, a scale times a power of two, and exact. There are no codes to make: the source's are copied.
//
// It stands in the table of package method, through which the executor and verify come to it.
//
// Only package quant is stable.
package relabel

import (
	"math"

	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Planes are what the method makes of a scheme beside codes and scales.
func Planes(scheme.Scheme) plane.Has { return plane.Has{Offset: true} }

// Method is the arithmetic of the scales of one weight.
type Method struct {
	least float32 // code
	most  float32 // that an offset can be
	half  bool
}

// New is the method for scales of a dtype, of codes of a scheme.
func New(s scheme.Scheme, d tensor.Type) *Method {
	m := &Method{least: float32(math.Ldexp(-1, s.Bits()-1)), most: math.MaxFloat32, half: d == tensor.F16}
	if m.half {
		m.most = 65504
	}
	return m
}

// Has is which planes it makes beside codes and scales.
func (m *Method) Has() plane.Has { return Planes(scheme.Scheme{}) }

// Fit makes the offsets of scales, which are groups of one.
func (m *Method) Fit(w []float32, _ int, _ plane.Stats[float32], p plane.Params[float32]) kernel.Unfit {
	for i, s := range w {
		switch offset := m.least * s; {
		case s != s:
			return kernel.NaN
		case math.IsInf(float64(s), 0):
			return kernel.Infinite
		case max(offset, -offset) > m.most:
			return kernel.TooLarge[float32](kernel.Arith{Half: m.half})
		default:
			p.Scale[i], p.Offset[i] = s, offset
		}
	}
	return ""
}

// Encode makes no codes, and loses nothing.
func (m *Method) Encode(w []float32, _ int, _ plane.Params[float32], codes []byte, e *kernel.Errors) {
	clear(codes[:len(w)])
	e.Count += int64(len(w))
}

// Decode gives the scales back.
func (m *Method) Decode(codes []byte, group int, p plane.Params[float32], out []float32) {
	for i := range codes {
		out[i] = p.Scale[i/group]
	}
}
