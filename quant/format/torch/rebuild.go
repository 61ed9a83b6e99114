package torch

import (
	"fmt"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// rebuildFromType is (function, class, arguments, attributes): a tensor of a subclass, or
// one with attributes of its own, which are left out.
func (r *reader) rebuildFromType(args []any) (any, error) {
	if len(args) != 4 {
		return nil, fmt.Errorf("_rebuild_from_type with %d arguments", len(args))
	}
	f, ok := args[0].(types.Callable)
	list, ok2 := args[2].(*types.Tuple)
	switch args[1].(type) {
	case *class, tensorClass, parameterClass:
	default:
		ok = false
	}
	if !ok || !ok2 {
		return nil, fmt.Errorf("_rebuild_from_type without a function, a class and arguments")
	}
	if err := r.harmlessState(args[3]); err != nil {
		return nil, err
	}
	out, err := f.Call(*list...)
	if err == nil && !isTensor(out) && !inert(out) {
		return nil, fmt.Errorf("_rebuild_from_type of %s", describe(out))
	}
	return out, err
}

// harmlessState refuses attributes that would put other values into a tensor.
func (r *reader) harmlessState(state any) error {
	parts := []any{state}
	if t, ok := state.(*types.Tuple); ok {
		if len(*t) != 2 {
			return fmt.Errorf("a tensor's attributes are %s", describe(state))
		}
		parts = *t
	}
	for _, part := range parts {
		if err := r.Spend(256 * rawLen(part)); err != nil {
			return err
		}
		items, ok := entries(part)
		if !ok && part != nil && part != false {
			return fmt.Errorf("a tensor's attributes are %s", describe(part))
		}
		for _, it := range items {
			switch name, isName := it.key.(string); {
			case !isName:
				return fmt.Errorf("a tensor has an attribute that is %s", describe(it.key))
			case name == "names" && it.value == nil: // as it is anyway
			case tensorsOwn[name]:
				return fmt.Errorf("a tensor's own attribute %s is set", name)
			}
		}
	}
	return nil
}

// tensorsOwn are attributes of every tensor: setting one changes its values, or fails.
var tensorsOwn = map[string]bool{
	"data": true, "real": true, "imag": true, "grad": true, "requires_grad": true, "names": true, "shape": true,
	"dtype": true, "device": true,
	"layout": true, "is_leaf": true, "grad_fn": true, "T": true, "H": true, "mT": true, "mH": true, "ndim": true,
	"itemsize": true, "nbytes": true,
	"is_sparse": true, "is_cuda": true, "is_cpu": true, "is_meta": true, "is_quantized": true, "retains_grad": true,
	"output_nr": true, "volatile": true,
	"_grad": true, "_backward_hooks": true, "_base": true, "_version": true, "_cdata": true, "_grad_fn": true,
	"__class__": true, "__dict__": true,
}

// isTensor reports whether a value is a tensor, of whatever kind.
func isTensor(v any) bool {
	switch v.(type) {
	case *value, *unreadable:
		return true
	}
	return false
}

// rebuildV1 is (storage, offset, size, stride).
func (r *reader) rebuildV1(args []any) (any, error) {
	if len(args) != 4 {
		return nil, fmt.Errorf("_rebuild_tensor with %d arguments", len(args))
	}
	return r.rebuildTyped(args)
}

// rebuildV2 is (storage, offset, size, stride, requires_grad, hooks[, metadata]).
func (r *reader) rebuildV2(args []any) (any, error) {
	if len(args) != 6 && len(args) != 7 {
		return nil, fmt.Errorf("_rebuild_tensor_v2 with %d arguments", len(args))
	}
	return r.rebuildTyped(args)
}

// rebuildTyped is a tensor of its storage's type.
func (r *reader) rebuildTyped(args []any) (any, error) {
	if inert(args[0]) {
		return &unreadable{what: "a tensor inside another pickle", do: "save the state dict itself"}, nil
	}
	s, ok := args[0].(*storage)
	if !ok {
		return nil, fmt.Errorf("_rebuild_tensor_v2 without a storage")
	}
	d := dtypeName(s.class)
	if s.class.untyped() {
		d.dtype = tensor.U8
	}
	return r.rebuild(s, d, args, min(len(args), 6))
}

// rebuildV3 is (storage, offset, size, stride, requires_grad, hooks, dtype[, metadata]).
func (r *reader) rebuildV3(args []any) (any, error) {
	if len(args) != 7 && len(args) != 8 {
		return nil, fmt.Errorf("_rebuild_tensor_v3 with %d arguments", len(args))
	}
	s, ok := args[0].(*storage)
	d, ok2 := args[6].(dtypeName)
	if ok && !ok2 && inert(args[6]) {
		return &unreadable{what: "a tensor of a type that this version of Nibble does not know (" + describe(args[6]) + ")",
			do: "save it as float32"}, nil
	}
	if !ok || !ok2 {
		return nil, fmt.Errorf("_rebuild_tensor_v3 without a storage or a dtype")
	}
	return r.rebuild(s, d, args, 7)
}

// rebuild checks offset (elements), size and stride against the storage, and the flags. From the given
// argument on there may be a dict of the view's flags.
func (r *reader) rebuild(s *storage, d dtypeName, args []any, from int) (any, error) {
	metadata := args[from:]
	if len(metadata) > 0 {
		if err := r.Spend(256 * rawLen(metadata[0])); err != nil {
			return nil, err
		}
		flags, ok := entries(metadata[0])
		if !ok && !falsy(metadata[0]) {
			return nil, fmt.Errorf("a tensor's flags are %s", describe(metadata[0]))
		}
		for _, f := range flags {
			if on, isBool := f.value.(bool); f.key != "conj" && f.key != "neg" || !isBool || on {
				return &unreadable{what: "stored with a pending operation (" + short(f.key) + ")",
					do: "save it after .resolve_conj().resolve_neg()"}, nil
			}
		}
	}
	out, err := r.placed(s, d, args[1:4])
	if err == nil && len(args) > 4 {
		err = takesGradients(args[4], out)
	}
	return out, err
}

// falsy reports whether Python takes a value for no.
func falsy(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case int:
		return v == 0
	case string:
		return v == ""
	case *types.List:
		return len(*v) == 0
	case *types.Tuple:
		return len(*v) == 0
	case *types.Set:
		return len(*v) == 0
	}
	return false
}

