package plan

import (
	"fmt"
	"strings"
)

// Code names why a tensor has its verdict, for those that act on it: pages, advice, tests.
type Code string

const (
	OfLayer    Code = "weight"      // quantized: the weight of a layer
	NotFloat   Code = "not_float"   // integers, bools and the like
	Empty      Code = "empty"       // no values
	Bias       Code = "bias"        // of any layer
	Vector     Code = "vector"      // one number per channel or fewer
	Recurrent  Code = "recurrent"   // of an RNN, a GRU or an LSTM
	SetKept    Code = "set_kept"    // the user said Module
	OtherClass Code = "other_class" // the file tells a class that coremltools keeps
	IsEmbed    Code = "embedding"   // kept unless asked for
	IsConv1D   Code = "conv1d"      // of Transformers: [in, out]
	IsNorm     Code = "norm"        // of two axes or more
	IsRouter   Code = "router"      // of a mixture of experts
	IsExperts  Code = "experts"     // stacked in one tensor
	IsSplit    Code = "split"       // weight_norm, spectral_norm, parametrizations
	Doubtful   Code = "doubtful"    // names and shapes leave it open
	NoLayer    Code = "no_layer"    // not the weight of a layer
	NoRule     Code = "no_rule"     // the recipe says nothing of it
	ByRecipe   Code = "recipe"      // the recipe keeps it
	IsUnfit    Code = "unfit"       // NaN, infinity, or too much
	NoBlocks   Code = "blocks"      // its axes cannot be cut so
	Beyond     Code = "beyond"      // coremltools would keep it, and so does Nibble
	IsTied     Code = "tied"        // with one that is kept
)

// Reason is why a tensor has its verdict: a code, and a sentence without its full stop.
type Reason struct {
	Code Code
	Text string
}

// sentences are the reasons that always read the same.
var sentences = map[Code]string{
	Empty:     "empty",
	Bias:      "bias",
	Vector:    "one number per channel or fewer (norm, running mean)",
	Recurrent: "recurrent layer: coremltools keeps these",
	SetKept:   "its module type was set to Module, which is kept",
	IsEmbed:   "embedding: coremltools keeps these",
	IsConv1D: "Conv1D of Transformers ([in, out]): coremltools keeps these; with its type set to Conv1D it is quantized, " +
		"in blocks along the inputs",
	IsNorm: "norm: coremltools keeps these",
	IsRouter: "router of a mixture of experts: kept, since small errors send tokens to other experts; " +
		"its type can be set to Linear",
	IsExperts: "experts stacked in one tensor, for which coremltools has no layer; with its type set to Conv1d and a " +
		"block_size of 1, each row gets a scale of its own",
	IsSplit:  "a weight in parts (weight_norm, spectral_norm, parametrizations): fold them before",
	NoLayer:  "not the weight of a layer that coremltools quantizes",
	NoRule:   "no rule of the recipe names it",
	ByRecipe: "the recipe keeps it",
}

// kinds are what tensors are that are kept for a reason, where many are spoken of.
var kinds = map[Code]string{
	NotFloat:   "values that are no floats",
	Empty:      "tensors without values",
	Bias:       "biases",
	Vector:     "one number per channel or fewer (norms, running means)",
	Recurrent:  "recurrent layers, which coremltools keeps",
	OtherClass: "layers of classes that coremltools keeps",
	IsEmbed:    "embeddings, which coremltools keeps",
	IsConv1D:   "Conv1D of Transformers, which coremltools keeps",
	IsNorm:     "norms, which coremltools keeps",
	IsRouter:   "routers of a mixture of experts",
	IsExperts:  "experts stacked in one tensor",
	IsSplit:    "weights in parts (weight_norm, spectral_norm, parametrizations)",
	Doubtful:   "layers that names and shapes leave open",
	NoLayer:    "tensors that are not the weights of layers that coremltools quantizes",
	NoRule:     "layers that no rule of the recipe names",
	ByRecipe:   "layers that the recipe keeps",
	SetKept:    "modules whose type was set to Module",
	IsUnfit:    "weights that cannot be quantized",
	NoBlocks:   "layers that cannot be cut into such blocks",
	IsTied:     "weights tied to ones that are kept",
	Beyond:     "small layers with rows not longer than a block, which coremltools keeps",
}

// because is the reason of a code that always reads the same.
func because(c Code) Reason { return Reason{c, sentences[c]} }

// doubt is the reason of a tensor that may be a layer of a class, or not.
func doubt(class, why string, args ...any) guess {
	return guess{class: class, kept: Reason{Doubtful, "doubtful: " + fmt.Sprintf(why, args...) + "; set its type to quantize it"}}
}

// untouchable says why no recipe can quantize a tensor; the code is "" where one can.
func untouchable(e *Entry, m param, embeddings bool) Reason {
	t := e.Tensor
	switch {
	case !t.DType.Weight():
		return Reason{NotFloat, fmt.Sprintf("%s values, not float weights", t.DType)}
	case t.Elements() == 0:
		return because(Empty)
	case m.kept.Code != "":
		return m.kept
	case m.class == RNN:
		return because(Recurrent)
	case m.class == Module:
		return because(SetKept)
	case m.class == Conv1D && m.source != FromUser:
		return because(IsConv1D)
	case m.class != "" && !quantizable(m.class):
		return Reason{OtherClass, m.class + ": coremltools keeps these"}
	case m.name == "bias", len(t.Shape) < 2 && (strings.HasPrefix(m.name, "bias") || strings.HasSuffix(m.name, "bias")):
		return because(Bias)
	case len(t.Shape) < 2:
		return because(Vector)
	case m.class == Embedding && !embeddings:
		return because(IsEmbed)
	case m.class == "":
		return because(NoLayer)
	}
	return Reason{}
}

func article(class string) string {
	if class == MHA {
		return "an attention (" + class + ")"
	}
	return "a " + class
}
