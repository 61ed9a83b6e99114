package torch

import (
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
)

// A whole nn.Module in a pickle is a tree of objects, each a class by name and a dict of
// attributes. Nibble imports no class and calls none: an object is a record of both, and
// the state dict is read off the tree as nn.Module.state_dict would (torch/nn/modules/
// module.py of PyTorch 2.8). The classes are what the file tells of the layers' types.

// class is a Python class that Nibble knows only by name.
type class struct {
	file         string
	module, name string
}

// Call runs nothing: what a call would give is a record of it. A call that could harm
// the machine of whoever loads the file with Python is refused, so that they hear of it.
func (c *class) Call(...any) (any, error) {
	top, _, _ := strings.Cut(c.module, ".")
	if dangerous[top] || dangerous[c.module+"."+c.name] {
		return nil, fault.Not(c.file, "Python would run %s.%s when it loads this file", c.module, c.name).
			Hint("do not load it: a file of weights needs no such thing, and its maker should be asked")
	}
	return &record{class: c, called: true}, nil
}

// PyNew makes an empty record, as cls.__new__(cls) would.
func (c *class) PyNew(...any) (any, error) { return &record{class: c}, nil }

// record is an object: its attributes are the state it was pickled with. Objects of
// classes that derive from dict have items, too.
type record struct {
	class  *class
	called bool // it is what calling the class, or a function, gave
	state  any
	items  []pair
}

// Call is a call of what a call gave (getattr's, functools.partial's), which runs nothing.
func (o *record) Call(...any) (any, error) { return &record{class: o.class, called: true}, nil }

// Set, Append and Add are what a pickle does to a dict, a list and a set.
func (o *record) Set(key, value any) { o.items = append(o.items, pair{key, value}) }
func (o *record) Append(any)         {}
func (o *record) Add(any)            {}

// inert reports whether a value is a name or an object that Nibble knows nothing of.
func inert(v any) bool {
	switch v.(type) {
	case *record, *class:
		return true
	}
	return false
}

// PySetState keeps the attributes.
func (o *record) PySetState(state any) error {
	if t, ok := state.(*types.Tuple); ok && t.Len() == 2 {
		state = t.Get(0) // beside __slots__
	}
	o.state = state
	return nil
}

// PyDictSet and PySetAttr complete the interface; BUILD uses PySetState.
func (o *record) PyDictSet(any, any) error    { return nil }
func (o *record) PySetAttr(string, any) error { return nil }

// isModule reports whether a value is an nn.Module, by the attributes all of them have.
func isModule(v any) bool {
	o, ok := v.(*record)
	if !ok {
		return false
	}
	_, parameters := o.attribute("_parameters")
	_, modules := o.attribute("_modules")
	return parameters && modules
}

// attribute finds a dict among the attributes.
func (o *record) attribute(name string) ([]pair, bool) {
	attributes, _ := entries(o.state)
	for _, a := range attributes {
		if a.key == name {
			return entries(a.value)
		}
	}
	return nil, false
}

// Bounds on a tree of modules. One module can stand in it many times, so that a small
// pickle can mean an endless tree: what counts is the walk, in entries looked at and in
// characters of names.
const (
	maxWork  = 4 << 20
	maxDepth = 200
)

// moduleWalk reads a state dict off a tree of modules.
type moduleWalk struct {
	file    string
	items   []pair
	classes map[string]string
	work    int
}

// moduleState is nn.Module.state_dict: own parameters, then persistent buffers, then the
// children, in order; and the class of each module that is torch's own.
func (r *reader) moduleState(root *record) ([]pair, map[string]string, error) {
	w := &moduleWalk{file: r.file.Name, classes: map[string]string{}}
	err := w.walk(root, "", 0)
	return w.items, w.classes, err
}

func (w *moduleWalk) walk(o *record, path string, depth int) error {
	attributes, _ := entries(o.state)
	if !w.pay(path, len(attributes)) || depth > maxDepth {
		return w.endless()
	}
	prefix := path
	if path != "" {
		prefix += "."
	}
	// A subclass of MultiheadAttention's own that is a Linear in all but name.
	if torchs := strings.HasPrefix(o.class.module, "torch.nn.modules."); torchs && o.class.name != "NonDynamicallyQuantizableLinear" {
		w.classes[path] = o.class.name
	}
	passing := map[string]bool{} // buffers that torch does not save
	for _, a := range attributes {
		if a.key == "_non_persistent_buffers_set" {
			for _, name := range members(a.value) {
				if text, ok := name.(string); ok {
					passing[text] = true
				}
			}
		}
	}
	for _, kind := range []string{"_parameters", "_buffers"} {
		own, _ := o.attribute(kind)
		if !w.pay(prefix, len(own)) {
			return w.endless()
		}
		for _, it := range own {
			name, ok := it.key.(string)
			if !ok || it.value == nil || kind == "_buffers" && passing[name] {
				continue
			}
			w.items = append(w.items, pair{prefix + name, it.value})
		}
	}
	children, _ := o.attribute("_modules")
	if !w.pay(prefix, len(children)) {
		return w.endless()
	}
	for _, it := range children {
		name, ok := it.key.(string)
		child, isRecord := it.value.(*record)
		if !ok || !isRecord {
			continue // None, where a layer is left out
		}
		if err := w.walk(child, prefix+name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// pay accounts for entries that are looked at under a path.
func (w *moduleWalk) pay(path string, entries int) bool {
	w.work += 1 + entries*(1+len(path)/8)
	return w.work <= maxWork
}

func (w *moduleWalk) endless() error {
	return fault.Bad(w.file, "its modules nest or repeat more than those of a model do")
}

// members lists what builtins.set was made of.
func members(v any) []any {
	switch v := v.(type) {
	case *types.List:
		return *v
	case *types.Tuple:
		return *v
	case *types.Set:
		var out []any
		for x := range *v {
			out = append(out, x)
		}
		return out
	}
	return nil
}

// moduleNote says what a module holds beside its weights.
func moduleNote(o *record) string {
	return "the file holds a whole model (" + strings.ToValidUTF8(o.class.module+"."+o.class.name, "?") + "); its code, settings and non-persistent buffers are left out"
}
