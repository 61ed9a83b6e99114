package plan

import (
	"encoding/json"
	"fmt"
	"strings"

	"nibble/quant/kernel"
)

// Code names why a tensor has its verdict, for those that act on it: pages, advice, tests.
type Code string

// Codes that the plan itself gives or acts on. A policy has its own beside them.
const (
	OfLayer     Code = "weight"    // quantized: the weight of a layer
	AClass      Code = "a_class"   // argument of it: of a class
	AnAttention Code = "attention" // the same
	NotFloat    Code = "not_float" // integers, bools and the like
	SetKept     Code = "set_kept"  // the user said Module
	IsEmbed     Code = "embedding" // kept unless asked for
	IsNorm      Code = "norm"      // of two axes or more
	IsRouter    Code = "router"    // of a mixture of experts
	IsExpert    Code = "experts"   // stacked in one tensor
	IsSplit     Code = "split"     // weight_norm, spectral_norm, parametrizations
	Doubtful    Code = "doubtful"  // names and shapes leave it open; its argument says why
	NoLayer     Code = "no_layer"  // not the weight of a layer
	NoRule      Code = "no_rule"   // the recipe says nothing of it
	ByRecipe    Code = "recipe"    // the recipe keeps it
	IsUnfit     Code = "unfit"     // NaN, infinity, or too much, as its argument says
	IsTied      Code = "tied"      // with one that is kept: its name, and why it is
)

// Codes of policies for the places where a model runs.
const (
	OtherLayer Code = "other_layer" // of a class that is not read in 4 bits there
	NotRead    Code = "not_read"    // no weight of a layer that is
	IsHead     Code = "head"        // it makes the model's answer
	IsTiedHead Code = "tied_head"   // which is left out there
	NoGroups   Code = "no_groups"   // inputs, group size
	IsFused    Code = "fused"       // loaded as one with a weight that is kept: its name
	Relabelled Code = "relabelled"  // codes and scales of a model that is quantized already
	AsItIs     Code = "as_it_is"    // what else such a model has
)

// Reason is why a tensor has its verdict: a code and arguments, which are texts or reasons in their turn, so that it
// can be said in any language; and the sentence in English, without its full stop.
type Reason struct {
	Code Code
	Args []any
	Text string
}

// Because makes a reason, without its sentence.
func Because(c Code, args ...any) Reason { return Reason{Code: c, Args: args} }

// Fixed reports whether no recipe has a say, since the model is quantized already.
func (r Reason) Fixed() bool { return r.Code == Relabelled || r.Code == AsItIs }

// MarshalJSON is the code and the arguments in one list, as an argument of another reason is written.
func (r Reason) MarshalJSON() ([]byte, error) { return json.Marshal(append([]any{r.Code}, r.Args...)) }

// Sentence is what a code says in English.
type Sentence struct {
	Text   string // with %s for each argument
	Many   string // what tensors are that are kept for it, in a sentence about many; "" for codes of arguments
	Remedy string // what can be tried with them; mostly nothing
}

// Sentences are those of some codes.
type Sentences map[Code]Sentence

// fillText sets the sentence of a reason.
func (p *Plan) fillText(r *Reason) {
	if r.Code != "" && r.Text == "" {
		r.Text = p.text(*r)
	}
}

// text is the sentence of a reason. One without a sentence says its code, and fails a test.
func (p *Plan) text(r Reason) string {
	args := make([]any, len(r.Args))
	for i, a := range r.Args {
		if why, ok := a.(Reason); ok {
			a = p.text(why)
		}
		args[i] = a
	}
	s := p.sentence(r.Code)
	if s.Text == "" || strings.Count(s.Text, "%s") != len(args) {
		return string(r.Code)
	}
	return fmt.Sprintf(s.Text, args...)
}

// sentence is the policy's, or the plan's own.
func (p *Plan) sentence(c Code) Sentence {
	if s, ok := p.Policy.Sentences()[c]; ok {
		return s
	}
	return Own[c]
}

// Remedy is what can be tried with tensors that are kept for a reason; "" where nothing can.
func (p *Plan) Remedy(c Code) string { return p.sentence(c).Remedy }

// Own are the plan's sentences, of what a tensor is by its file, its name and its shape, and of what the arithmetic
// cannot take.
var Own = func() Sentences {
	for u, text := range kernel.Unfits {
		own[Code(u)] = Sentence{Text: text}
	}
	return own
}()