// placed is a tensor at an offset of a storage, with a size and strides.
func (r *reader) placed(s *storage, d dtypeName, args []any) (any, error) {
	offset, ok := args[0].(int)
	shape, ok2 := sizes(args[1])
	strides, ok3 := sizes(args[2])
	if !ok || !ok2 || !ok3 || offset < 0 || len(shape) != len(strides) {
		return nil, fmt.Errorf("a tensor on storage %q has no sound offset, size and stride", s.key)
	}
	switch {
	case s.meta:
		return &unreadable{what: "a tensor on the meta device, which has no values",
			do: "load the real weights before saving"}, nil
	case d.dtype == tensor.Invalid:
		return &unreadable{what: "of type " + d.foreign + ", which Nibble does not carry", do: "save it as another type"}, nil
	}
	return r.view(s, d.dtype, int64(offset), shape, strides)
}

// repeats reports whether tensors, laid out densely, are so far larger than their file that it can only
// be meant to fill a memory.
func repeats(dense float64, file int64) bool { return dense > 16*float64(file)+256<<20 }

// viewed distinguishes a view from others, but for those of the same size in another shape.
type viewed struct {
	*body
	dtype                 tensor.Type
	offset, count, extent int64
}

// maxSizes bounds the sizes in the shapes of all tensors.
const maxSizes = 2 << 20

// view is a tensor over a storage, checked: every element lies within it, and the tensors
// of the file together are not far larger than the file.
func (r *reader) view(s *storage, d tensor.Type, offset int64, shape, strides []int64) (any, error) {
	if r.sizes += len(shape); r.sizes > maxSizes {
		return nil, fault.Not(r.file.Name, "the shapes of its tensors take more room than those of any model")
	}
	count, fits := tensor.Elements(shape)
	extent, fits2 := tensor.Extent(shape, strides)
	have := s.size / d.Size()
	var e *fault.Error
	if !fits {
		e = fault.Bad(r.file.Name, "a tensor's shape %v overflows", shape)
	} else if count == 0 {
		offset = 0 // an empty tensor may lie anywhere
	} else if !fits2 || offset > have || extent > have-offset {
		e = fault.Bad(r.file.Name, "a tensor of shape %v, strides %v, offset %d reaches beyond storage %q of %d values",
			shape, strides, offset, s.key, have)
	}
	if e != nil && s.placed {
		e.At(s.Start)
	}
	if e != nil {
		return nil, e
	}
	// A view under many names counts once: it is one tensor, and what is written of it is bounded with the output.
	if one := (viewed{s.body, d, offset, count, extent}); !r.views[one] {
		r.views[one] = true
		r.dense += float64(count) * float64(d.Size())
	}
	if repeats(r.dense, r.file.Size) {
		return nil, fault.Not(r.file.Name, "its tensors repeat the same values until they are far larger than the file (a "+
			"shape of %v over %d values)", shape, have).
			Hint("save expanded tensors without .expand()")
	}
	return &value{tensor.Tensor{DType: d, Shape: shape, Strides: strides, Offset: offset * d.Size()}, s}, nil
}

// sizes reads a tuple (or torch.Size, or list) of non-negative integers.
func sizes(v any) ([]int64, bool) {
	var items []any
	switch v := v.(type) {
	case *types.Tuple:
		items = *v
	case *types.List:
		items = *v
	default:
		return nil, false
	}
	if len(items) > 64 { // torch's own limit on rank
		return nil, false
	}
	out := make([]int64, len(items))
	for i, it := range items {
		n, ok := it.(int)
		if !ok || n < 0 {
			return nil, false
		}
		out[i] = int64(n)
	}
	return out, true
}
