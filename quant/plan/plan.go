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
	AllowNone        bool              // convert, too, where nothing is quantized
	Parts            []string          // of the model that were asked for
	Least            Least             // of what coremltools would skip; zero is the default
}

// Least is how large a weight must be for Nibble to quantize it where coremltools would not. Smaller ones
// win next to nothing, and some are no weights at all, such as the numbers 0 to 15 that a YOLO multiplies with.
type Least struct{ Inputs, Weights int64 }

// usual is Least where nothing is said.
var usual = Least{Inputs: 16, Weights: 4096}

// Entry is the verdict for one tensor.
type Entry struct {
	Tensor     *tensor.Tensor
	Module     string // dotted name; "" is the root
	Type       string // module type, "" when none was recognised
	TypeSource string // FromFile, FromUser, Inferred, Guessed; "" without a type
	Quantize   bool
	Rule       string // which rule of the recipe won; "" when none was asked
	Code       Code   // of the reason
	Reason     string // in plain words
	Beyond     string // quantized, though coremltools would keep it: why it would
	byName     bool   // Rule names the module
	Scheme     scheme.Scheme
	Grid       scheme.Grid // valid when Quantize
}

// keep sets the verdict.
func (e *Entry) keep(why Reason) { e.Quantize, e.Code, e.Reason = false, why.Code, why.Text }

// Plan is the verdicts in the order of the state dict.
type Plan struct {
	State    *tensor.StateDict
	Recipe   *recipe.Recipe
	Options  Options
	Entries  []Entry
	Ties     []Tie // weights that are kept because another name of theirs is
	Conflict error // tied weights with different verdicts, or nothing to quantize: to be shown, not converted
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
	facts, known := newFacts(state), newClasses(state, o.Types)
	params, err := modules(state, facts, known)
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
	if p.Conflict = p.tied(facts, known); p.Conflict == nil {
		p.Conflict = p.nothing()
	}
	return p, nil
}

// decide fills in the verdict.
func (p *Plan) decide(e *Entry, m param) error {
	if why := untouchable(e, m, p.Options.Embeddings); why.Code != "" {
		e.keep(why)
		return nil
	}
	entry, rule, err := p.Recipe.Rule(m.module, m.class)
	switch {
	case err != nil:
		return err
	case rule == "":
		e.keep(because(NoRule))
		return nil
	case entry.Scheme == nil:
		e.Rule = rule
		e.keep(because(ByRecipe))
		return nil
	}
	e.Rule, e.byName, e.Scheme = rule, entry.ByName, *entry.Scheme
	if why := p.Options.Keep[e.Tensor.Name]; why != "" {
		e.keep(Reason{IsUnfit, "cannot be quantized: " + why})
		return nil
	}
	if why := p.cut(e); why.Code != "" {
		e.keep(why)
		return nil
	}
	e.Quantize, e.Code, e.Reason = true, OfLayer, fmt.Sprintf("weight of %s", article(m.class))
	return nil
}

// cut lays the blocks, or says why there are none. Where coremltools would skip the layer, its true axes
// are tried, if that is worth it.
func (p *Plan) cut(e *Entry) Reason {
	grid, skips := e.Scheme.Blocks(e.Tensor.Shape, transposed(e))
	if skips == "" {
		e.Grid = grid
		return Reason{}
	}
	grid, why := e.Scheme.TrueBlocks(e.Tensor.Shape, transposed(e))
	switch {
	case p.Options.CoremltoolsSkips && why == "":
		return Reason{Beyond, skips}
	case p.Options.CoremltoolsSkips:
		return Reason{NoBlocks, skips}
	case why != "":
		return Reason{NoBlocks, why}
	}
	if small := p.tooLittle(e, grid); small != "" {
		return Reason{Beyond, fmt.Sprintf("coremltools keeps it (%s), and so does Nibble: %s", skips, small)}
	}
	e.Grid, e.Beyond = grid, skips
	return Reason{}
}

// tooLittle says why a layer that coremltools would skip is kept, too: judged alike for every container,
// by the codes, scales and zero points themselves.
func (p *Plan) tooLittle(e *Entry, g scheme.Grid) string {
	least := p.Options.Least
	if least == (Least{}) {
		least = usual
	}
	inputs, weights := e.Tensor.Shape[1], e.Tensor.Elements()
	if transposed(e) {
		inputs = e.Tensor.Shape[0]
	}
	perScale := e.Tensor.DType.Arithmetic().Size()
	if e.Scheme.HasZeroPoint() {
		perScale++
	}
	switch {
	case e.Tensor.Frozen:
		return "it is frozen, and may be no weight"
	case inputs < least.Inputs:
		return fmt.Sprintf("it has fewer than %d inputs", least.Inputs)
	case weights < least.Weights:
		return fmt.Sprintf("it has fewer than %d weights", least.Weights)
	case (weights*int64(e.Scheme.Bits())+7)/8+g.Scales()*perScale >= e.Tensor.Bytes():
		return "codes and scales would not be smaller than the weight"
	}
	return ""
}
