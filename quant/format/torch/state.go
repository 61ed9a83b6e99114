package torch

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// pair is one entry of a Python dict.
type pair struct {
	key   any
	value any
}

// maxNotes bounds what is said about entries that are left out.
const maxNotes = 100

// stateDict finds the parts of a file and reads those that are wanted; without a wish, the one that the
// usual wrappers lead to. Where the file holds several and none is meant more than others, it reads none.
func (r *reader) stateDict(root any, want []string) (*tensor.StateDict, error) {
	found, out, left := r.models(root), &tensor.StateDict{}, &leftovers{}
	var chosen []model
	var err error
	if len(want) > 0 {
		chosen, err = r.pick(found, want)
		r.leave(root, chosen, left)
	} else if usual := r.usual(root, left); r.meant(usual, found) {
		chosen = []model{itself(found, usual)}
	} else if live := liveOf(found); len(live) == 1 {
		chosen, left = live, &leftovers{} // what stands beside another part is not left out
		r.leave(root, chosen, left)
	} else if len(found) == 0 {
		err = r.nothing(usual.root)
	}
	if err != nil {
		return nil, err
	}
	for _, m := range chosen {
		prefix := ""
		if len(chosen) > 1 && m.only == "" && m.path != "" { // an average's names begin with its own
			prefix = m.path
		}
		if err := r.read(out, m, prefix, left); err != nil {
			return nil, err
		}
	}
	if len(chosen) > 0 && len(out.Tensors) == 0 {
		return nil, fault.Not(r.file.Name, "the file holds no tensors by name").Hint(savePlain)
	}
	if len(found) > 1 || len(chosen) == 0 {
		out.Parts = r.partsOf(found, chosen)
	}
	out.Notes = left.all()
	if len(found) >= maxModels {
		out.Notes = append(out.Notes, fmt.Sprintf("the file holds more than %d models; the others are not looked at", maxModels))
	}
	out.LeftOut = r.unused(out)
	return out, r.partitioned(root, out)
}

// liveOf are the parts that are no averages, or all where all are.
func liveOf(found []model) (live []model) {
	for _, m := range found {
		if !m.ema {
			live = append(live, m)
		}
	}
	if len(live) == 0 {
		return found
	}
	return live
}

// itself is a part as it was found, without what is another part's.
func itself(found []model, m model) model {
	for _, f := range found {
		if f.root == m.root && f.only == "" {
			return f
		}
	}
	return m
}

// usual follows the wrappers; what stands beside them is left out.
func (r *reader) usual(root any, left *leftovers) model {
	m := model{root: root}
	items, ok := entries(root)
	for depth := 0; ok && depth < maxWraps; depth++ {
		key, inner := r.wrapped(items)
		if inner == nil {
			if key, inner = r.onlyDict(items); inner == nil {
				break
			}
		}
		for _, it := range items {
			if it.key != key {
				left.add(m.path, it)
			}
		}
		m = model{path: join(m.path, short(key)), root: inner, ema: m.ema || saysEMA(key)}
		items, ok = entries(inner)
	}
	return m
}

// leave names what stands beside the parts that were asked for.
func (r *reader) leave(root any, chosen []model, left *leftovers) {
	items, _ := entries(root)
	for _, it := range items {
		if slices.ContainsFunc(chosen, func(m model) bool { return m.root == root }) && isTensor(it.value) {
			continue // of this part, or of the average beside it, which is a part
		}
		key := short(it.key)
		within := func(m model) bool { return m.path == "" || m.path == key || strings.HasPrefix(m.path, key+".") }
		if !slices.ContainsFunc(chosen, within) {
			left.add("", it)
		}
	}
}

// read adds the tensors of a part, under their names behind a prefix.
func (r *reader) read(out *tensor.StateDict, m model, prefix string, left *leftovers) error {
	items, ok := entries(m.root)
	whole := isModule(m.root)
	if whole {
		var classes map[string]string
		var err error
		if items, classes, err = r.moduleState(m.root.(*record)); err != nil {
			return err
		}
		if out.Classes == nil {
			out.Classes = map[string]string{}
		}
		for module, class := range classes {
			out.Classes[joined(prefix, module)] = class
		}
		left.notes = append(left.notes, moduleNote(m.root.(*record)))
	}
	if !ok && !whole {
		return r.nothing(m.root)
	}
	for _, it := range items {
		name, isName := it.key.(string)
		if isName && !m.has(name) {
			continue
		}
		if isName && prefix != "" {
			it.key = join(prefix, name)
		}
		t, err := r.named(it)
		if err != nil {
			return err
		}
		if t == nil && whole {
			return r.untold(it)
		}
		if t == nil {
			left.add(m.path, it)
			continue
		}
		out.Tensors = append(out.Tensors, *t)
	}
	body, _ := out.Body.(*Body)
	if body == nil {
		body = &Body{}
		out.Body = body
	}
	for _, v := range versions(m.root) {
		v.Module = joined(prefix, v.Module)
		body.Versions = append(body.Versions, v)
	}
	return nil
}

// joined is join where either may be the root.
func joined(prefix, module string) string {
	if module == "" {
		return prefix
	}
	return join(prefix, module)
}

// unused is how many bytes the file's storages hold that no tensor of the state dict lies in.
func (r *reader) unused(out *tensor.StateDict) (n int64) {
	used := map[tensor.Storage]bool{}
	for i := range out.Tensors {
		used[out.Tensors[i].Storage] = true
	}
	for _, s := range r.storages {
		if s.whole == nil && s.placed && !used[s.Storage] {
			n += s.size
		}
	}
	return n
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
		return nil, fault.Not(r.file.Name, "it is %s", v.what).In(strings.ToValidUTF8(name, "?")).Code(v.code, v.what).Hint("%s", v.do)
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
func versions(root any) []ModuleVersion {
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
	var out []ModuleVersion
	for _, it := range items {
		module, ok := it.key.(string)
		fields, small := it.value.(*types.Dict)
		if !ok || !small || len(*fields) > 8 || !utf8.ValidString(module) {
			continue
		}
		for _, f := range *fields {
			if n, isInt := f.Value.(int); isInt && f.Key == "version" {
				out = append(out, ModuleVersion{Module: module, Version: int64(n)})
			}
		}
	}
	return out
}
