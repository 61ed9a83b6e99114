package torch

import (
	"fmt"
	"math/big"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// storageClass is torch.FloatStorage and its like; dtype is Invalid for UntypedStorage.
type storageClass struct{ dtype tensor.DType }

// dtypeName is torch.float32 and its like.
type dtypeName struct{ dtype tensor.DType }

// storage is what a persistent id resolves to.
type storage struct {
	key   string
	dtype tensor.DType // Invalid when untyped
	tensor.Storage
}

// value is a rebuilt tensor, not yet named.
type value struct{ tensor.Tensor }

// function is an allowed Python callable.
type function func(args []any) (any, error)

func (f function) Call(args ...any) (any, error) { return f(args) }

// find is the allow-list: what a pickle may call. gopickle itself resolves
// collections.OrderedDict and the harmless object constructor. Anything else becomes a
// name that is kept and never called (module.go).
func (r *reader) find(module, name string) (any, error) {
	switch module + "." + name {
	case "torch._utils._rebuild_tensor_v2":
		return function(r.rebuildV2), nil
	case "torch._utils._rebuild_tensor_v3":
		return function(r.rebuildV3), nil
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		return function(rebuildParameter), nil
	case "torch.Size", "builtins.tuple", "__builtin__.tuple", "builtins.list", "builtins.dict", "builtins.set", "__builtin__.set":
		return function(passThrough), nil
	case "torch.storage.UntypedStorage", "torch.UntypedStorage":
		return storageClass{}, nil
	case "torch.serialization._get_layout":
		return function(func([]any) (any, error) { return "layout", nil }), nil
	case "torch.device":
		return function(func([]any) (any, error) { return "device", nil }), nil
	}
	if module == "torch" {
		for _, row := range dtypes {
			switch name {
			case row.storage:
				return storageClass{row.d}, nil
			case row.name:
				return dtypeName{row.d}, nil
			}
		}
	}
	return &class{r.file.Name, module, name}, nil // a name that cannot be called
}

// passThrough is a constructor of one plain value, such as torch.Size((2, 3)).
func passThrough(args []any) (any, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	return types.NewTupleFromSlice(nil), nil
}

// rebuildParameter unwraps an nn.Parameter: (data, requires_grad, hooks[, state]).
func rebuildParameter(args []any) (any, error) {
	if len(args) < 1 {
		return nil, fmt.Errorf("_rebuild_parameter without a tensor")
	}
	if _, ok := args[0].(*value); !ok {
		return nil, fmt.Errorf("_rebuild_parameter of something that is no tensor")
	}
	return args[0], nil
}

// rebuildV2 is (storage, offset, size, stride, requires_grad, hooks[, metadata]).
func (r *reader) rebuildV2(args []any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("_rebuild_tensor_v2 with %d arguments", len(args))
	}
	s, ok := args[0].(*storage)
	if !ok || s.dtype == tensor.Invalid {
		return nil, fmt.Errorf("_rebuild_tensor_v2 without a typed storage")
	}
	return r.rebuild(s, s.dtype, args[1:4], args[min(len(args), 6):])
}

// rebuildV3 is (storage, offset, size, stride, requires_grad, hooks, dtype[, metadata]).
func (r *reader) rebuildV3(args []any) (any, error) {
	if len(args) < 7 {
		return nil, fmt.Errorf("_rebuild_tensor_v3 with %d arguments", len(args))
	}
	s, ok := args[0].(*storage)
	d, ok2 := args[6].(dtypeName)
	if !ok || !ok2 {
		return nil, fmt.Errorf("_rebuild_tensor_v3 without a storage or a dtype")
	}
	return r.rebuild(s, d.dtype, args[1:4], args[7:])
}

// rebuild checks offset (elements), size and stride against the storage.
// metadata is empty or holds a dict of the view's flags.
func (r *reader) rebuild(s *storage, d tensor.DType, args, metadata []any) (any, error) {
	if len(metadata) > 0 {
		flags, _ := entries(metadata[0])
		for _, f := range flags {
			if on, isBool := f.value.(bool); f.key != "conj" && f.key != "neg" || !isBool || on {
				return nil, fault.Not(r.file.Name, "a tensor is stored with a pending operation (%s)", short(f.key)).
					Hint("save it after .resolve_conj().resolve_neg()")
			}
		}
	}
	offset, ok := args[0].(int)
	shape, ok2 := sizes(args[1])
	strides, ok3 := sizes(args[2])
	if !ok || !ok2 || !ok3 || offset < 0 || len(shape) != len(strides) {
		return nil, fmt.Errorf("a tensor on storage %q has no sound offset, size and stride", s.key)
	}
	count, fits := tensor.Elements(shape)
	extent, fits2 := tensor.Extent(shape, strides)
	have := (s.End - s.Start) / d.Size()
	if !fits || !fits2 || int64(offset) > have || extent > have-int64(offset) {
		return nil, fault.Bad(r.file.Name, "a tensor of shape %v, strides %v, offset %d reaches beyond storage %q of %d values", shape, strides, offset, s.key, have).At(s.Start)
	}
	if r.dense += float64(count) * float64(d.Size()); r.dense > 16*float64(r.file.Size)+256<<20 {
		return nil, fault.Not(r.file.Name, "its tensors repeat the same values until they are far larger than the file (a shape of %v over %d values)", shape, have).
			Hint("save expanded tensors without .expand()")
	}
	return &value{tensor.Tensor{DType: d, Shape: shape, Strides: strides, Storage: s.Storage, Offset: int64(offset) * d.Size()}}, nil
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

// load resolves a persistent id: ("storage", class, key, location, elements).
func (r *reader) load(id any) (any, error) {
	t, ok := id.(*types.Tuple)
	if !ok || t.Len() < 5 {
		return nil, fmt.Errorf("a persistent id is not a storage")
	}
	kind, _ := t.Get(0).(string)
	class, ok := t.Get(1).(storageClass)
	key, ok2 := t.Get(2).(string)
	count, ok3 := integer(t.Get(4))
	if kind != "storage" || !ok || !ok2 || !ok3 || count < 0 {
		return nil, fmt.Errorf("a persistent id is not a storage")
	}
	if s, ok := r.storages[key]; ok {
		if s.dtype != class.dtype {
			s = &storage{key, class.dtype, s.Storage}
		}
		return s, nil
	}
	span, err := r.archive.span("data/" + key)
	if err != nil {
		return nil, err
	}
	size := max(class.dtype.Size(), 1)
	if count > (1<<60)/size || count*size != span.End-span.Start {
		return nil, fault.Bad(r.file.Name, "storage %q should hold %d values of %d bytes, its entry has %d bytes", key, count, size, span.End-span.Start).At(span.Start)
	}
	s := &storage{key, class.dtype, span}
	r.storages[key] = s
	return s, nil
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case *big.Int:
		return v.Int64(), v.IsInt64()
	}
	return 0, false
}
