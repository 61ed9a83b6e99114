// Package minmax is the method of compressed-tensors 0.15 with its memoryless minmax observer, which llm-compressor
// takes where it sees no data: linear codes of 4 or 8 bits, symmetric or with a zero point, in float32, float16 or
// bfloat16, every operation rounded to the weight's own dtype. The arithmetic is package kernel's (minmax.go), which
// says where it differs from coremltools'. It knows signed codes alone, and no float64.
//
// It stands in the table of package method, through which the executor and verify come to it.
//
// Only package quant is stable.
package minmax

import (
	"nibble/quant/kernel"
	"nibble/quant/method/linear"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// New is the method for weights of a scheme and a dtype.
func New(s scheme.Scheme, d tensor.Type) *linear.Method[float32] {
	return linear.New[float32](s, kernel.NewMinMax(s, d == tensor.F16, d == tensor.BF16))
}
