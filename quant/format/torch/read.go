package torch

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// reader is one file being read.
type reader struct {
	file     *tensor.File
	archive  *archive
	storages map[string]*storage
	dense    float64 // bytes of all tensors so far, were each laid out densely
}

// Read opens a torch.save zip and returns its state dict. It reads the directory,
// the pickle and the small headers of the storages, no values.
func Read(f *tensor.File) (*tensor.StateDict, error) {
	a, err := open(f)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f, archive: a, storages: map[string]*storage{}}
	text, err := a.content("data.pkl", maxPickle)
	if err != nil {
		return nil, err
	}
	base, err := a.entries[a.root+"data.pkl"].DataOffset()
	if err != nil {
		return nil, fault.Bad(f.Name, "data.pkl has a broken zip header (%v)", err)
	}
	root, err := r.run(text, base)
	if err != nil {
		return nil, err
	}
	return r.stateDict(root)
}

// run scans the pickle, then executes it. gopickle panics on some broken input,
// which is the input's fault.
func (r *reader) run(text []byte, base int64) (root any, err error) {
	if err := scan(r.file.Name, text, base); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, r.broken(fmt.Sprint(p), base)
		}
	}()
	u := pickle.NewUnpickler(bytes.NewReader(text))
	u.FindClass = r.find
	u.PersistentLoad = r.load
	root, err = u.Load()
	var known *fault.Error
	if err != nil && !errors.As(err, &known) {
		return nil, r.broken(err.Error(), base)
	}
	return root, err
}

func (r *reader) broken(why string, base int64) error {
	if strings.HasPrefix(why, "runtime error: hash of unhashable") {
		why = "a dict has a key that cannot be one"
	}
	why, _, _ = strings.Cut(why, "\n")
	if len(why) > 200 {
		why = why[:200]
	}
	return fault.Bad(r.file.Name, "the pickle is broken (%s)", strings.ToValidUTF8(why, "?")).At(base).
		Hint("the file is damaged: copy or download it again")
}

// wrappers are the keys under which training scripts put the state dict, in the
// order they are tried.
var wrappers = []string{"state_dict", "model_state_dict", "model", "module"}

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
	var left []string
	items, ok := entries(root)
	path := ""
	for depth := 0; ok && depth < maxWraps; depth++ {
		key, inner := wrapped(items)
		if inner == nil {
			break
		}
		for _, it := range items {
			if it.key != key {
				left = append(left, leftOut(path, it))
			}
		}
		path += key + "."
		root = inner
		items, ok = entries(inner)
	}
	if isModule(root) {
		var err error
		if items, out.Classes, err = r.moduleState(root.(*record)); err != nil {
			return nil, err
		}
		ok, left = true, append(left, moduleNote(root.(*record)))
	}
	if !ok {
		return nil, fault.Not(r.file.Name, "the file holds %s, not a state dict", describe(root)).
			Hint("save the weights with torch.save(model.state_dict(), ...)")
	}
	for _, it := range items {
		name, isName := it.key.(string)
		v, isTensor := it.value.(*value)
		if !isName || !isTensor {
			left = append(left, leftOut(path, it))
			continue
		}
		if !utf8.ValidString(name) {
			return nil, fault.Bad(r.file.Name, "a tensor's name is not UTF-8 text: %q", name)
		}
		t := v.Tensor
		t.Name = name
		out.Tensors = append(out.Tensors, t)
	}
	if len(out.Tensors) == 0 {
		return nil, fault.Not(r.file.Name, "the file holds no tensors by name").
			Hint("save the weights with torch.save(model.state_dict(), ...)")
	}
	if len(left) > maxNotes {
		left = append(left[:maxNotes], fmt.Sprintf("and %d more entries that are left out", len(left)-maxNotes))
	}
	out.Notes, out.Versions = left, versions(root)
	return out, nil
}

// wrapped finds the entry that holds the real state dict. In a state dict itself no
// value is a dict with tensors in it, so the names cannot be mistaken.
func wrapped(items []pair) (string, any) { return wrappedIn(items, maxWraps) }

// maxWraps bounds wrappers in wrappers; a dict can hold itself.
const maxWraps = 3

func wrappedIn(items []pair, depth int) (string, any) {
	if depth == 0 {
		return "", nil
	}
	for _, w := range wrappers {
		for _, it := range items {
			if it.key == w {
				if isModule(it.value) {
					return w, it.value
				}
				if inner, ok := entries(it.value); ok && holdsTensors(inner, depth-1) {
					return w, it.value
				}
			}
		}
	}
	return "", nil
}

// holdsTensors looks for tensors in a dict and in the wrappers in it.
func holdsTensors(items []pair, depth int) bool {
	for _, it := range items {
		if _, ok := it.value.(*value); ok {
			return true
		}
	}
	_, inner := wrappedIn(items, depth)
	return inner != nil
}

// leftOut says what an entry is and that it is not carried over.
func leftOut(path string, it pair) string {
	return fmt.Sprintf("%s%s (%s) is not part of the state dict and is left out", path, short(it.key), describe(it.value))
}

func short(key any) string {
	switch k := key.(type) {
	case string:
		if len(k) > 80 {
			k = k[:80] + "..."
		}
		return strings.ToValidUTF8(k, "?")
	case int, float64, bool:
		return fmt.Sprint(k)
	}
	return describe(key)
}

// describe names a Python value in a few words.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "text"
	case *types.List:
		return fmt.Sprintf("a list of %d", len(*v))
	case *types.Tuple:
		return fmt.Sprintf("a tuple of %d", len(*v))
	case *types.Dict:
		return fmt.Sprintf("a dict of %d", len(*v))
	case *types.OrderedDict:
		return fmt.Sprintf("a dict of %d", v.Len())
	case *value:
		return "a tensor"
	case *storage:
		return "a storage"
	case *record:
		return strings.ToValidUTF8(fmt.Sprintf("an object of class %.80s.%.80s", v.class.module, v.class.name), "?")
	case *class:
		return strings.ToValidUTF8(fmt.Sprintf("the class %.80s.%.80s", v.module, v.name), "?")
	}
	return "a Python object"
}

// entries lists a dict or OrderedDict in order; a key set twice keeps its first
// place and its last value, as in Python.
func entries(v any) ([]pair, bool) {
	var out []pair
	switch d := v.(type) {
	case *types.OrderedDict:
		for e := d.List.Front(); e != nil; e = e.Next() {
			it := e.Value.(*types.OrderedDictEntry)
			out = append(out, pair{it.Key, it.Value})
		}
	case *types.Dict:
		place := map[string]int{}
		for _, it := range *d {
			name, ok := it.Key.(string)
			if i, seen := place[name]; ok && seen {
				out[i].value = it.Value
				continue
			}
			if ok {
				place[name] = len(out)
			}
			out = append(out, pair{it.Key, it.Value})
		}
	default:
		return nil, false
	}
	return out, true
}

// versions reads the _metadata that torch hangs on a state dict: module -> {"version": n}.
func versions(root any) []tensor.ModuleVersion {
	d, ok := root.(*types.OrderedDict)
	if !ok {
		return nil
	}
	items, _ := entries(d.PyDict["_metadata"])
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
