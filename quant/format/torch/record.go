package torch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/types"
)

// What a pickle names and makes that is no tensor, dict or list: classes and objects, of which nothing is run.

// class is a Python class that Nibble knows only by name.
type class struct {
	reader       *reader
	module, name string
}

// Call runs nothing: what a call would give is a record of it.
func (c *class) Call(args ...any) (any, error) {
	if err := refusePassed(args); err != nil {
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
	return &record{class: c}, refusePassed(args)
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
	module moduleKind
}

// Call is a call of what a call gave (getattr's, functools.partial's), which runs nothing.
func (o *record) Call(args ...any) (any, error) {
	return &record{class: o.class, called: true}, refusePassed(args)
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
	if err := refusePassed([]any{state}); err != nil {
		return err
	}
	if t, ok := state.(*types.Tuple); ok && t.Len() == 2 {
		state = t.Get(0) // beside __slots__
	}
	if o.state != nil {
		return fmt.Errorf("the state of an object is set twice")
	}
	o.state, o.module, o.size = state, unknownKind, rawLen(state)
	return nil
}

// PyDictSet and PySetAttr complete the interface; BUILD uses PySetState.
func (o *record) PyDictSet(any, any) error    { return nil }
func (o *record) PySetAttr(string, any) error { return nil }

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
