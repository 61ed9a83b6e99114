package torch

import (
	"fmt"
	"slices"
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
	reader       *reader
	module, name string
}

// Call runs nothing: what a call would give is a record of it.
func (c *class) Call(args ...any) (any, error) {
	if err := handsOver(args); err != nil {
		return nil, err
	}
	if takesAttribute(c, args) {
		return nil, c.refuse(fmt.Sprintf(" for %q", short(args[1])))
	}
	if changes(c, args) {
		return nil, fmt.Errorf("it calls %s on a tensor or a dict, which could change it", short(c.module+"."+c.name))
	}
	given := len(args) > 0 && !(c.name == "defaultdict" && len(args) == 1)
	return &record{class: c, called: true, given: given}, nil
}

// changes reports whether a call of a function of Python's, or of a method, could change a tensor or a dict. A class
// inside a class has a dotted name, too, and a capital.
func changes(c *class, args []any) bool {
	switch c.module {
	case "builtins", "__builtin__", "operator", "_operator", "torch", "torch._C", "torch.ops":
	default:
		last := c.name[strings.LastIndexByte(c.name, '.')+1:]
		if last == c.name || last != strings.ToLower(last) {
			return false
		}
	}
	return slices.ContainsFunc(args[:min(len(args), 64)], func(a any) bool {
		_, isStorage := a.(*storage)
		return isStorage || isTensor(a) || isDict(a)
	})
}

// PyNew makes an empty record, as cls.__new__(cls) would.
func (c *class) PyNew(args ...any) (any, error) {
	return &record{class: c}, handsOver(args)
}

// record is an object: its attributes are the state it was pickled with. Objects of
// classes that derive from dict have items, too.
type record struct {
	class  *class
	called bool // it is what calling the class, or a function, gave
	given  bool // with arguments, so that what is set in it afterwards is not all that it holds
	state  any
	size   int // of the state when it was set: Python copies it
	items  []pair
	module int8 // whether it is one: 0 is not known, 1 no, 2 yes
}

// Call is a call of what a call gave (getattr's, functools.partial's), which runs nothing.
func (o *record) Call(args ...any) (any, error) {
	return &record{class: o.class, called: true}, handsOver(args)
}

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
	if err := handsOver([]any{state}); err != nil {
		return err
	}
	if t, ok := state.(*types.Tuple); ok && t.Len() == 2 {
		state = t.Get(0) // beside __slots__
	}
	if o.state != nil {
		return fmt.Errorf("the state of an object is set twice")
	}
	o.state, o.module, o.size = state, 0, rawLen(state)
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
	if o.module == 0 {
		o.module = 1
		_, parameters := o.attribute("_parameters")
		if _, modules := o.attribute("_modules"); parameters && modules {
			o.module = 2
		}
	}
	return o.module == 2
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
// pickle can mean an endless tree: what counts is the walk, in characters of names and in
// entries, each worth perEntry of them.
const (
	maxWork  = 48 << 20
	perEntry = 64
	maxDepth = 200
)

// moduleWalk reads a state dict off a tree of modules. What a module has differs between
// pickles of nn.Module and TorchScript, so sort tells it, once for each module.
type moduleWalk struct {
	file    string
	sort    func(o *record, path string) (*layer, error)
	items   []pair
	classes map[string]string
	work    int
	seen    map[*record]*layer
}

// layer is what one module has: its own parameters and persistent buffers, and its
// children, each in order, and its class, "" where that is to be inferred.
type layer struct {
	own, children []pair
	class         string
}

func newModuleWalk(file string) *moduleWalk {
	return &moduleWalk{file: file, classes: map[string]string{}, seen: map[*record]*layer{}}
}

// moduleState is nn.Module.state_dict: own parameters, then persistent buffers, then the
// children, in order; and the class of each module.
func (r *reader) moduleState(root *record) ([]pair, map[string]string, error) {
	w := newModuleWalk(r.file.Name)
	w.sort, w.work = w.layerOf, r.walked // all walks of a file together are bounded
	err := w.walk(root, "", 0)
	r.walked = w.work
	return w.items, w.classes, err
}

func (w *moduleWalk) walk(o *record, path string, depth int) error {
	l := w.seen[o]
	if l == nil {
		var err error
		if l, err = w.sort(o, path); err != nil {
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

// layerOf sorts out the attributes of an nn.Module.
func (w *moduleWalk) layerOf(o *record, path string) (*layer, error) {
	if !w.pay(0, rawLen(o.state)) {
		return nil, w.endless()
	}
	if c := o.class.module; strings.HasPrefix(c, "torch.ao.nn.") || strings.HasPrefix(c, "torch.nn.quantized.") || strings.HasPrefix(c, "torch.nn.intrinsic.quantized.") {
		return nil, fault.Not(w.file, "%s is a quantized layer (%s)", spoken(path), describe(o)).Code(fault.AlreadyQuantized, describe(o)).
			Hint("take the model from before it was quantized")
	}
	if rawLen(o.state) != o.size {
		return nil, fault.Bad(w.file, "the attributes of %s change after they were set", spoken(path))
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
		return nil, fault.Not(w.file, "the buffers of %s that are not saved are %s", spoken(path), describe(kinds["_non_persistent_buffers_set"]))
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
				return nil, fault.Not(w.file, "%s is %s, whose weights cannot be told", spoken(join(path, name)), describe(it.value)).
					Hint("save the weights with torch.save(model.state_dict(), ...)")
			}
		}
	}
	return l, nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// spoken is a module's path for people.
func spoken(path string) string {
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

func (w *moduleWalk) endless() error {
	return fault.Bad(w.file, "its modules nest or repeat more than those of a model do")
}

// names lists the members of a set, a list or a tuple, or the keys of a dict; none of nothing.
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
