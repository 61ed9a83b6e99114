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

// stateDict is what is converted of a file: the parts that are wanted or, without a wish, the one that is meant. Where
// none is, it has no tensors and lists the parts.
func (r *reader) stateDict(root any, want []string) (*tensor.StateDict, error) {
	c, err := r.choose(root, want)
	if err != nil {
		return nil, err
	}
	out := &tensor.StateDict{}
	for _, m := range c.chosen {
		prefix := ""
		if len(c.chosen) > 1 && m.only == "" && m.path != "" { // an average's names begin with its own
			prefix = m.path
		}
		if err := r.addModel(out, m, prefix, c.others); err != nil {
			return nil, err
		}
	}
	if len(c.chosen) > 0 && len(out.Tensors) == 0 {
		return nil, fault.Not(r.file.Name, "the file holds no tensors by name").Hint(savePlain)
	}
	if len(c.found) > 1 || len(c.chosen) == 0 {
		out.Parts = r.partsOf(c.found, c.chosen)
	}
	out.Notes = c.others.all()
	if len(c.found) >= maxModels {
		note := fmt.Sprintf("the file holds more than %d models; the others are not looked at", maxModels)
		out.Notes = append(out.Notes, note)
	}
	out.LeftOut = r.unusedBytes(out)
	return out, r.refusePartitioned(root, out)
}

// choice is which models of a file are converted.
type choice struct {
	found, chosen []candidate
	others        *leftovers // what stands beside the chosen ones
}

// choose finds the models of a file, and of these the ones that are wanted; without a wish the one that the usual
// wrappers lead to, or the only one that is no average. It chooses none where several could be meant.
func (r *reader) choose(root any, want []string) (c choice, err error) {
	c = choice{found: r.candidates(root), others: &leftovers{}}
	if len(want) > 0 {
		c.chosen, err = r.chooseParts(c.found, want)
		r.noteOthers(root, c.chosen, c.others)
		return c, err
	}
	wrapped := r.unwrap(root, c.others)
	if r.isMain(wrapped, c.found) {
		c.chosen = []candidate{asFound(c.found, wrapped)}
		return c, nil
	}
	if live := liveOnes(c.found); len(live) == 1 {
		c.chosen, c.others = live, &leftovers{} // what stands beside another part is not left out
		r.noteOthers(root, live, c.others)
		return c, nil
	}
	if len(c.found) == 0 {
		return c, r.refuseEmpty(wrapped.root)
	}
	return c, nil
}

// liveOnes are the candidates that are no averages, or all where all are.
func liveOnes(found []candidate) (live []candidate) {
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

// asFound is a candidate as the search found it, without the tensors that are an average's.
func asFound(found []candidate, m candidate) candidate {
	for _, f := range found {
		if f.root == m.root && f.only == "" {
			return f
		}
	}
	return m
}

// unwrap follows the wrappers to the state dict in them; what stands beside them is left out.
func (r *reader) unwrap(root any, left *leftovers) candidate {
	m := candidate{root: root}
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
		m = candidate{path: join(m.path, short(key)), root: inner, ema: m.ema || saysEMA(key)}
		items, ok = entries(inner)
	}
	return m
}

// noteOthers names what stands beside the models that were chosen.
func (r *reader) noteOthers(root any, chosen []candidate, left *leftovers) {
	items, _ := entries(root)
	for _, it := range items {
		if slices.ContainsFunc(chosen, func(m candidate) bool { return m.root == root }) && isTensor(it.value) {
			continue // of this part, or of the average beside it, which is a part
		}
		key := short(it.key)
		within := func(m candidate) bool { return m.path == "" || m.path == key || strings.HasPrefix(m.path, key+".") }
		if !slices.ContainsFunc(chosen, within) {
			left.add("", it)
		}
	}
}

// addModel adds the tensors of a model, under their names behind a prefix.
func (r *reader) addModel(out *tensor.StateDict, m candidate, prefix string, left *leftovers) error {
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
			out.Classes[joinRoot(prefix, module)] = class
		}
		left.notes = append(left.notes, moduleNote(m.root.(*record)))
	}
	if !ok && !whole {
		return r.refuseEmpty(m.root)
	}
	for _, it := range items {
		name, isName := it.key.(string)
		if isName && !m.has(name) {
			continue
		}
		if isName && prefix != "" {
			it.key = join(prefix, name)
		}
		t, err := r.tensorOf(it)
		if err != nil {
			return err
		}
		if t == nil && whole {
			return r.refuseEntry(it)
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
		v.Module = joinRoot(prefix, v.Module)
		body.Versions = append(body.Versions, v)
	}
	return nil
}

// joinRoot is join where either may be the root.
func joinRoot(prefix, module string) string {
	if module == "" {
		return prefix
	}
	return join(prefix, module)
}

// unusedBytes is how many bytes the file's storages hold in which no tensor of the state dict lies.
func (r *reader) unusedBytes(out *tensor.StateDict) (n int64) {
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

// tensorOf is the tensor of an entry; nil when the entry is no tensor with a name.
func (r *reader) tensorOf(it pair) (*tensor.Tensor, error) {
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
		return nil, fault.Not(r.file.Name, "it is %s", v.what).In(strings.ToValidUTF8(name, "?")).Code(v.code, v.what).
			Hint("%s", v.do)
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

// refuseEntry refuses a parameter or buffer of a model that is no tensor Nibble knows.
func (r *reader) refuseEntry(it pair) error {
	return fault.Not(r.file.Name, "it is %s, whose values are not known", describe(it.value)).In(short(it.key)).
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
