package torch

import (
	"strings"
	"unicode/utf8"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// wrappers are the keys under which training scripts put the state dict, in the
// order they are tried: Lightning, plain PyTorch, DeepSpeed, BasicSR and others.
var wrappers = []string{"state_dict", "model_state_dict", "model", "module", "params_ema", "params", "network", "net", "weights"}

// pair is one entry of a Python dict.
type pair struct {
	key   any
	value any
}

// maxNotes bounds what is said about entries that are left out.
const maxNotes = 100

// stateDict unwraps the usual wrappers and names the tensors.
func (r *reader) stateDict(root any) (*tensor.StateDict, error) {
	out := &tensor.StateDict{}
	left, whole := &leftovers{}, false
	items, ok := entries(root)
	path := ""
	for depth := 0; ok && depth < maxWraps; depth++ {
		key, inner := r.wrapped(items)
		if inner == nil {
			if key, inner = r.onlyDict(items); inner == nil {
				break
			}
		}
		for _, it := range items {
			if it.key != key {
				left.add(path, it)
			}
		}
		path += short(key) + "."
		root = inner
		items, ok = entries(inner)
	}
	if isModule(root) {
		var err error
		if items, out.Classes, err = r.moduleState(root.(*record)); err != nil {
			return nil, err
		}
		ok, whole = true, true
		left.notes = append(left.notes, moduleNote(root.(*record)))
	}
	if !ok {
		return nil, fault.Not(r.file.Name, "the file holds %s, not a state dict", describe(root)).
			Hint("save the weights with torch.save(model.state_dict(), ...)")
	}
	for _, it := range items {
		t, err := r.named(it)
		if err != nil {
			return nil, err
		}
		if t == nil && whole {
			return nil, r.untold(it)
		}
		if t == nil {
			left.add(path, it)
			continue
		}
		out.Tensors = append(out.Tensors, *t)
	}
	if len(out.Tensors) == 0 {
		return nil, r.noTensors(items)
	}
	out.Notes, out.Versions = left.all(), versions(root)
	return out, nil
}

// named is the tensor of an entry, nil when the entry is no tensor with a name.
func (r *reader) named(it pair) (*tensor.Tensor, error) {
	name, isName := it.key.(string)
	if !isName {
		return nil, nil
	}
	v := it.value
	if t, ok := v.(*types.Tuple); ok { // of packed weights of a quantized layer, and few other things
		for _, part := range (*t)[:min(t.Len(), 8)] {
			if u, ok := part.(*unreadable); ok {
				v = u
				break
			}
		}
	}
	switch v := v.(type) {
	case *unreadable:
		return nil, fault.Not(r.file.Name, "it is %s", v.what).In(strings.ToValidUTF8(name, "?")).Hint("%s", v.do)
	case *value:
		if !utf8.ValidString(name) {
			return nil, fault.Bad(r.file.Name, "a tensor's name is not UTF-8 text: %q", name)
		}
		if what := r.tally.Add(name); what != "" {
			return nil, fault.Not(r.file.Name, "this is more than any model has: %s", what)
		}
		t, from, ok := v.Tensor, int64(0), false
		t.Name = name
		if t.Storage, from, ok = v.storage.place(); !ok {
			return nil, fault.Bad(r.file.Name, "the values of storage %q are not in the file", v.storage.key).In(name)
		}
		t.Offset += from
		return &t, nil
	}
	return nil, nil
}

// untold refuses a parameter or buffer of a model that is no tensor Nibble knows.
func (r *reader) untold(it pair) error {
	return fault.Not(r.file.Name, "it is %s, whose values cannot be told", describe(it.value)).In(short(it.key)).
		Hint("save the weights with torch.save(model.state_dict(), ...)")
}

// noTensors says what a dict without tensors seems to be.
func (r *reader) noTensors(items []pair) error {
	var dicts []string
	keys := map[any]bool{}
	for _, it := range items {
		if name, ok := it.key.(string); ok {
			keys[name] = true
			if len(dicts) < 8 && r.holdsTensors(it.value, maxWraps) {
				dicts = append(dicts, short(name))
			}
		}
	}
	switch {
	case keys["state"] && keys["param_groups"]:
		return fault.Not(r.file.Name, "this is the state of an optimizer, not a model").Hint("drop the model's checkpoint, which lies beside it")
	case len(dicts) > 1:
		return fault.Not(r.file.Name, "the file holds several state dicts (%s)", strings.Join(dicts, ", ")).
			Hint("save the one to be converted alone, with torch.save")
	}
	return fault.Not(r.file.Name, "the file holds no tensors by name").
		Hint("save the weights with torch.save(model.state_dict(), ...)")
}

// onlyDict finds the one dict of tensors in a dict that has none itself.
func (r *reader) onlyDict(items []pair) (key string, dict any) {
	for _, it := range items {
		switch v := it.value.(type) {
		case *value, *unreadable:
			return "", nil
		default:
			name, isName := it.key.(string)
			if !isName || !r.holdsTensors(v, 1) {
				continue
			}
			if dict != nil {
				return "", nil
			}
			key, dict = name, v
		}
	}
	return key, dict
}

// wrapped finds the entry that holds the real state dict. In a state dict itself no
// value is a dict with tensors in it, so the names cannot be mistaken.
func (r *reader) wrapped(items []pair) (string, any) { return r.wrappedIn(items, maxWraps) }

// maxWraps bounds wrappers in wrappers; a dict can hold itself.
const maxWraps = 3

func (r *reader) wrappedIn(items []pair, depth int) (string, any) {
	if depth == 0 {
		return "", nil
	}
	for _, w := range wrappers {
		for _, it := range items {
			if it.key == w {
				if isModule(it.value) {
					return w, it.value
				}
				if r.holdsTensors(it.value, depth-1) {
					return w, it.value
				}
			}
		}
	}
	return "", nil
}

// question is one that holdsTensors answered: a dict can stand in very many places.
type question struct {
	dict  any
	depth int
}

// holdsTensors looks for tensors in a dict and in the wrappers in it.
func (r *reader) holdsTensors(dict any, depth int) bool {
	switch dict.(type) {
	case *types.Dict, *ordered, *record:
	default:
		return false
	}
	q := question{dict, depth}
	answer, asked := r.holds[q]
	if !asked {
		items, _ := entries(dict)
		answer = r.lookForTensors(items, depth)
		r.holds[q] = answer
	}
	return answer
}

func (r *reader) lookForTensors(items []pair, depth int) bool {
	for _, it := range items {
		switch it.value.(type) {
		case *value, *unreadable:
			if _, isName := it.key.(string); isName {
				return true
			}
		}
	}
	_, inner := r.wrappedIn(items, depth)
	return inner != nil
}

// entries lists a dict or OrderedDict in order; a key set twice keeps its first
// place and its last value, as in Python.
func entries(v any) ([]pair, bool) {
	var out []pair
	switch d := v.(type) {
	case *ordered:
		out = lastWins(d.items)
	case *types.Dict:
		for _, it := range *d {
			out = append(out, pair{it.Key, it.Value})
		}
		out = lastWins(out)
	case *record: // of a class derived from dict
		if d.items == nil || d.given {
			return nil, false
		}
		out = lastWins(d.items)
	default:
		return nil, false
	}
	return out, true
}

// lastWins keeps the first place and the last value of each name.
func lastWins(items []pair) []pair {
	place, out := make(map[string]int, len(items)), make([]pair, 0, len(items))
	for _, it := range items {
		name, ok := it.key.(string)
		if i, seen := place[name]; ok && seen {
			out[i].value = it.value
			continue
		}
		if ok {
			place[name] = len(out)
		}
		out = append(out, it)
	}
	return out
}

// versions reads the _metadata that torch hangs on a state dict: module -> {"version": n}.
func versions(root any) []tensor.ModuleVersion {
	d, ok := root.(*ordered)
	if !ok {
		return nil
	}
	var items []pair
	attributes, _ := entries(d.state)
	for _, a := range attributes {
		if a.key == "_metadata" {
			items, _ = entries(a.value)
		}
	}
	var out []tensor.ModuleVersion
	for _, it := range items {
		module, ok := it.key.(string)
		fields, small := it.value.(*types.Dict)
		if !ok || !small || len(*fields) > 8 || !utf8.ValidString(module) {
			continue
		}
		for _, f := range *fields {
			if n, isInt := f.Value.(int); isInt && f.Key == "version" {
				out = append(out, tensor.ModuleVersion{Module: module, Version: int64(n)})
			}
		}
	}
	return out
}
