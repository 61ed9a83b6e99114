package torch

import (
	"fmt"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// rebuildFromType is (function, class, arguments, attributes): a tensor of a subclass, or
// one with attributes of its own, which are left out.
func rebuildFromType(args []any) (any, error) {
	if len(args) < 3 {
		return nil, fmt.Errorf("_rebuild_from_type with %d arguments", len(args))
	}
	f, ok := args[0].(types.Callable)
	list, ok2 := args[2].(*types.Tuple)
	if !ok || !ok2 {
		return nil, fmt.Errorf("_rebuild_from_type without a function and its arguments")
	}
	return f.Call(*list...)
}

// rebuildV2 is (storage, offset, size, stride, requires_grad, hooks[, metadata]), and
// without the last three in files of 2017.
func (r *reader) rebuildV2(args []any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("_rebuild_tensor_v2 with %d arguments", len(args))
	}
	if inert(args[0]) {
		return &unreadable{"a tensor inside another pickle", "save the state dict itself"}, nil
	}
	s, ok := args[0].(*storage)
	if !ok || s.class.dtype == tensor.Invalid && s.class.foreign == "" {
		return nil, fmt.Errorf("_rebuild_tensor_v2 without a typed storage")
	}
	return r.rebuild(s, dtypeName(s.class), args[1:4], args[min(len(args), 6):])
}

// rebuildV3 is (storage, offset, size, stride, requires_grad, hooks, dtype[, metadata]).
func (r *reader) rebuildV3(args []any) (any, error) {
	if len(args) < 7 {
		return nil, fmt.Errorf("_rebuild_tensor_v3 with %d arguments", len(args))
	}
	s, ok := args[0].(*storage)
	d, ok2 := args[6].(dtypeName)
	if ok && !ok2 && inert(args[6]) {
		return &unreadable{"a tensor of a type that this version of Nibble does not know (" + describe(args[6]) + ")", "save it as float32"}, nil
	}
	if !ok || !ok2 {
		return nil, fmt.Errorf("_rebuild_tensor_v3 without a storage or a dtype")
	}
	return r.rebuild(s, d, args[1:4], args[7:])
}

// rebuild checks offset (elements), size and stride against the storage.
// metadata is empty or holds a dict of the view's flags.
func (r *reader) rebuild(s *storage, d dtypeName, args, metadata []any) (any, error) {
	if len(metadata) > 0 {
		if err := r.spend(256 * rawLen(metadata[0])); err != nil {
			return nil, err
		}
		flags, _ := entries(metadata[0])
		for _, f := range flags {
			if on, isBool := f.value.(bool); f.key != "conj" && f.key != "neg" || !isBool || on {
				return &unreadable{"stored with a pending operation (" + short(f.key) + ")", "save it after .resolve_conj().resolve_neg()"}, nil
			}
		}
	}
	offset, ok := args[0].(int)
	shape, ok2 := sizes(args[1])
	strides, ok3 := sizes(args[2])
	if !ok || !ok2 || !ok3 || offset < 0 || len(shape) != len(strides) {
		return nil, fmt.Errorf("a tensor on storage %q has no sound offset, size and stride", s.key)
	}
	switch {
	case s.meta:
		return &unreadable{"a tensor on the meta device, which has no values", "load the real weights before saving"}, nil
	case d.dtype == tensor.Invalid:
		return &unreadable{"of type " + d.foreign + ", which Nibble does not carry", "save it as another type"}, nil
	}
	return r.view(s, d.dtype, int64(offset), shape, strides)
}

// repeats reports whether tensors, laid out densely, are so far larger than their file that it can only
// be meant to fill a memory.
func repeats(dense float64, file int64) bool { return dense > 16*float64(file)+256<<20 }

// view is a tensor over a storage, checked: every element lies within it, and the tensors
// of the file together are not far larger than the file.
func (r *reader) view(s *storage, d tensor.DType, offset int64, shape, strides []int64) (any, error) {
	count, fits := tensor.Elements(shape)
	extent, fits2 := tensor.Extent(shape, strides)
	have := s.size / d.Size()
	var e *fault.Error
	if !fits {
		e = fault.Bad(r.file.Name, "a tensor's shape %v overflows", shape)
	} else if !fits2 || offset > have || extent > have-offset {
		e = fault.Bad(r.file.Name, "a tensor of shape %v, strides %v, offset %d reaches beyond storage %q of %d values", shape, strides, offset, s.key, have)
	}
	if e != nil && s.placed {
		e.At(s.Start)
	}
	if e != nil {
		return nil, e
	}
	if r.dense += float64(count) * float64(d.Size()); repeats(r.dense, r.file.Size) {
		return nil, fault.Not(r.file.Name, "its tensors repeat the same values until they are far larger than the file (a shape of %v over %d values)", shape, have).
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
