package torch

import (
	"regexp"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// TorchScript archives (torch.jit.save) hold the tree of modules as a pickle of objects
// whose classes are in the archive as source, under code/. What is a parameter and what a
// buffer only that source says, in two lines of each class:
//
//	class Linear(Module):
//	  __parameters__ = ["weight", "bias", ]
//	  __buffers__ = []
//
// The names of torch's own layers survive in the names of their classes, such as
// __torch__.torch.nn.modules.linear.___torch_mangle_3.Linear. No code is run.

// maxCode bounds the source that is read, per file and in all.
const maxCode = 32 << 20

// script reads a state dict off the tree, as torch.jit.load(...).state_dict() would.
type script struct {
	*moduleWalk
	archive *archive
	kinds   map[*class]*kind
	sources map[string]*kind // by qualified name of the class
	read    map[string]bool  // files of source
	left    int64            // bytes of source that may still be read
}

// kind is what a class's source says of it, and which of torch's own layers it is.
type kind struct {
	parameters, buffers map[string]bool // nil when it is no module
	layer               string
	setsState           bool // it makes its state of what was saved, in code
}

func readScripted(a *archive) (*tensor.StateDict, error) {
	r, root, err := a.pickle("data.pkl", "data/")
	if err != nil {
		return nil, err
	}
	if err := r.refuseSharedStorage(); err != nil {
		return nil, err
	}
	top, ok := root.(*record)
	if !ok || !strings.HasPrefix(top.class.module+".", "__torch__.") {
		return nil, fault.Bad(a.file.Name, "this TorchScript archive holds %s, not a module", describe(root))
	}
	s := &script{moduleWalk: newModuleWalk(a.file.Name), archive: a, kinds: map[*class]*kind{},
		sources: map[string]*kind{}, read: map[string]bool{}, left: maxCode}
	s.readLayer = s.scriptedLayer
	if err := s.walk(top, "", 0); err != nil {
		return nil, err
	}
	out := &tensor.StateDict{Classes: s.classes,
		Notes: []string{"the file holds a TorchScript program; its code, constants and settings are left out"}}
	for _, it := range s.items {
		t, err := r.tensorOf(it)
		if err != nil {
			return nil, err
		}
		if t == nil {
			return nil, r.refuseEntry(it)
		}
		out.Tensors = append(out.Tensors, *t)
	}
	if len(out.Tensors) == 0 {
		return nil, fault.Not(a.file.Name, "this TorchScript archive holds no parameters (a frozen model keeps its "+
			"weights in its code)").
			Hint("save the model before torch.jit.freeze, or its state dict")
	}
	return out, nil
}

// scriptedLayer reads the attributes of a scripted module.
func (s *script) scriptedLayer(o *record, path string) (*layer, error) {
	if !s.pay(0, rawLen(o.state)) {
		return nil, s.endless()
	}
	attributes, _ := entries(o.state)
	k, err := s.kindOf(o.class)
	if err != nil {
		return nil, err
	}
	if k.setsState {
		return nil, fault.Not(s.file, "%s makes its weights in code when it is loaded (__setstate__)", moduleLabel(path)).
			Hint("save the weights with torch.save(model.state_dict(), ...)")
	}
	l := &layer{class: k.layer}
	for _, own := range []map[string]bool{k.parameters, k.buffers} {
		for _, it := range attributes {
			if name, ok := it.key.(string); ok && own[name] && it.value != nil {
				l.own = append(l.own, it)
			}
		}
	}
	for _, it := range attributes {
		name, ok := it.key.(string)
		child, isRecord := it.value.(*record)
		if !ok || !isRecord {
			continue
		}
		if strings.HasPrefix(child.class.module, "__torch__.torch.classes.") {
			return nil, fault.Not(s.file, "%s holds weights in a form of its own (%s)", moduleLabel(join(path, name)),
				describe(child)).
				Code(fault.AlreadyQuantized, describe(child)).Hint("take the model from before it was quantized or compiled")
		}
		k, err := s.kindOf(child.class)
		if err != nil {
			return nil, err
		}
		if k.parameters != nil { // else it is an object that is no module
			l.children = append(l.children, it)
		}
	}
	return l, nil
}

var mangle = regexp.MustCompile(`\.___torch_mangle_\d+`)

// layerClass is the name of torch's own layer (or Transformers' Conv1D) that a class was compiled from, or "".
func layerClass(c *class) string {
	module := mangle.ReplaceAllString(c.module, "")
	if strings.HasPrefix(module, "__torch__.transformers.") && c.name == "Conv1D" {
		return c.name
	}
	if !strings.HasPrefix(module, "__torch__.torch.nn.modules.") || c.name == "NonDynamicallyQuantizableLinear" {
		return ""
	}
	return c.name
}

// kindOf finds a class in the archive's source.
func (s *script) kindOf(c *class) (*kind, error) {
	if k := s.kinds[c]; k != nil {
		return k, nil
	}
	if !s.pay(len(c.module)+len(c.name), 1) {
		return nil, s.endless()
	}
	full := c.module + "." + c.name
	path := "code/" + strings.ReplaceAll(c.module, ".", "/") + ".py"
	missing := fault.Bad(s.file, "the source of class %s is not in the archive", short(full))
	if !s.read[path] {
		if s.archive.entry(path) == nil {
			return nil, missing
		}
		text, err := s.archive.content(path, s.left)
		if err != nil {
			return nil, err
		}
		s.read[path] = true
		s.left -= int64(len(text))
		if !s.parse(c.module, string(text)) {
			return nil, s.endless()
		}
	}
	found := s.sources[full]
	if found == nil {
		return nil, missing
	}
	k := *found
	k.layer = layerClass(c)
	s.kinds[c] = &k
	return &k, nil
}

// parse finds the classes of one source file; false when they have more names than a model.
func (s *script) parse(module, text string) bool {
	var k *kind
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if name, ok := strings.CutPrefix(line, "class "); ok {
			name, base, _ := strings.Cut(name, "(")
			k = &kind{}
			if strings.HasPrefix(base, "Module)") {
				k = &kind{parameters: map[string]bool{}, buffers: map[string]bool{}}
			}
			s.sources[module+"."+name] = k
			continue
		}
		if k == nil || k.parameters == nil {
			continue
		}
		k.setsState = k.setsState || strings.HasPrefix(line, "  def __setstate__(")
		if list, ok := strings.CutPrefix(line, "  __parameters__ = ["); ok {
			s.quoted(list, k.parameters)
		}
		if list, ok := strings.CutPrefix(line, "  __buffers__ = ["); ok {
			s.quoted(list, k.buffers)
		}
	}
	return s.pay(0, 0)
}

// quoted collects the names of a list such as "weight", "bias", ].
func (s *script) quoted(list string, into map[string]bool) {
	for {
		_, rest, ok := strings.Cut(list, `"`)
		name, rest, closed := strings.Cut(rest, `"`)
		if !ok || !closed || !s.pay(len(name), 1) {
			return
		}
		into[name], list = true, rest
	}
}