var own = Sentences{
	OfLayer: {Text: "weight of %s"}, AClass: {Text: "a %s"}, AnAttention: {Text: "an attention (%s)"},
	NotFloat: {
		Text: "%s values, not float weights", Many: "values that are no floats",
		Remedy: "take the checkpoint from before it was quantized or cast",
	},
	SetKept: {Text: "its module type was set to Module, which is kept", Many: "modules whose type was set to Module"},
	IsRouter: {
		Text: "router of a mixture of experts: kept, since small errors send tokens to other experts; its type can be " +
			"set to Linear",
		Many: "routers of a mixture of experts", Remedy: "set the type of these layers to Linear",
	},
	IsSplit: {
		Text:   "a weight in parts (weight_norm, spectral_norm, parametrizations): fold them before",
		Many:   "weights in parts (weight_norm, spectral_norm, parametrizations)",
		Remedy: "fold the parts of these weights in Python, and convert what comes out",
	},
	NoRule: {
		Text: "no rule of the recipe names it", Many: "layers that no rule of the recipe names",
		Remedy: "name them in the recipe, or add a global_config",
	},
	ByRecipe: {Text: "the recipe keeps it", Many: "layers that the recipe keeps"},
	IsTied:   {Text: "one weight with %s (tied), which is kept (%s)", Many: "weights tied to ones that are kept"},
	IsUnfit:  {Text: "cannot be quantized: %s", Many: "weights that cannot be quantized"},

	OtherLayer: {
		Text: "%s: it is not read in 4 bits there", Many: "layers that are not read in 4 bits there",
	},
	NotRead: {
		Text:   "not the weight of a layer that is read in 4 bits there",
		Many:   "tensors that are not read in 4 bits there",
		Remedy: "set the types of their modules, where they are layers",
	},
	IsHead:     {Text: "output head: kept, as is usual there", Many: "output heads"},
	IsTiedHead: {Text: "tied to the embedding, which is read in its place: left out", Many: "tied output heads"},
	NoGroups: {
		Text: "its %s inputs cannot be cut into groups of %s", Many: "layers that the group size does not divide",
		Remedy: "choose a smaller group size, or one scale per channel",
	},
	Relabelled: {
		Text: "its codes and scales stay as they are, in another form", Many: "codes that stay as they are, in another form",
	},
	AsItIs: {Text: "it stays as it is", Many: "tensors that stay as they are"},
	IsFused: {
		Text: "it is loaded as one weight with %s, which is kept", Many: "layers that are loaded as one with kept ones",
	},

	Doubtful: {
		Text: "doubtful: %s; set its type to quantize it", Many: "layers that names and shapes leave open",
		Remedy: "set the types of these layers",
	},
	doubtBiasAxes:   {Text: "its bias has %s axes, where that of a %s has one"},
	doubtBiasValues: {Text: "its bias has %s values, where that of a Linear has %s"},
	doubtModulated:  {Text: "its first axis of 1 stands before the four of a Conv2d, as in weights that are modulated"},
	doubtLong:       {Text: "its last axis of %s is long for a kernel, and its name does not say conv"},
	doubtEmbedding:  {Text: "its name is that of an embedding"},
	doubtNeither:    {Text: "its bias has %s values, which fits neither a %s nor a %s"},
	doubtName:       {Text: "it may be a %s, as its name says, or a %s"},
	doubtKernel:     {Text: "it may be a %s, as its even kernel says, or a %s"},
}

// Codes of what leaves a tensor doubtful.
const (
	doubtBiasAxes   Code = "doubt_bias_axes"   // axes of the bias, class
	doubtBiasValues Code = "doubt_bias_values" // values of the bias, rows
	doubtModulated  Code = "doubt_modulated"
	doubtLong       Code = "doubt_long" // length of the last axis
	doubtEmbedding  Code = "doubt_embedding"
	doubtNeither    Code = "doubt_neither" // values of the bias, class, class
	doubtName       Code = "doubt_name"    // class, other class
	doubtKernel     Code = "doubt_kernel"  // class, other class
)

// doubt is the guess of a tensor that may be a layer of a class, or not.
func doubt(class string, why Code, args ...any) guess {
	for i := range args {
		args[i] = fmt.Sprint(args[i])
	}
	return guess{class: class, kept: Because(Doubtful, Because(why, args...))}
}
