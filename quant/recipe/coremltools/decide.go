package coremltools

import (
	"strings"

	"nibble/quant/layer"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
)

// Decide implements plan.Policy: what PostTrainingQuantizer does with a weight, and where a weight is beyond it, what
// Nibble does.
func (r *Recipe) Decide(w *plan.Weight, o *recipe.Options) (plan.Verdict, error) {
	if why := Untouchable(w, o.Embeddings); why.Code != "" {
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
	v := plan.Verdict{Rule: rule, ByName: entry.ByName, Scheme: *entry.Scheme}
	if o.Keep[w.Tensor.Name] != "" { // it cannot be quantized, which the plan says
		v.Quantize = true
		return v, nil
	}
	if v.Grid, v.Beyond, v.Reason = cut(w, v.Scheme, o); v.Reason.Code == "" {
		v.Quantize, v.Reason = true, OfLayer(w.Class.Name)
	}
	return v, nil
}

// OfLayer is the reason of a weight of a class that is quantized.
func OfLayer(class string) plan.Reason {
	article := plan.AClass
	if class == layer.Attention {
		article = plan.AnAttention
	}
	return plan.Because(plan.OfLayer, plan.Because(article, class))
}

// Untouchable says why no config can quantize a tensor; the code is "" where one can.
func Untouchable(w *plan.Weight, embeddings bool) plan.Reason {
	t, class := w.Tensor, w.Class.Name
	switch {
	case !t.DType.Weight():
		return plan.Because(plan.NotFloat, t.DType.String())
	case t.Elements() == 0:
		return plan.Because(Empty)
	case w.KeptAs.Code != "":
		return w.KeptAs
	case class == layer.Recurrent:
		return plan.Because(Recurrent)
	case class == layer.Other:
		return plan.Because(plan.SetKept)
	case class == layer.Conv1D && w.ClassFrom != plan.FromUser:
		return plan.Because(IsConv1D)
	case class != "" && !quantizable(class):
		return plan.Because(OtherClass, class)
	case w.Param == "bias", len(t.Shape) < 2 && (strings.HasPrefix(w.Param, "bias") || strings.HasSuffix(w.Param, "bias")):
		return plan.Because(Bias)
	case len(t.Shape) < 2:
		return plan.Because(Vector)
	case class == layer.Embedding && !embeddings:
		return plan.Because(plan.IsEmbed)
	case class == "":
		return plan.Because(plan.NoLayer)
	}
	return plan.Reason{}
}

// cut lays the blocks, or says why there are none. Where coremltools would skip the layer, its true axes
// are tried, if that is worth it; beyond is then why coremltools would.
func cut(w *plan.Weight, s scheme.Scheme, o *recipe.Options) (g scheme.Grid, beyond, kept plan.Reason) {
	shape, transposed := w.Tensor.Shape, w.Class.Transposed()
	g, skips := Blocks(s, shape, transposed)
	if skips.Code == "" {
		return g, beyond, kept
	}
	g, why := trueBlocks(s, shape, transposed)
	switch {
	case o.CoremltoolsSkips && why.Code == "":
		return g, beyond, plan.Because(Beyond, skips)
	case o.CoremltoolsSkips:
		return g, beyond, plan.Because(NoBlocks, skips)
	case why.Code != "":
		return g, beyond, plan.Because(NoBlocks, why)
	}
	if small := tooLittle(w, s, g, o); small.Code != "" {
		return g, beyond, plan.Because(Beyond, plan.Because(tooSmall, skips, small))
	}
	return g, skips, kept
}

// tooLittle says why a layer that coremltools would skip is kept, too: judged alike for every container,
// by the codes, scales and zero points themselves.
func tooLittle(w *plan.Weight, s scheme.Scheme, g scheme.Grid, o *recipe.Options) plan.Reason {
	least := o.Least
	if least == (recipe.Least{}) {
		least = recipe.DefaultLeast
	}
	weights := w.Tensor.Elements()
	perScale := w.Tensor.DType.Arithmetic().Size()
	if s.HasZeroPoint() {
		perScale++
	}
	switch {
	case w.Tensor.Frozen:
		return plan.Because(isFrozen)
	case w.Tensor.Shape[w.Class.In] < least.Inputs:
		return plan.Because(fewInputs, decimal(least.Inputs))
	case weights < least.Weights:
		return plan.Because(fewWeights, decimal(least.Weights))
	case (weights*int64(s.Bits())+7)/8+g.Scales()*perScale >= w.Tensor.Bytes():
		return plan.Because(noGain)
	}
	return plan.Reason{}
}
