package coremltools

import (
	"strconv"

	"nibble/quant/plan"
)

// Codes of reasons that are coremltools' own, or what Nibble does beyond it.
const (
	Empty      plan.Code = "empty"       // no values
	Bias       plan.Code = "bias"        // of any layer
	Vector     plan.Code = "vector"      // one number per channel or fewer
	Recurrent  plan.Code = "recurrent"   // of an RNN, a GRU or an LSTM
	OtherClass plan.Code = "other_class" // the file says a class that coremltools keeps
	IsConv1D   plan.Code = "conv1d"      // of Transformers: [in, out]
	NoBlocks   plan.Code = "blocks"      // its axes cannot be cut so, as its argument says
	Beyond     plan.Code = "beyond"      // coremltools would keep it, and so does Nibble: as its argument says
)

// Codes of why blocks do not fit a weight, or are not worth it.
const (
	tooSmall    plan.Code = "too_small"    // why coremltools keeps it, why Nibble does
	cutsNothing plan.Code = "cuts_nothing" // block_size
	notSmaller  plan.Code = "not_smaller"  // block, input channels
	outputs     plan.Code = "outputs"      // output channels, block
	inputs      plan.Code = "inputs"       // input channels, block
	manyAxes    plan.Code = "many_axes"    // entries, axes
	kernelAxis  plan.Code = "kernel_axis"  // entry, size, axis
	noFit       plan.Code = "no_fit"       // block rows and columns, rows and columns
	isFrozen    plan.Code = "frozen"
	fewInputs   plan.Code = "few_inputs"  // least
	fewWeights  plan.Code = "few_weights" // least
	noGain      plan.Code = "no_gain"
)

// Sentences implements plan.Policy.
func (*Recipe) Sentences() plan.Sentences { return Own }

// Own are the sentences of this policy, in English.
var Own = plan.Sentences{
	Empty: {Text: "empty", Many: "tensors without values"},
	Bias:  {Text: "bias", Many: "biases"},
	Vector: {Text: "one number per channel or fewer (norm, running mean)",
		Many: "one number per channel or fewer (norms, running means)"},
	Recurrent:  {Text: "recurrent layer: coremltools keeps these", Many: "recurrent layers, which coremltools keeps"},
	OtherClass: {Text: "%s: coremltools keeps these", Many: "layers of classes that coremltools keeps"},
	plan.IsEmbed: {
		Text: "embedding: coremltools keeps these", Many: "embeddings, which coremltools keeps",
		Remedy: "quantize embeddings, too",
	},
	IsConv1D: {
		Text: "Conv1D of Transformers ([in, out]): coremltools keeps these; with its type set to Conv1D it is quantized, " +
			"in blocks along the inputs",
		Many: "Conv1D of Transformers, which coremltools keeps", Remedy: "set the type of these layers to Conv1D",
	},
	plan.IsNorm: {Text: "norm: coremltools keeps these", Many: "norms, which coremltools keeps"},
	plan.IsExpert: {
		Text: "experts stacked in one tensor, for which coremltools has no layer; with its type set to Conv1d and a " +
			"block_size of 1, each row gets a scale of its own",
		Many: "experts stacked in one tensor", Remedy: "set the type of these tensors to Conv1d, with a block_size of 1",
	},
	plan.NoLayer: {
		Text:   "not the weight of a layer that coremltools quantizes",
		Many:   "tensors that are not the weights of layers that coremltools quantizes",
		Remedy: "set the types of their modules, where they are layers",
	},
	NoBlocks: {
		Text: "%s", Many: "layers that cannot be cut into such blocks",
		Remedy: "choose a block size that divides the inputs of these layers, or one scale per channel",
	},
	Beyond: {
		Text: "%s", Many: "small layers with rows not longer than a block, which coremltools keeps",
		Remedy: "choose a smaller block size, or one scale per channel",
	},

	tooSmall:    {Text: "coremltools keeps it (%s), and so does Nibble: %s"},
	cutsNothing: {Text: "block_size %s cuts no axis"},
	notSmaller:  {Text: "a block of %s is not smaller than its %s input channels"},
	outputs:     {Text: "its %s output channels cannot be cut into blocks of %s"},
	inputs:      {Text: "its %s input channels cannot be cut into blocks of %s"},
	manyAxes:    {Text: "block_size has %s entries, the weight only %s axes"},
	kernelAxis:  {Text: "block_size entry %s is %s: kernel axes are never split, so it must be 0 or %s"},
	noFit:       {Text: "blocks of %s x %s do not fit its %s x %s channels"},
	isFrozen:    {Text: "it is frozen, and may be no weight"},
	fewInputs:   {Text: "it has fewer than %s inputs"},
	fewWeights:  {Text: "it has fewer than %s weights"},
	noGain:      {Text: "codes and scales would not be smaller than the weight"},
}

// decimal is a number as an argument of a reason.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }
