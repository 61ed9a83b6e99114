package torch

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// A file can hold several models: a live one beside its average (EMA), the parts of a pipeline, a generator and a
// discriminator. Each dict with tensors by name, and each nn.Module, is a part, named by the keys that lead to it.

// saysEMA reports whether a key says that its weights are an average.
func saysEMA(key string) bool {
	low := strings.ToLower(key)
	words := strings.FieldsFunc(low, func(r rune) bool { return r == '_' || r == '-' || r == '.' })
	return slices.ContainsFunc(words, func(w string) bool { return w == "ema" || w == "averaged" || w == "swa" })
}

// Bounds on looking for parts: how deep dicts nest, and how many parts a file has.
const (
	maxNesting = 16
	maxModels  = 256
)

// candidate is one model of a file.
type candidate struct {
	name string // its path, or what else distinguishes it
	path string // keys that lead to it, with dots between; "" for the file's own dict
	root any
	ema  bool
	only string // of a dict with an average in it: how the names of its tensors begin
	skip string // how those begin that are another part's
}

// has reports whether a tensor of its dict, by name, is its own.
func (m candidate) has(name string) bool {
	return strings.HasPrefix(name, m.only) && (m.skip == "" || !strings.HasPrefix(name, m.skip))
}

// add appends a candidate; where its state dict holds an average of itself, both.
func add(found []candidate, m candidate, items []pair) []candidate {
	for _, prefix := range tensor.Averages {
		inside, beside := false, false
		for _, it := range items {
			name, isName := it.key.(string)
			if strings.Contains(name, "_COREML_/") { // an output, whole as it is
				return append(found, m)
			}
			if v, ok := it.value.(*value); ok && isName && len(v.Shape) > 1 {
				in := strings.HasPrefix(name, prefix)
				inside, beside = inside || in, beside || !in
			}
		}
		if inside && beside {
			average := m
			m.skip = prefix
			average.path, average.ema, average.only = join(m.path, strings.TrimSuffix(prefix, ".")), true, prefix
			return append(found, m, average)
		}
	}
	return append(found, m)
}

// candidates finds the models of a file, in its order. Keys that name what training needs, and dicts of a few numbers,
// count where there is nothing else.
func (r *reader) candidates(root any) []candidate {
	l := &search{reader: r, seen: map[any]bool{}}
	if l.look(candidate{root: root}, 0); len(l.found) == 0 {
		l = &search{reader: r, seen: map[any]bool{}, all: true}
		l.look(candidate{root: root}, 0)
	}
	taken := map[string]int{}
	for i := range l.found {
		m := &l.found[i]
		if m.name = m.path; m.name == "" {
			m.name = Live
		}
		if taken[m.name]++; taken[m.name] > 1 { // keys with dots in them can lead to one name
			m.name += fmt.Sprintf("#%d", taken[m.name])
		}
	}
	return l.found
}

// search is a walk through dicts in dicts.
type search struct {
	*reader
	all   bool
	found []candidate
	seen  map[any]bool
}

// look finds the candidates in one value.
func (l *search) look(m candidate, depth int) {
	switch m.root.(type) {
	case *types.Dict, *ordered, *types.List, *types.Tuple, *record:
	default:
		return
	}
	if depth > maxNesting || len(l.found) >= maxModels || l.seen[m.root] {
		return
	}
	l.seen[m.root] = true
	switch moduleKindOf(m.root) {
	case wholeModule:
		l.found = append(l.found, m)
		return
	case halfModule: // a module inside is not the model
		return
	}
	items, _ := childrenOf(m.root)
	if l.Spend(16*(len(items)+1)) != nil || isOptimizer(items) {
		return
	}
	own := !isSequence(m.root) && holdsNamed(items)
	if own && depth > 0 && holdsMatrix(items) {
		l.found = add(l.found, m, items)
		return
	}
	before := len(l.found)
	for _, it := range items {
		if key := keyOf(it); key != "" && (l.all || !isTraining(key)) {
			l.look(candidate{path: join(m.path, key), root: it.value, ema: m.ema || saysEMA(key)}, depth+1)
		}
	}
	_, inner := l.wrapped(items)
	stateDict := own && holdsMatrix(items) && inner == nil // else its tensors stand beside the models
	if stateDict || own && l.all && len(l.found) == before {
		inside := slices.Clone(l.found[before:])
		l.found = append(add(l.found[:before], m, items), inside...)
	}
}

// keyOf is a key as a part of a path: a name, or a number; "" for any other.
func keyOf(it pair) string {
	switch it.key.(type) {
	case string, int:
		return short(it.key)
	}
	return ""
}

// isMain reports whether the candidate that the usual wrappers lead to is the one that is meant. It is not where it
// is a tensor or two beside models.
func (r *reader) isMain(m candidate, found []candidate) bool {
	own := size(m.root)
	for _, f := range found {
		if f.root != m.root && strings.HasPrefix(f.path, m.path) && size(f.root) > own {
			return false
		}
	}
	return own > 0
}

