// Package compressedtensors is the policy of llm-compressor's data-free scheme W4A16 (compressed-tensors 0.15) for the
// places that read it: Transformers (4.57, 5.24) and vLLM (0.32). It quantizes torch's Linears, and no others, in
// symmetric int4 and groups of 128 inputs where nothing else is said, with compressed-tensors' own rounding (method
// minmax).
//
// What those places cannot read, or read wrongly without an error, is kept: embeddings, Transformers' Conv1D,
// convolutions, packed attention; so are output heads and routers, as llm-compressor's recipes do. A layer that the
// group size does not divide gets the largest half of it that does, down to 8. What is fused when it is loaded (q, k
// and v; gate and up) gets one scheme.
//
// The words are a coremltools config's (package coremltools), read as numbers: bits, granularity, block_size and
// quantization_scheme; which rule wins for a module is coremltools', too. Unsigned types mean the signed ones, which
// are stored unsigned anyway.
//
// Only package quant is stable.
package compressedtensors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/scheme"
)

// Method is the row of the table of methods.
const Method = "minmax"

// Usual are the words where nothing is said.
var Usual = coremltools.Global{
	DType: string(scheme.Int4), Granularity: string(scheme.PerBlock), GroupSize: "128", Scheme: string(scheme.Symmetric),
}

// Policy decides for a recipe.
type Policy struct {
	*coremltools.Recipe
	heads []string // modules that make a model's answer
	vocab int64    // rows of the one that makes logits; 0 where that is not known
}

// New is the policy of a recipe for a model whose logits a module makes, one for each of so many tokens.
func New(r *coremltools.Recipe, head string, vocab int64) *Policy {
	return &Policy{Recipe: r, heads: append([]string{head}, otherHeads...), vocab: vocab}
}

// otherHeads are what else makes an answer of what a model computed.
var otherHeads = []string{"lm_head", "embed_out", "score", "classifier", "qa_outputs"}

// least is the smallest group that a layer is given: in smaller ones scales take as much as the codes.
const least = 8

// Decide implements plan.Policy.
func (r *Policy) Decide(w *plan.Weight, _ *recipe.Options) (plan.Verdict, error) {
	if why := r.untouchable(w); why.Code != "" {
		return plan.Verdict{Reason: why}, nil
	}
	entry, rule, err := r.Rule(w.Module, w.Class.Name)
	switch {
	case err != nil:
		return plan.Verdict{}, err
	case rule == "":
		return plan.Keep(plan.NoRule), nil
	case entry.Scheme == nil:
		v := plan.Keep(plan.ByRecipe)
		v.Rule = rule
		return v, nil
	}
	s, err := schemeOf(*entry.Scheme)
	if err != nil {
		return plan.Verdict{}, err
	}
	v := plan.Verdict{Rule: rule, ByName: entry.ByName}
	if v.Scheme, v.Grid, v.Quantize = cut(s, w.Tensor.Shape); !v.Quantize {
		v.Reason = plan.Because(plan.NoGroups, decimal(w.Tensor.Shape[1]), decimal(s.BlockSize[0]))
		return v, nil
	}
	v.Reason = coremltools.OfLayer(w.Class.Name)
	return v, nil
}

// untouchable says why no recipe can quantize a tensor; the code is "" where one can.
func (r *Policy) untouchable(w *plan.Weight) plan.Reason {
	class := w.Class.Name
	switch why := coremltools.Untouchable(w, true); why.Code {
	case "":
	case coremltools.Recurrent, coremltools.OtherClass, coremltools.IsConv1D:
		return plan.Because(plan.OtherLayer, class)
	case plan.IsNorm, plan.IsExpert, plan.NoLayer:
		return plan.Because(plan.NotRead)
	default:
		return why
	}
	switch {
	case class != layer.Linear:
		return plan.Because(plan.OtherLayer, class)
	case slices.Contains(r.heads, w.Module), w.Tensor.Shape[0] == r.vocab && !inBlock(w.Module):
		return plan.Because(plan.IsHead)
	}
	return plan.Reason{}
}

// inBlock reports whether a module lies in one of many that are numbered, which no head does.
func inBlock(module string) bool {
	for _, part := range strings.Split(module, ".") {
		if _, err := strconv.Atoi(part); err == nil {
			return true
		}
	}
	return false
}

// schemeOf is what an entry of a config means here.
func schemeOf(s scheme.Scheme) (scheme.Scheme, error) {
	bits := s.Bits()
	if s.Method, s.WeightDType = Method, scheme.Int4; bits == 8 {
		s.WeightDType = scheme.Int8
	}
	out, in := int64(1), int64(0)
	switch n := len(s.BlockSize); {
	case s.Granularity == scheme.PerTensor:
		return s, fault.Not("", "one scale for a whole tensor has no place in compressed-tensors").
			Hint("choose per_channel, or per_block")
	case n == 1:
		in = s.BlockSize[0]
	case n > 1:
		out, in = s.BlockSize[0], s.BlockSize[1]
	}
	switch {
	case s.Granularity == scheme.PerBlock && (in < least || len(s.BlockSize) > 2):
		return s, fault.Not("", "block_size %v has no place in compressed-tensors", s.BlockSize).
			Hint("choose a number of inputs, such as 128, 64 or 32")
	case out > 1:
		return s, fault.Not("", "block_size %v reaches over several rows, each of which has scales of its own in "+
			"compressed-tensors", s.BlockSize).Hint("choose a number of inputs, such as 128, 64 or 32")
	}
	if s.BlockSize != nil {
		s.BlockSize = []int64{in}
	}
	return s, nil
}

// cut lays groups over a weight. Where the size does not divide the inputs, its halves are tried.
func cut(s scheme.Scheme, shape []int64) (scheme.Scheme, scheme.Grid, bool) {
	g := scheme.Whole(shape)
	g.BlockRows = 1
	if s.Granularity == scheme.PerChannel {
		return s, g, true
	}
	for size := s.BlockSize[0]; size >= least; size /= 2 {
		if g.Cols%size == 0 {
			s.BlockSize, g.BlockCols = []int64{size}, size
			return s, g, true
		}
	}
	return s, g, false
}

// Export implements plan.Policy: it is the recipe as it was given and the place under the key nibble, which gives the
// same again. coremltools itself would round otherwise.
func (r *Policy) Export(p *plan.Plan) (plan.Config, []string) {
	note := fmt.Sprintf("it is for %s: its key nibble says so, which coremltools refuses, and coremltools rounds "+
		"otherwise", p.Options.For)
	return r.With(nil).Asking(p.Options), []string{note}
}

// decimal is a number as an argument of a reason.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }
