package torch

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nlpodyssey/gopickle/types"
)

// What Python's own constructors make of their one argument is a copy: what a pickle does to the one
// does not change the other.

// copied lists the members of a list, a tuple or a set that a constructor takes; none without an argument.
func (r *reader) copied(what string, args []any) ([]any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	if err := r.Spend(40 * (rawLen(args[0]) + rawMembers(args[0]))); err != nil {
		return nil, err
	}
	items := members(args[0])
	switch args[0].(type) {
	case *types.List, *types.Tuple, *types.Set:
	case *types.Dict, *ordered:
		pairs, _ := entries(args[0])
		for _, p := range pairs {
			items = append(items, p.key)
		}
	default:
		return nil, fmt.Errorf("a %s of %s", what, describe(args[0]))
	}
	if len(args) != 1 {
		return nil, fmt.Errorf("a %s of %d arguments", what, len(args))
	}
	return append(make([]any, 0, len(items)), items...), nil
}

// rawMembers is how many members a list, a tuple or a set has.
func rawMembers(v any) int {
	switch v := v.(type) {
	case *types.List:
		return len(*v)
	case *types.Tuple:
		return len(*v)
	case *types.Set:
		return len(*v)
	}
	return 0
}

// size is torch.Size(...), of integers.
func (r *reader) size(args []any) (any, error) {
	items, err := r.copied("torch.Size", args)
	for _, x := range items {
		if _, ok := integer(x); !ok {
			return nil, fmt.Errorf("a torch.Size of %s", describe(x))
		}
	}
	return types.NewTupleFromSlice(items), err
}

// tuple is tuple(...).
func (r *reader) tuple(args []any) (any, error) {
	items, err := r.copied("tuple", args)
	return types.NewTupleFromSlice(items), err
}

// list is list(...).
func (r *reader) list(args []any) (any, error) {
	items, err := r.copied("list", args)
	return types.NewListFromSlice(items), err
}

// set is set(...).
func (r *reader) set(args []any) (any, error) {
	items, err := r.copied("set", args)
	for _, x := range items {
		if unhashable(x) {
			return nil, errKey
		}
	}
	return types.NewSetFromSlice(items), err
}

var errKey = fmt.Errorf("a dict or a set has a key that cannot be one")

// unhashable reports whether Python would take a value for no key.
func unhashable(v any) bool {
	switch v := v.(type) {
	case *types.List, *types.Dict, *types.Set, *ordered:
		return true
	case *types.Tuple:
		return len(*v) > 0 // rare enough as a key to be refused whole
	}
	return false
}

// dict is dict(...) of a dict or of a list of pairs.
func (r *reader) dict(args []any) (any, error) {
	d := types.NewDict()
	return d, r.fill(d, args)
}

// orderedDict is OrderedDict(...); Python 2 pickled its items as a list of pairs.
func (r *reader) orderedDict(args []any) (any, error) {
	d := &ordered{}
	return d, r.fill(d, args)
}

// fill sets what the constructor of a dict was given.
func (r *reader) fill(d types.DictSetter, args []any) error {
	if len(args) == 0 {
		return nil
	}
	if len(args) != 1 {
		return fmt.Errorf("a dict of %d arguments", len(args))
	}
	if err := r.Spend(40 * rawLen(args[0])); err != nil {
		return err
	}
	if items, ok := entries(args[0]); ok {
		for _, it := range items {
			d.Set(it.key, it.value)
		}
		return nil
	}
	items, err := r.copied("dict", args)
	if err != nil {
		return err
	}
	for _, p := range items {
		both := members(p)
		if len(both) != 2 {
			return fmt.Errorf("a dict of something that is no list of pairs")
		}
		if unhashable(both[0]) {
			return errKey
		}
		d.Set(both[0], both[1])
	}
	return nil
}

// first is what C++ makes of a list or a value that it gives a type: the first argument.
func first(args []any) (any, error) {
	if len(args) < 1 {
		return nil, fmt.Errorf("a type for no value")
	}
	return args[0], nil
}

// device is torch.device(...), of which nothing is kept.
func device(args []any) (any, error) {
	if len(args) == 1 || len(args) == 2 {
		if name, ok := args[0].(string); ok && deviceName.MatchString(name) {
			return "device", nil
		}
	}
	return nil, fmt.Errorf("torch.device of something that is no name of one")
}

var deviceName = regexp.MustCompile(`^(cpu|cuda|ipu|xpu|mkldnn|opengl|opencl|ideep|hip|ve|fpga|maia|xla|lazy|vulkan|` +
	`mps|meta|hpu|mtia|privateuseone)(:[0-9]+)?$`)

// layoutNamed is torch.serialization._get_layout(name).
func layoutNamed(args []any) (any, error) {
	if len(args) == 1 {
		if name, ok := args[0].(string); ok && strings.HasPrefix(name, "torch.") {
			return "layout", nil
		}
	}
	return nil, fmt.Errorf("a layout without a name")
}
