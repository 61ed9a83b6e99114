// Package plan makes every decision: which tensor is quantized, how, by which rule
// of the recipe, and why the others are kept.
//
// Build is a pure function of a state dict and a recipe; it reads no weights, so a
// plan can be printed, tested and shown before any work. Nothing is skipped in
// silence: each tensor has a verdict with a reason. What is quantized follows
// coremltools' PostTrainingQuantizer: the weights of Linear, Conv, ConvTranspose and
// MultiheadAttention; embeddings, recurrent layers, norms and biases are kept. A bare
// state dict does not name its classes, so they are inferred (module.go) and shown
// as inferred, unless the user sets them (types.go). Where Nibble quantizes a layer that
// coremltools would skip, Beyond says why coremltools would. The containers and the
// executor only carry out what stands here.
package plan

import (
	"fmt"
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Options are what a user can ask for beyond the recipe.
type Options struct {
	Types            []TypeRule        // classes of modules, where the user knows better
	Embeddings       bool              // quantize embeddings too, which coremltools cannot
	CoremltoolsSkips bool              // keep each layer that coremltools would skip
	KeepUnfit        bool              // keep what holds NaN, infinity or too much, instead of stopping at it
	Keep             map[string]string // tensors to keep whatever the recipe says -> why
}

// Unfit begins the reason of a tensor in Options.Keep.
const Unfit = "cannot be quantized: "

// Entry is the verdict for one tensor.
type Entry struct {
	Tensor     *tensor.Tensor
	Module     string // dotted name; "" is the root
	Type       string // module type, "" when none was recognised
	TypeSource string // FromFile, FromUser, Inferred; "" without a type
	Quantize   bool
	Rule       string // which rule of the recipe won; "" when none was asked
	Reason     string // in plain words
	Beyond     string // quantized, though coremltools would keep it: why it would
	Scheme     scheme.Scheme
	Grid       scheme.Grid // valid when Quantize
}

// Plan is the verdicts in the order of the state dict.
type Plan struct {
	State    *tensor.StateDict
	Recipe   *recipe.Recipe
	Options  Options
	Entries  []Entry
	Conflict error // tied weights with different verdicts: to be shown, not converted
	whole    *Plan // of which this is a part; nil for a plan of its own
}

// IsPart reports whether it is the plan of one file of several.
func (p *Plan) IsPart() bool { return p.whole != nil }

// Part is the plan of some entries, which go to a file of their own. Its recipe is still
// that of the whole.
func (p *Plan) Part(entries []int) *Plan {
	part := *p
	part.Entries, part.whole = make([]Entry, len(entries)), p
	for i, e := range entries {
		part.Entries[i] = p.Entries[e]
	}
	return &part
}

// Build decides. An error is a pattern or a module type that cannot be right.
func Build(state *tensor.StateDict, r *recipe.Recipe, o Options) (*Plan, error) {
	p := &Plan{State: state, Recipe: r, Options: o, Entries: make([]Entry, len(state.Tensors))}
	params, err := modules(state, o.Types)
	if err != nil {
		return nil, err
	}
	for i, m := range params {
		e := Entry{Tensor: &state.Tensors[i], Module: m.module, Type: m.class, TypeSource: m.source}
		if err := p.decide(&e, m); err != nil {
			return nil, err
		}
		p.Entries[i] = e
	}
	p.Conflict = p.tied()
	return p, nil
}

// decide fills in the verdict.
func (p *Plan) decide(e *Entry, m param) error {
	if e.Reason = untouchable(e.Tensor, m, p.Options.Embeddings); e.Reason != "" {
		return nil
	}
	entry, rule, err := p.Recipe.Rule(m.module, m.class)
	switch {
	case err != nil:
		return err
	case rule == "":
		e.Reason = "no rule of the recipe names it"
		return nil
	case entry.Scheme == nil:
		e.Rule, e.Reason = rule, "the recipe keeps it"
		return nil
	}
	e.Rule, e.Scheme = rule, *entry.Scheme
	if why := p.Options.Keep[e.Tensor.Name]; why != "" {
		e.Reason = Unfit + why
		return nil
	}
	grid, why := e.Scheme.Blocks(e.Tensor.Shape, transposed(e))
	if why != "" && !p.Options.CoremltoolsSkips {
		if g, still := e.Scheme.TrueBlocks(e.Tensor.Shape, transposed(e)); still == "" {
			grid, why, e.Beyond = g, "", why
		} else {
			why = still
		}
	}
	if why != "" {
		e.Reason = why
		return nil
	}
	e.Quantize, e.Grid = true, grid
	e.Reason = fmt.Sprintf("weight of %s", article(m.class))
	return nil
}

// untouchable says why no recipe can quantize a tensor, or "".
func untouchable(t *tensor.Tensor, m param, embeddings bool) string {
	switch {
	case !t.DType.Weight():
		return fmt.Sprintf("%s values, not float weights", t.DType)
	case t.Elements() == 0:
		return "empty"
	case m.class == Recurrent:
		return "recurrent layer: coremltools keeps these"
	case m.class == Module:
		return "its module type was set to Module, which is kept"
	case m.class != "" && !quantizable(m.class):
		return m.class + ": coremltools keeps these"
	case len(t.Shape) < 2:
		if strings.HasPrefix(m.name, "bias") || strings.HasSuffix(m.name, "bias") {
			return "bias"
		}
		return "one number per channel or fewer (norm, running mean)"
	case m.class == Embedding && !embeddings:
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

// tied finds weights that are one view of one storage under two names and yet have
// different verdicts. coremltools writes the quantized values over both without a word.
func (p *Plan) tied() error {
	first := map[string]int{}
	for i := range p.Entries {
		b := &p.Entries[i]
		if b.Tensor.Storage.File == nil || b.Tensor.Elements() == 0 {
			continue
		}
		view := b.Tensor.View()
		k, seen := first[view]
		if !seen {
			first[view] = i
			continue
		}
		a := &p.Entries[k]
		if a.Quantize == b.Quantize && (!a.Quantize || a.Grid == b.Grid && sameScheme(a.Scheme, b.Scheme)) {
			continue
		}
		hint := "write one rule of module_name_configs that matches both"
		if a.Type == Embedding || b.Type == Embedding {
			hint = "quantize both with --include-embeddings (on the page: embeddings too), or keep both with a module_name_configs entry of null"
		}
		return fault.Not(b.Tensor.Storage.FileName(), "it is one weight with %q (tied), but %s and %s", a.Tensor.Name, verdict(b), verdict(a)).
			In(b.Tensor.Name).Hint("%s", hint)
	}
	return nil
}

func sameScheme(a, b scheme.Scheme) bool {
	return a.WeightDType == b.WeightDType && a.Granularity == b.Granularity && a.Mode == b.Mode && slices.Equal(a.BlockSize, b.BlockSize)
}

// verdict is half a sentence about one of two tied weights.
func verdict(e *Entry) string {
	if e.Quantize {
		return fmt.Sprintf("%s becomes %s by %s", e.Tensor.Name, e.Scheme, e.Rule)
	}
	return fmt.Sprintf("%s is kept (%s)", e.Tensor.Name, e.Reason)
}
