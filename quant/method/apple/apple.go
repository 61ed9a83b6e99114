// Package apple is the method of coremltools' PostTrainingQuantizer (coremltools 9.0, optimize/_utils.py): linear codes
// of 4 or 8 bits with a scale and, where the scheme has one, a zero point for each group, in the weight's own dtype.
// The arithmetic is package kernel's. bfloat16, which coremltools refuses, is float32 arithmetic; of a scheme with
// narrow scales these are rounded to bfloat16 before codes are made with them.
//
// It stands in the table of package method, through which the executor and verify come to it.
//
// Only package quant is stable.
package apple

import (
	"nibble/quant/kernel"
	"nibble/quant/method/linear"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// New is the method for weights of a scheme and a dtype, whose arithmetic T holds.
func New[T kernel.Float](s scheme.Scheme, d tensor.Type) *linear.Method[T] {
	a := kernel.NewArith(s, d == tensor.F16)
	a.Brain = d == tensor.BF16 && s.NarrowScales
	return linear.New[T](s, a)
}
