// Package mlx is the method of MLX 0.32 (mx.quantize, mode affine, on the CPU): unsigned codes of 4 or 8 bits with a
// scale and a float offset for each group of one row, which MLX calls biases. The arithmetic is package kernel's
// (offset.go); it is float32's for weights of every dtype, and scales and offsets are stored in the weight's own.
// MLX on Metal and CUDA rounds otherwise, so files that a Mac made differ in some codes.
//
// It stands in the table of package method, through which the executor and verify come to it.
//
// Only package quant is stable.
package mlx

import (
	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Planes are what the method makes of a scheme beside codes and scales.
func Planes(scheme.Scheme) plane.Has { return plane.Has{Offset: true} }

// Method is the arithmetic of one weight.
type Method struct{ arith kernel.OffsetArith }

// New is the method for weights of a scheme and a dtype.
func New(s scheme.Scheme, d tensor.Type) *Method {
	return &Method{kernel.OffsetArith{Half: d == tensor.F16, Brain: d == tensor.BF16, Max: 1<<s.Bits() - 1}}
}

// Has is which planes it makes beside codes and scales.
func (m *Method) Has() plane.Has { return Planes(scheme.Scheme{}) }

// Fit makes the parameters of groups that lie one after the other in w, and says why there are none.
func (m *Method) Fit(w []float32, group int, s plane.Stats[float32], p plane.Params[float32]) kernel.Unfit {
	return kernel.FitOffset(m.arith, w, group, s.Low, s.High, p.Scale, p.Offset)
}

// Encode writes one code for each weight and adds what that loses to e.
func (m *Method) Encode(w []float32, group int, p plane.Params[float32], codes []byte, e *kernel.Errors) {
	kernel.QuantizeOffset(m.arith, w, group, p.Scale, p.Offset, codes, e)
}

// Decode writes what codes stand for.
func (m *Method) Decode(codes []byte, group int, p plane.Params[float32], out []float32) {
	kernel.DequantizeOffset(m.arith, codes, group, p.Scale, p.Offset, out)
}
