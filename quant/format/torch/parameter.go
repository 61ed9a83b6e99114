package torch

import (
	"errors"
	"fmt"
	"strings"
)

// takesGradients checks the flag of a tensor: only numbers with a fraction have gradients.
func takesGradients(flag any, t any) error {
	on, ok := flag.(bool)
	if !ok {
		return fmt.Errorf("requires_grad is %s", describe(flag))
	}
	if v, plain := t.(*value); plain && on && !v.DType.Fractional() {
		return fmt.Errorf("%s values that take gradients", v.DType)
	}
	return nil
}

// rebuildParameter is (data, requires_grad, hooks): an nn.Parameter.
func rebuildParameter(args []any) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("_rebuild_parameter with %d arguments", len(args))
	}
	return parameter(args[0], args[1])
}

// rebuildParameterWithState is (data, requires_grad, hooks, attributes).
func (r *reader) rebuildParameterWithState(args []any) (any, error) {
	if len(args) != 4 {
		return nil, fmt.Errorf("_rebuild_parameter_with_state with %d arguments", len(args))
	}
	if err := r.harmlessState(args[3]); err != nil {
		return nil, err
	}
	return parameter(args[0], args[1])
}

func parameter(data, requiresGrad any) (any, error) {
	if inert(data) {
		return data, nil
	}
	if !isTensor(data) {
		return nil, fmt.Errorf("a parameter of %s", describe(data))
	}
	if v, plain := data.(*value); plain && requiresGrad == false {
		frozen := *v
		frozen.Frozen = true
		data = &frozen
	}
	return data, takesGradients(requiresGrad, data)
}

// parameterClass is nn.Parameter itself: (data[, requires_grad]).
type parameterClass struct{}

func (parameterClass) Call(args ...any) (any, error) {
	if len(args) != 1 && len(args) != 2 {
		return nil, fmt.Errorf("a parameter of %d arguments", len(args))
	}
	return parameter(args[0], append(args, true)[1])
}

func (c parameterClass) PyNew(args ...any) (any, error) { return c.Call(args...) }

// tensorClass is torch.Tensor and its like, which files of 2016 call, and set afterwards.
type tensorClass struct{}

func (tensorClass) Call(args ...any) (any, error) {
	for _, a := range args {
		if _, isSize := integer(a); !isSize && (len(args) > 1 || !isTensor(a) && members(a) == nil) {
			return nil, fmt.Errorf("a tensor of %s", describe(a))
		}
	}
	return &unreadable{what: "a tensor in the way of 2016", do: "load it in PyTorch and save it again"}, nil
}
func (c tensorClass) PyNew(...any) (any, error) { return c.Call() }

func isTensorClass(module, name string) bool {
	switch module {
	case "torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse":
		return strings.HasSuffix(name, "Tensor")
	}
	return false
}

// errBuild refuses BUILD on any of these types: it would change what a tensor holds, or is wrong.
var errBuild = errors.New("it sets the state of a tensor, a storage or a function")

func (*value) PySetState(any) error         { return errBuild }
func (*storage) PySetState(any) error       { return errBuild }
func (storageClass) PySetState(any) error   { return errBuild }
func (dtypeName) PySetState(any) error      { return errBuild }
func (function) PySetState(any) error       { return errBuild }
func (*class) PySetState(any) error         { return errBuild }
func (tensorClass) PySetState(any) error    { return errBuild }
func (parameterClass) PySetState(any) error { return errBuild }

// PySetState is how files of 2016 fill such a tensor, which stays one that is not read.
func (*unreadable) PySetState(any) error { return nil }
