package torch

import (
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
)

// A whole nn.Module in a pickle is a tree of objects, each a class by name and a dict of
// attributes. Nibble imports no class and calls none: an object is a record of both, and
// the state dict is read off the tree as nn.Module.state_dict would (torch/nn/modules/
// module.py of PyTorch 2.8). The classes are what the file says of the layers' types.

// moduleKind says whether a record is an nn.Module, by the attributes that all of them have.
type moduleKind uint8

const (
	unknownKind moduleKind = iota // the record was not looked at yet
	noModule                      // it has neither of the attributes
	wholeModule                   // it has both
	halfModule                    // it has one: torch could not find its weights, and neither can Nibble
)

// isModule reports whether a value is an nn.Module.
func isModule(v any) bool { return moduleKindOf(v) == wholeModule }

// moduleKindOf looks at a record once.
func moduleKindOf(v any) moduleKind {
	o, ok := v.(*record)
	if !ok {
		return noModule
	}
	if o.module == unknownKind {
		_, parameters := o.attribute("_parameters")
		_, modules := o.attribute("_modules")
		switch {
		case parameters && modules:
			o.module = wholeModule
		case parameters || modules:
			o.module = halfModule
		default:
			o.module = noModule
		}
	}
	return o.module
}

// Bounds on a tree of modules. One module can stand in it many times, so that a small
// pickle can mean an endless tree: what counts is the walk, in characters of names and in
// entries, each worth perEntry of them.
const (
	maxWork  = 48 << 20
	perEntry = 64
	maxDepth = 200
)

// moduleWalk reads a state dict off a tree of modules. What a module has is found differently in pickles of nn.Module
// and in TorchScript, so readLayer says it, once for each module.
type moduleWalk struct {
	file      string
	readLayer func(o *record, path string) (*layer, error)
	items     []pair
	classes   map[string]string
	work      int
	seen      map[*record]*layer
}

// layer is what one module has: its own parameters and persistent buffers, its children, each in order, and its
// class, "" where that is to be inferred.
type layer struct {
	own, children []pair
	class         string
}

// newModuleWalk is a walk that has found nothing yet.
func newModuleWalk(file string) *moduleWalk {
	return &moduleWalk{file: file, classes: map[string]string{}, seen: map[*record]*layer{}}
}

// moduleState is nn.Module.state_dict: own parameters, then persistent buffers, then the
// children, in order; and the class of each module.
func (r *reader) moduleState(root *record) ([]pair, map[string]string, error) {
	w := newModuleWalk(r.file.Name)
	w.readLayer, w.work = w.pickledLayer, r.walked // all walks of a file together are bounded
	err := w.walk(root, "", 0)
	r.walked = w.work
	return w.items, w.classes, err
}

// walk reads a module and those in it.
func (w *moduleWalk) walk(o *record, path string, depth int) error {
	l := w.seen[o]
	if l == nil {
		var err error
		if l, err = w.readLayer(o, path); err != nil {
			return err
		}
		w.seen[o] = l
	}
	if !w.pay(len(path), 1) || depth > maxDepth {
		return w.endless()
	}
	if l.class != "" {
		w.classes[path] = l.class
	}
	prefix := path
	if path != "" {
		prefix += "."
	}
	for _, it := range l.own {
		name := it.key.(string)
		if !w.pay(len(prefix)+len(name), 1) {
			return w.endless()
		}
		w.items = append(w.items, pair{prefix + name, it.value})
	}
	for _, it := range l.children {
		name := it.key.(string)
		if !w.pay(len(prefix)+len(name), 1) {
			return w.endless()
		}
		if err := w.walk(it.value.(*record), prefix+name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// pickledLayer reads the attributes of an nn.Module.
func (w *moduleWalk) pickledLayer(o *record, path string) (*layer, error) {
	if !w.pay(0, rawLen(o.state)) {
		return nil, w.endless()
	}
	if c := o.class.module; strings.HasPrefix(c, "torch.ao.nn.") || strings.HasPrefix(c, "torch.nn.quantized.") ||
		strings.HasPrefix(c, "torch.nn.intrinsic.quantized.") {
		return nil, fault.Not(w.file, "%s is a quantized layer (%s)", moduleLabel(path), describe(o)).
			Code(fault.AlreadyQuantized, describe(o)).
			Hint("take the model from before it was quantized")
	}
	if rawLen(o.state) != o.size {
		return nil, fault.Bad(w.file, "the attributes of %s change after they were set", moduleLabel(path))
	}
	attributes, _ := entries(o.state)
	l, kinds := &layer{}, map[string]any{}
	for _, a := range attributes {
		if name, ok := a.key.(string); ok {
			kinds[name] = a.value
		}
	}
	l.class = classOf(o, kinds)
	passing := map[string]bool{} // buffers that torch does not save
	left, ok := names(kinds["_non_persistent_buffers_set"])
	if !ok {
		return nil, fault.Not(w.file, "the buffers of %s that are not saved are %s", moduleLabel(path),
			describe(kinds["_non_persistent_buffers_set"]))
	}
	if !w.pay(0, len(left)) {
		return nil, w.endless()
	}
	for _, name := range left {
		if text, ok := name.(string); ok {
			passing[text] = true
		}
	}
	for _, kind := range []string{"_parameters", "_buffers", "_modules"} {
		if !w.pay(0, rawLen(kinds[kind])) {
			return nil, w.endless()
		}
		own, _ := entries(kinds[kind])
		for _, it := range own {
			name, ok := it.key.(string)
			switch {
			case !ok || it.value == nil || kind == "_buffers" && passing[name]:
			case kind != "_modules":
				l.own = append(l.own, it)
			case isModule(it.value):
				l.children = append(l.children, it)
			default:
				return nil, fault.Not(w.file, "%s is %s, whose weights are not known", moduleLabel(join(path, name)),
					describe(it.value)).
					Hint("save the weights with torch.save(model.state_dict(), ...)")
			}
		}
	}
	return l, nil
}

// join puts a path and a name together with a dot.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// moduleLabel is a module's path for people.
func moduleLabel(path string) string {
	if path == "" {
		return "the model"
	}
	return "the module " + short(path)
}

// pay accounts for characters of names and for entries.
func (w *moduleWalk) pay(characters, entries int) bool {
	w.work += characters + entries*perEntry
	return w.work <= maxWork
}

// endless is the error for a tree that takes more work than any model's.
func (w *moduleWalk) endless() error {
	return fault.Bad(w.file, "its modules nest or repeat more than those of a model do")
}

// names lists the members of a set, a list or a tuple, or the keys of a dict; none of nothing. ok is false for
// anything else.
func names(v any) ([]any, bool) {
	switch v.(type) {
	case nil:
		return nil, true
	case *types.List, *types.Tuple, *types.Set:
		return members(v), true
	case *types.Dict, *ordered:
		items, _ := entries(v)
		var keys []any
		for _, it := range items {
			keys = append(keys, it.key)
		}
		return keys, true
	}
	return nil, false
}

// members lists what a builtins.set was made of.
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
	return "the file holds a whole model (" + strings.ToValidUTF8(o.class.module+"."+o.class.name, "?") +
		"); its code, settings and non-persistent buffers are left out"
}
