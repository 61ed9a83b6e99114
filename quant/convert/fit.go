package convert

import (
	"math"

	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

func arith(t *Task) kernel.Arith {
	return kernel.NewArith(t.Scheme, t.Tensor.DType == tensor.F16)
}

// blockParams turns ranges into scales and zero points, and says why weights have none:
// NaN, infinities, and float16 values too large for float16 arithmetic.
func blockParams[T kernel.Float](t *Task, a kernel.Arith, lo, hi, scale []T, zp []byte) (unfit string) {
	if kernel.Params(a, lo, hi, scale, zp) {
		return "" // no scale is near where that happens
	}
	for i := range lo {
		if l, h := float64(lo[i]), float64(hi[i]); l != l || h != h {
			return "its weights hold a value that is not a number (NaN)"
		} else if math.IsInf(l, 0) || math.IsInf(h, 0) {
			return "its weights hold an infinite value"
		}
	}
	kernel.NoZeroScale(a, scale)
	for i, s := range scale {
		if math.IsInf(float64(s), 0) || overflows(a, t.Tensor.DType, float64(lo[i]), float64(hi[i])) {
			return "its weights span more than " + t.Tensor.DType.Arithmetic().String() + " arithmetic can hold"
		}
	}
	return ""
}

// overflows finds what an infinite scale does not show. The zero point of affine codes
// comes from qmin*hi and qmax*lo, which overflow float16 long before the weights do;
// coremltools then clips an infinity and writes codes that mean nothing. And it
// dequantizes float64 weights through float32.
func overflows(a kernel.Arith, d tensor.DType, lo, hi float64) bool {
	most := math.MaxFloat32
	if d == tensor.F16 {
		most = 65504
	}
	reach := 1.0
	if a.Affine {
		qmin, qmax := a.Min, a.Max
		reach = float64(max(-qmin, qmax))
	}
	return max(math.Abs(lo), math.Abs(hi))*reach > most
}

// unfit is the error for weights that the arithmetic cannot take.
func unfit(e *plan.Entry, what string) error {
	return fault.Not(e.Tensor.Storage.FileName(), "%s", what).In(e.Tensor.Name).
		Hint("repair the checkpoint, or keep such tensors as they are with --keep-unfit (on the page: keep what cannot be quantized)")
}
