// Package plan makes every decision: which tensor is quantized, how, by which rule
// of the recipe, and why the others are kept.
//
// Build is a pure function of a state dict and a recipe; it reads no weights, so a
// plan can be printed, tested and shown before any work. Nothing is skipped in
// silence: each tensor has a verdict with a reason. What is quantized follows
// coremltools' PostTrainingQuantizer: the weights of Linear, Conv, ConvTranspose and
// MultiheadAttention; embeddings, recurrent layers, norms and biases are kept. A bare
// state dict does not name its classes, so they are inferred (module.go) and shown
// as inferred. The containers and the executor only carry out what stands here.
package plan

import (
	"fmt"
	"strings"

	"nibble/quant/recipe"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Entry is the verdict for one tensor.
type Entry struct {
	Tensor     *tensor.Tensor
	Module     string // dotted name; "" is the root
	Type       string // module type, "" when none was recognised
	TypeSource string // FromFile, FromUser, Inferred; "" without a type
	Quantize   bool
	Rule       string // which rule of the recipe won; "" when none was asked
	Reason     string // in plain words
	Scheme     scheme.Scheme
	Grid       scheme.Grid // valid when Quantize
}

// Plan is the verdicts in the order of the state dict.
type Plan struct {
	State   *tensor.StateDict
	Recipe  *recipe.Recipe
	Entries []Entry
}

// Build decides.
func Build(state *tensor.StateDict, r *recipe.Recipe) *Plan {
	p := &Plan{State: state, Recipe: r, Entries: make([]Entry, len(state.Tensors))}
	for i, m := range modules(state) {
		e := Entry{Tensor: &state.Tensors[i], Module: m.module, Type: m.class}
		if m.class != "" {
			e.TypeSource = Inferred
		}
		decide(&e, m, r)
		p.Entries[i] = e
	}
	return p
}

// decide fills in the verdict.
func decide(e *Entry, m param, r *recipe.Recipe) {
	if e.Reason = untouchable(e.Tensor, m); e.Reason != "" {
		return
	}
	entry, rule, ok := r.Rule(m.module, m.class)
	switch {
	case !ok:
		e.Reason = "no rule of the recipe names it"
		return
	case entry.Scheme == nil:
		e.Rule, e.Reason = rule, "the recipe keeps it"
		return
	}
	e.Rule, e.Scheme = rule, *entry.Scheme
	grid, why := e.Scheme.Blocks(e.Tensor.Shape, strings.HasPrefix(m.class, "ConvTranspose"))
	if why != "" {
		e.Reason = why
		return
	}
	e.Quantize, e.Grid = true, grid
	e.Reason = fmt.Sprintf("weight of %s", article(m.class))
}

// untouchable says why no recipe can quantize a tensor, or "".
func untouchable(t *tensor.Tensor, m param) string {
	switch {
	case !t.DType.Weight():
		return fmt.Sprintf("%s values, not float weights", t.DType)
	case t.Elements() == 0:
		return "empty"
	case m.class == Recurrent:
		return "recurrent layer: coremltools keeps these"
	case len(t.Shape) < 2:
		if strings.HasPrefix(m.name, "bias") || strings.HasSuffix(m.name, "bias") {
			return "bias"
		}
		return "one number per channel or fewer (norm, running mean)"
	case m.class == Embedding:
		return "embedding: coremltools keeps these"
	case m.class == "":
		return "not the weight of a layer that coremltools quantizes"
	}
	return ""
}

func article(class string) string {
	if class == MHA {
		return "an attention (" + class + ")"
	}
	return "a " + class
}
