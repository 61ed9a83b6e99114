package torch

import (
	"regexp"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// TorchScript archives (torch.jit.save) hold the tree of modules as a pickle of objects
// whose classes are in the archive as source, under code/. What is a parameter and what a
// buffer only that source tells, in two lines of each class:
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
	kinds   map[string]*kind // by qualified name of the class
	read    map[string]bool  // files of source
	left    int64            // bytes of source that may still be read
}

// kind is what a class's source says of it.
type kind struct{ parameters, buffers map[string]bool }

func readScripted(a *archive) (*tensor.StateDict, error) {
	r, root, err := a.pickle("data.pkl", "data/")
	if err != nil {
		return nil, err
	}
	if err := r.apart(); err != nil {
		return nil, err
	}
	top, ok := root.(*record)
	if !ok || !strings.HasPrefix(top.class.module+".", "__torch__.") {
		return nil, fault.Bad(a.file.Name, "this TorchScript archive holds %s, not a module", describe(root))
	}
	s := &script{moduleWalk: &moduleWalk{file: a.file.Name, classes: map[string]string{}}, archive: a, kinds: map[string]*kind{}, read: map[string]bool{}, left: maxCode}
	if err := s.walk(top, "", 0); err != nil {
		return nil, err
	}
	out := &tensor.StateDict{Classes: s.classes, Notes: []string{"the file holds a TorchScript program; its code, constants and settings are left out"}}
	for _, it := range s.items {
		t, err := r.named(it)
		if err != nil {
			return nil, err
		}
		if t != nil {
			out.Tensors = append(out.Tensors, *t)
		}
	}
	if len(out.Tensors) == 0 {
		return nil, fault.Not(a.file.Name, "this TorchScript archive holds no parameters (a frozen model keeps its weights in its code)").
			Hint("save the model before torch.jit.freeze, or its state dict")
	}
	return out, nil
}

func (s *script) walk(o *record, path string, depth int) error {
	attributes, _ := entries(o.state)
	if !s.pay(path, len(attributes)) || depth > maxDepth {
		return s.endless()
	}
	k, err := s.kindOf(o.class)
	if err != nil {
		return err
	}
	prefix := path
	if path != "" {
		prefix += "."
	}
	if class, ok := layerClass(o.class); ok {
		s.classes[path] = class
	}
	for _, own := range []map[string]bool{k.parameters, k.buffers} {
		for _, it := range attributes {
			if name, ok := it.key.(string); ok && own[name] && it.value != nil {
				s.items = append(s.items, pair{prefix + name, it.value})
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
			return fault.Not(s.file, "%s holds weights in a form of its own (%s)", short(prefix+name), describe(child)).
				Hint("take the model from before it was quantized or compiled")
		}
		if k, err := s.kindOf(child.class); err != nil {
			return err
		} else if k.parameters == nil {
			continue // an object that is no module
		}
		if err := s.walk(child, prefix+name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

var mangle = regexp.MustCompile(`\.___torch_mangle_\d+`)

// layerClass is the name of torch's own layer that a class was compiled from.
func layerClass(c *class) (string, bool) {
	module := mangle.ReplaceAllString(c.module, "")
	return c.name, strings.HasPrefix(module, "__torch__.torch.nn.modules.") && c.name != "NonDynamicallyQuantizableLinear"
}

// kindOf finds a class in the archive's source. One that is there and no module has nil
// parameters.
func (s *script) kindOf(c *class) (*kind, error) {
	full := c.module + "." + c.name
	if k := s.kinds[full]; k != nil {
		return k, nil
	}
	path := "code/" + strings.ReplaceAll(c.module, ".", "/") + ".py"
	if !s.read[path] {
		if s.archive.entries[s.archive.root+path] == nil {
			return nil, fault.Bad(s.file, "the source of class %s is not in the archive", short(full))
		}
		text, err := s.archive.content(path, s.left)
		if err != nil {
			return nil, err
		}
		s.read[path] = true
		s.left -= int64(len(text))
		s.parse(c.module, string(text))
	}
	if s.kinds[full] == nil {
		return nil, fault.Bad(s.file, "the source of class %s is not in the archive", short(full))
	}
	return s.kinds[full], nil
}

// parse finds the classes of one source file.
func (s *script) parse(module, text string) {
	var k *kind
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if name, ok := strings.CutPrefix(line, "class "); ok {
			name, base, _ := strings.Cut(name, "(")
			k = &kind{}
			if strings.HasPrefix(base, "Module)") {
				k = &kind{map[string]bool{}, map[string]bool{}}
			}
			s.kinds[module+"."+name] = k
			continue
		}
		if k == nil || k.parameters == nil {
			continue
		}
		if list, ok := strings.CutPrefix(line, "  __parameters__ = ["); ok {
			quoted(list, k.parameters)
		}
		if list, ok := strings.CutPrefix(line, "  __buffers__ = ["); ok {
			quoted(list, k.buffers)
		}
	}
}

// quoted collects the names of a list such as "weight", "bias", ].
func quoted(list string, into map[string]bool) {
	for i, part := range strings.Split(list, `"`) {
		if i%2 == 1 {
			into[part] = true
		}
	}
}
