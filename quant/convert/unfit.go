package convert

import (
	"errors"

	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/plan"
)

// Errors of layouts that nobody makes.
var (
	errForm   = errors.New("internal error: a form says that rows share bytes, and does not pack them; please report it")
	errSpread = errors.New("internal error: a method is given groups that lie apart, which it cannot measure; please " +
		"report it")
)

// unfit is the error for a weight that the arithmetic cannot take.
func unfit(e *plan.Entry, what kernel.Unfit) error {
	return fault.Not(e.Tensor.Storage.FileName(), "%s", what).In(e.Tensor.Name).
		Code(fault.Unfit, []string{string(what)}).Hint("repair the checkpoint, or keep what cannot be quantized as it is")
}
