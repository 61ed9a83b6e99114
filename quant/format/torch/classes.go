package torch

import (
	"fmt"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// dtypeName is torch.float32 and its like.
type dtypeName struct {
	dtype   tensor.Type // Invalid for those that Nibble does not carry
	size    int64
	foreign string
}

// value is a rebuilt tensor, not yet named.
type value struct {
	tensor.Tensor
	storage *storage
}

// unreadable is a tensor that is recognised and cannot be carried. A file may hold one
// where no weight is meant; as a weight it is refused.
type unreadable struct {
	what, do string
	code     fault.Code // of the error that it is as a weight; mostly ""
}

// function is an allowed Python callable.
type function func(args []any) (any, error)

func (f function) Call(args ...any) (any, error) {
	if err := refusePassed(args); err != nil {
		return nil, err
	}
	return f(args)
}

// foreignTypes are torch's types that Nibble does not carry, with their size in bytes.
var foreignTypes = []struct {
	storage, name string
	size          int64
}{
	{"ComplexDoubleStorage", "complex128", 16}, {"", "complex32", 4},
	{"QInt8Storage", "qint8", 1}, {"QUInt8Storage", "quint8", 1}, {"QInt32Storage", "qint32", 4},
	{"QUInt4x2Storage", "quint4x2", 1}, {"QUInt2x4Storage", "quint2x4", 1},
	{"", "float4_e2m1fn_x2", 1},
}

// otherTensors are torch's ways to rebuild what is no plain tensor: what it is, and what
// the user can do.
var otherTensors = map[string][2]string{
	"torch._utils._rebuild_sparse_tensor":     {"a sparse tensor", "save it after .to_dense()"},
	"torch._utils._rebuild_sparse_csr_tensor": {"a sparse tensor", "save it after .to_dense()"},
	"torch._utils._rebuild_nested_tensor":     {"a nested tensor", "save its parts one by one"},
	"torch._utils._rebuild_meta_tensor_no_storage": {"a tensor on the meta device, which has no values",
		"load the real weights before saving"},
	"torch.nn.parameter.UninitializedParameter": {"a parameter that has no values yet (lazy)",
		"run the model once before saving it"},
	"torch.nn.parameter.UninitializedBuffer": {"a buffer that has no values yet (lazy)",
		"run the model once before saving it"},
	"torch._utils._rebuild_xla_tensor": {"a tensor of a device that stores it as NumPy data",
		"save it after .cpu()"},
	"torch._utils._rebuild_device_tensor_from_numpy": {"a tensor of a device that stores it as NumPy data",
		"save it after .cpu()"},
	"torch._utils._rebuild_device_tensor_from_cpu_tensor": {"a tensor of a device of its own", "save it after .cpu()"},
	"torch.distributed.tensor._api.DTensor": {"one rank's part of a distributed tensor",
		"save the full state dict"},
	"torch.distributed._shard.sharded_tensor.ShardedTensor": {"one rank's part of a distributed tensor",
		"save the full state dict"},
}

func quantizedTensor([]any) (any, error) {
	const do = "take the checkpoint from before it was quantized, or save it after .dequantize()"
	return &unreadable{"a quantized tensor", do, fault.AlreadyQuantized}, nil
}

// wrapperSubclass is (class, dtype, size, ...): a tensor whose values its class makes of others.
func wrapperSubclass(args []any) (any, error) {
	if len(args) > 0 {
		if c, ok := args[0].(*class); ok && strings.HasPrefix(c.module, "torchao.") {
			what := strings.ToValidUTF8(fmt.Sprintf("a tensor quantized by torchao (%.80s)", c.name), "?")
			return &unreadable{what, "take the checkpoint from before it was quantized", fault.AlreadyQuantized}, nil
		}
	}
	return &unreadable{what: "a tensor of a class of its own", do: "save plain tensors"}, nil
}

// find is the allow-list: what a pickle may call. gopickle itself resolves the harmless
// object constructors. Anything else becomes a name that is kept and never called: what
// calling it would give is a record that says so (record.go).
func (r *reader) find(module, name string) (any, error) {
	full := module + "." + name
	switch full {
	case "collections.OrderedDict":
		return function(r.orderedDict), nil
	case "copy_reg._reconstructor", "copyreg._reconstructor":
		return function(reconstruct), nil
	case "torch._utils._rebuild_tensor":
		return function(r.rebuildV1), nil
	case "torch._utils._rebuild_tensor_v2":
		return function(r.rebuildV2), nil
	case "torch._utils._rebuild_tensor_v3":
		return function(r.rebuildV3), nil
	case "torch._utils._rebuild_parameter":
		return function(rebuildParameter), nil
	case "torch._utils._rebuild_parameter_with_state":
		return function(r.rebuildParameterWithState), nil
	case "torch._tensor._rebuild_from_type_v2", "torch._tensor._rebuild_from_type", "torch.tensor._rebuild_from_type":
		return function(r.rebuildFromType), nil
	case "torch._utils._rebuild_qtensor":
		return function(quantizedTensor), nil
	case "torch._utils._rebuild_wrapper_subclass":
		return function(wrapperSubclass), nil
	case "torch.nn.parameter.Parameter":
		return parameterClass{}, nil
	case "torch.Size":
		return function(r.size), nil
	case "builtins.tuple", "__builtin__.tuple":
		return function(r.tuple), nil
	case "builtins.list", "__builtin__.list":
		return function(r.list), nil
	case "builtins.dict", "__builtin__.dict":
		return function(r.dict), nil
	case "builtins.set", "__builtin__.set":
		return function(r.set), nil
	case "torch.jit._pickle.restore_type_tag", "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_doublelist",
		"torch.jit._pickle.build_boollist", "torch.jit._pickle.build_tensorlist":
		return function(first), nil
	case "torch.storage.UntypedStorage", "torch.UntypedStorage":
		return storageClass{size: 1}, nil
	case "torch.serialization._get_layout":
		return function(layoutNamed), nil
	case "torch.device":
		return function(device), nil
	}
	if other, ok := otherTensors[full]; ok {
		return function(func([]any) (any, error) { return &unreadable{what: other[0], do: other[1]}, nil }), nil
	}
	if module == "torch" {
		if c := typeNamed(name); c != nil {
			return c, nil
		}
	}
	if isTensorClass(module, name) {
		return tensorClass{}, nil
	}
	c := &class{reader: r, module: module, name: name} // a name that cannot be called
	if runsCommands(module, name) {
		return nil, c.refuse("")
	}
	return c, nil
}

// typeNamed finds a storage class or a dtype of torch's, nil when there is none.
func typeNamed(name string) any {
	for _, row := range dtypes {
		switch name {
		case row.storage:
			return storageClass{row.d, row.d.Size(), ""}
		case row.name:
			return dtypeName{row.d, row.d.Size(), ""}
		}
	}
	for _, row := range foreignTypes {
		switch name {
		case row.storage:
			return storageClass{tensor.Invalid, row.size, row.name}
		case row.name:
			return dtypeName{tensor.Invalid, row.size, row.name}
		}
	}
	return nil
}

// ordered is an OrderedDict: its items as they were set, and its attributes.
type ordered struct {
	items []pair
	state any
}

// Set and PySetState are what a pickle does to it.
func (d *ordered) Set(key, value any) { d.items = append(d.items, pair{key, value}) }

// PySetState keeps the attributes, such as _metadata.
func (d *ordered) PySetState(state any) error {
	if !isDict(state) && !(isSequence(state) && falsy(state)) {
		return fmt.Errorf("the attributes of a dict are %s", describe(state))
	}
	d.state = state
	return nil
}

// isDict and isSequence go by the type alone, which takes no time.
func isDict(v any) bool {
	switch v.(type) {
	case *types.Dict, *ordered:
		return true
	}
	return false
}

func isSequence(v any) bool {
	switch v.(type) {
	case *types.List, *types.Tuple:
		return true
	}
	return false
}

// reconstruct is (class, base, state): an object of Python 2's protocols.
func reconstruct(args []any) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("_reconstructor with %d arguments", len(args))
	}
	c, ok := args[0].(*class)
	if !ok {
		return nil, fmt.Errorf("_reconstructor of something that is no class")
	}
	return &record{class: c, given: args[2] != nil}, nil
}
