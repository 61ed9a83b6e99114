package plan

import (
	"strings"

	"nibble/quant/layer"
	"nibble/quant/tensor"
)

// Source is where a module's class is known from; "" without a class.
type Source string

const (
	FromFile Source = "file"     // the file says it: a fact
	FromUser Source = "user"     // set by the user: obeyed
	Inferred Source = "inferred" // from names and shapes: shown, easy to change
	Guessed  Source = "doubtful" // from names and shapes that say too little: kept, easy to change
)

// Sources are all of them, for those who have a word for each.
var Sources = []Source{FromFile, FromUser, Inferred, Guessed}

// param says which module a tensor belongs to and what it is there.
type param struct {
	module string // whose config decides; "" is the root
	name   string // weight, bias, in_proj_weight, ...
	guess
	source Source // where class is known from
	set    string // module whose class the user set, when source is FromUser
}

// guess is the class of a tensor's module, "" when it is nothing that could be quantized, and why it
// is kept whatever the recipe says; mostly nothing.
type guess struct {
	class string
	kept  Reason
}

// modules finds the module and its class for every tensor of a state dict.
func modules(state *tensor.StateDict, facts *facts, known *classes) ([]param, error) {
	out := make([]param, len(state.Tensors))
	for i := range state.Tensors {
		p, err := findModule(&state.Tensors[i], facts, known)
		if err != nil {
			return nil, err
		}
		if p.source == FromUser {
			if err := known.fits(&state.Tensors[i], p); err != nil {
				return nil, err
			}
		}
		out[i] = p
	}
	return out, known.unused()
}

// findModule finds the module of a tensor, and its class: one that is known, or else one that is inferred.
func findModule(t *tensor.Tensor, facts *facts, known *classes) (param, error) {
	module, name := split(t.Name)
	if facts.isFactor(t, module, name) {
		return param{module: module, name: name, guess: guess{kept: Because(IsSplit)}}, nil
	}
	if facts.isStack(t, module, name) { // such a tensor is a module by itself
		p := param{module: t.Name, name: name, guess: guess{kept: Because(IsExpert)}, set: t.Name}
		class, source, err := known.of(t.Name)
		if source == FromUser {
			p.source, p.guess = source, guess{class: class}
		}
		return p, err
	}
	class, source, err := known.of(module)
	if err != nil {
		return param{}, err
	}
	if source != "" {
		p := fromClass(module, name, class, source)
		if p.class == layer.Linear && source == FromFile && facts.isRouter(module) {
			p.kept = Because(IsRouter)
		}
		return p, nil
	}
	outer, last := split(module)
	if last != "out_proj" || name != "weight" {
		return withSource(infer(t, facts)), nil
	}
	switch class, source, err = known.of(outer); {
	case err != nil:
		return param{}, err
	case class == layer.Attention:
		p := param{module: outer, name: "out_proj.weight", guess: guess{class: layer.Attention}, source: source, set: outer}
		return p, nil
	case source != "": // no attention, so its out_proj is a module like others
		return withSource(param{module: module, name: name, guess: facts.weight(t, module)}), nil
	}
	return withSource(infer(t, facts)), nil
}

// fromClass is a tensor of a module whose class is known. The class is the tensor's own when it is a weight, or when
// all of the module is kept.
func fromClass(module, name, class string, source Source) param {
	p := param{module: module, name: name, set: module}
	attention := attentionParam.MatchString(name)
	switch {
	case class == layer.Attention && attention,
		class != layer.Attention && name == "weight",
		class == layer.Other && (attention || recurrentParam.MatchString(name)),
		source == FromFile && layer.Of(class).Varied:
		p.class, p.source = class, source
	}
	return p
}

// withSource says of a class that was found by names and shapes where it is from.
func withSource(p param) param {
	switch {
	case p.class == "":
	case p.kept.Code == Doubtful:
		p.source = Guessed
	default:
		p.source = Inferred
	}
	return p
}

// split cuts a tensor's name at the last dot.
func split(name string) (module, param string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// join is the inverse of split.
func join(module, param string) string {
	if module == "" {
		return param
	}
	return module + "." + param
}
