package torch

import (
	"slices"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// What a file is said to hold in which no model is found.

// refuseEmpty says what a file without tensors by name holds.
func (r *reader) refuseEmpty(root any) error {
	items, ok := entries(root)
	for _, it := range items {
		if _, err := r.tensorOf(it); err != nil {
			return err
		}
	}
	numbered := slices.ContainsFunc(items, func(it pair) bool {
		_, isName := it.key.(string)
		return !isName && isTensor(it.value)
	})
	e := fault.Not(r.file.Name, "the file holds no tensors by name")
	switch {
	case moduleKindOf(root) == halfModule:
		return fault.Bad(r.file.Name, "the file holds %s that lacks _parameters or _modules, which every module has",
			describe(root)).Hint(savePlain)
	case !ok:
		e = fault.Not(r.file.Name, "the file holds %s, not a state dict", describe(root))
	case isOptimizer(items):
		return fault.Not(r.file.Name, "this is the state of an optimizer, not a model").Hint(modelBeside)
	case r.holdsOptimizer(items):
		return fault.Not(r.file.Name, "the file holds the state of an optimizer, and no model beside it").Hint(modelBeside)
	case numbered:
		e = fault.Not(r.file.Name, "the file holds tensors under numbers, not under names")
	}
	return e.Hint(savePlain)
}

// savePlain is what to do with a file in which no state dict is found.
const savePlain = "save the weights with torch.save(model.state_dict(), ...)"

// modelBeside is what to do with the state of an optimizer.
const modelBeside = "drop the model's checkpoint, which lies beside it"

// holdsOptimizer looks for the state of an optimizer under the keys of a dict, in each dict once.
func (r *reader) holdsOptimizer(items []pair) bool {
	seen := map[any]bool{}
	for _, it := range items {
		if !isDict(it.value) || seen[it.value] {
			continue
		}
		seen[it.value] = true
		inner, _ := entries(it.value)
		if r.Spend(16*(len(inner)+1)) != nil || isOptimizer(inner) {
			return true
		}
	}
	return false
}

// refusePartitioned refuses what DeepSpeed's ZeRO-3 leaves in place of weights: tensors without values, and their
// shapes beside them.
func (r *reader) refusePartitioned(root any, out *tensor.StateDict) error {
	items, _ := entries(root)
	shapes := slices.ContainsFunc(items, func(it pair) bool { return it.key == "param_shapes" })
	full := slices.ContainsFunc(out.Tensors, func(t tensor.Tensor) bool {
		return t.Elements() > 0 && t.DType.Weight() && len(t.Shape) > 1
	})
	if !shapes || full || len(out.Tensors) == 0 {
		return nil
	}
	const what = "this is one rank's part of a DeepSpeed ZeRO-3 checkpoint: its tensors are placeholders without values"
	return fault.Not(r.file.Name, what).Code(fault.ZeRO3).
		Hint("in the checkpoint's folder run python zero_to_fp32.py . merged, and take what it writes")
}
