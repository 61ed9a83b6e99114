package compressedtensors

import (
	"nibble/quant/plan"
	"nibble/quant/recipe/coremltools"
)

// Codes of reasons that are this policy's own.
const (
	IsHead          plan.Code = "head"             // it makes the model's answer
	NotLinear       plan.Code = "not_linear"       // its class, which compressed-tensors has no codes for
	PackedAttention plan.Code = "packed_attention" // q, k and v in one parameter of MultiheadAttention
	NoGroups        plan.Code = "no_groups"        // inputs, group size
	IsFused         plan.Code = "fused"            // with a layer that is kept: its name
)

// Sentences implements plan.Policy.
func (*Policy) Sentences() plan.Sentences { return Own }

// Own are the sentences of this policy, in English.
var Own = plan.Sentences{
	IsHead: {Text: "output head: kept, as is usual in such models", Many: "output heads"},
	NotLinear: {
		Text: "%s: only Linears are read in 4 bits there", Many: "layers that are no Linears",
	},
	PackedAttention: {
		Text: "MultiheadAttention: it is not read in 4 bits there", Many: "attentions of torch, which are not read in 4 bits",
	},
	NoGroups: {
		Text: "its %s inputs cannot be cut into groups of %s, or of a half of that", Many: "layers without groups",
		Remedy: "choose one scale per channel for these layers",
	},
	IsFused: {
		Text: "it is loaded as one weight with %s, which is kept",
		Many: "layers that are loaded as one weight with one that is kept",
	},
	plan.IsEmbed: {Text: "embedding: it is not read in 4 bits there", Many: "embeddings, which are not read in 4 bits"},
	coremltools.IsConv1D: {
		Text: "Conv1D of Transformers ([in, out]): it is not read in 4 bits there",
		Many: "Conv1D of Transformers, which are not read in 4 bits",
	},
	coremltools.Recurrent:  {Text: "recurrent layer", Many: "recurrent layers"},
	coremltools.OtherClass: {Text: "%s: no Linear", Many: "layers that are no Linears"},
	plan.IsNorm:            {Text: "norm", Many: "norms"},
	plan.IsExpert: {
		Text: "experts stacked in one tensor: they are not read in 4 bits there", Many: "experts stacked in one tensor",
	},
	plan.NoLayer: {
		Text: "not the weight of a Linear", Many: "tensors that are not the weights of Linears",
		Remedy: "set the types of their modules, where they are Linears",
	},
	plan.IsRouter: {
		Text: "router of a mixture of experts: kept, since small errors send tokens to other experts",
		Many: "routers of a mixture of experts",
	},
	coremltools.Empty:  coremltools.Own[coremltools.Empty],
	coremltools.Bias:   coremltools.Own[coremltools.Bias],
	coremltools.Vector: coremltools.Own[coremltools.Vector],
}
