package convert

import (
	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

func arith(t *Task) kernel.Arith {
	return kernel.NewArith(t.Scheme, t.Tensor.DType == tensor.F16)
}

// unfit is the error for weights that the arithmetic cannot take.
func unfit(e *plan.Entry, what string) error {
	return fault.Not(e.Tensor.Storage.FileName(), "%s", what).In(e.Tensor.Name).
		Code("unfit").Hint("repair the checkpoint, or keep what cannot be quantized as it is")
}