// size is how many tensors a candidate holds by name; what holds a matrix is larger than what holds none, and a whole
// model larger than any dict.
func size(root any) (n int) {
	if isModule(root) {
		return math.MaxInt
	}
	items, _ := entries(root)
	for _, it := range items {
		if _, isName := it.key.(string); isName && isTensor(it.value) {
			n++
		}
	}
	if holdsMatrix(items) {
		n += math.MaxInt32
	}
	return n
}

// childrenOf lists what a dict, a list, or an object that is no module, holds.
func childrenOf(v any) ([]pair, bool) {
	switch o := v.(type) {
	case *types.Dict, *ordered:
		return entries(v)
	case *types.List, *types.Tuple:
		var out []pair
		for i, x := range members(v) {
			if i >= maxModels {
				break
			}
			out = append(out, pair{fmt.Sprint(i), x})
		}
		return out, true
	case *record:
		if o.items != nil {
			return entries(v)
		}
		return entries(o.state)
	}
	return nil, false
}

// holdsNamed reports whether a dict itself holds tensors by name.
func holdsNamed(items []pair) bool {
	return slices.ContainsFunc(items, func(it pair) bool {
		_, isName := it.key.(string)
		return isName && isTensor(it.value)
	})
}

// holdsMatrix distinguishes a model from a few numbers, such as the best score of a training.
func holdsMatrix(items []pair) bool {
	return slices.ContainsFunc(items, func(it pair) bool {
		_, isName := it.key.(string)
		v, ok := it.value.(*value)
		return isName && (ok && len(v.Shape) > 1 || !ok && isTensor(it.value))
	})
}

// isOptimizer reports whether a dict is the state of an optimizer.
func isOptimizer(items []pair) bool {
	state, groups := false, false
	for _, it := range items {
		state, groups = state || it.key == "state", groups || it.key == "param_groups"
	}
	return state && groups
}

// isTraining reports whether a key names what only training needs.
func isTraining(key string) bool {
	low := strings.ToLower(key)
	for _, part := range []string{"optim", "sched", "scaler", "rng", "hyper_param"} {
		if strings.Contains(low, part) {
			return true
		}
	}
	return low == "opt"
}

// chooseParts finds the candidates that were asked for: each by its path, or by the end of one.
func (r *reader) chooseParts(found []candidate, want []string) ([]candidate, error) {
	var out []candidate
	for _, name := range want {
		var hits []candidate
		for _, m := range found {
			if m.name == name {
				hits = []candidate{m}
				break
			}
			if strings.HasSuffix(m.path, "."+name) {
				hits = append(hits, m)
			}
		}
		switch {
		case len(hits) == 1 && slices.ContainsFunc(out, func(m candidate) bool { return m.path == hits[0].path }):
		case len(hits) == 1:
			out = append(out, hits[0])
		case len(hits) > 1:
			return nil, fault.Not(r.file.Name, "%d of its parts end in %q", len(hits), short(name)).
				Code(fault.NoPart, short(name)).
				Hint("name one in full: %s", PartNames(r.partsOf(hits, nil)))
		default:
			return nil, NoPart(r.file.Name, name, r.partsOf(found, nil))
		}
	}
	return out, nil
}

// Live is the name of the model that has no path: the tensors beside other models.
const Live = "live"

// NoPart refuses a part that a file does not hold.
func NoPart(file, name string, parts []tensor.Part) error {
	e := fault.Not(file, "it holds no part %q", short(name)).Code(fault.NoPart, short(name))
	if len(parts) < 2 {
		return e.Hint("it holds one model alone")
	}
	return e.Hint("its parts are %s", PartNames(parts))
}

// PartNames lists the first parts of a file.
func PartNames(parts []tensor.Part) string {
	var names []string
	for _, p := range parts[:min(len(parts), 12)] {
		names = append(names, p.Name)
	}
	if len(parts) > 12 {
		names = append(names, fmt.Sprintf("and %d more", len(parts)-12))
	}
	return strings.Join(names, ", ")
}

// partsOf describes the models of a file, of which some are chosen.
func (r *reader) partsOf(found, chosen []candidate) []tensor.Part {
	out := []tensor.Part{}
	for _, m := range found {
		taken := slices.ContainsFunc(chosen, func(c candidate) bool { return c.root == m.root && c.only == m.only })
		p := tensor.Part{Name: m.name, EMA: m.ema, Chosen: taken}
		items, _ := entries(m.root)
		if isModule(m.root) {
			items, _, _ = r.moduleState(m.root.(*record))
		}
		for _, it := range items {
			name, _ := it.key.(string)
			if v, ok := it.value.(*value); ok && m.has(name) {
				p.Tensors++
				p.Bytes += v.Bytes()
			}
		}
		out = append(out, p)
	}
	return out
}
