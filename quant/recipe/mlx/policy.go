// Package mlx is the policy of mlx_lm.convert -q (mlx-lm 0.32.2) for what MLX loads: every Linear and Embedding whose
// inputs the group size divides, output heads included, in MLX's own affine arithmetic (method mlx), 4 bits in groups
// of 64 where nothing else is said; routers of mixtures of experts as the model's own predicate there says.
//
// The words are a coremltools config's (package coremltools). With quantization_scheme symmetric, which MLX's
// arithmetic has not, the codes are coremltools' (PostTrainingQuantizer's, by its rules), and are said in MLX's form:
// the same numbers.
//
// Families of models that mlx-lm does not know, and those whose weights it changes when it loads them, are refused by
// name (families.go). Only package quant is stable.
package mlx

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
const Method = "mlx"

// GroupSizes are those that MLX has kernels for.
var GroupSizes = []int{32, 64, 128}

// Usual are the words where nothing is said.
var Usual = coremltools.Global{
	DType: string(scheme.Int4), Granularity: string(scheme.PerBlock), GroupSize: "64", Scheme: string(scheme.Affine),
}

// Policy decides for a recipe.
type Policy struct {
	*coremltools.Recipe
	routers  router
	tiedHead string // module that mlx-lm drops, since the embedding is tied to it; "" where it does not
}

// New is the policy of a recipe for a family of models; tiedHead is the output head of a model whose config says that
// it is tied.
func New(r *coremltools.Recipe, modelType, tiedHead string) *Policy {
	return &Policy{Recipe: r, routers: routers[modelType], tiedHead: tiedHead}
}

// Decide implements plan.Policy.
func (r *Policy) Decide(w *plan.Weight, o *recipe.Options) (plan.Verdict, error) {
	own := *w
	if w.KeptAs.Code == plan.IsRouter && r.routers != keepRouters {
		own.KeptAs = plan.Reason{}
	}
	if why := r.untouchable(&own); why.Code != "" {
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
	if s.Mode == scheme.Symmetric {
		return r.relabelled(w, o)
	}
	v := plan.Verdict{Rule: rule, ByName: entry.ByName, Scheme: s}
	inputs, size := w.Tensor.Shape[1], s.BlockSize[0]
	if isRouter := w.KeptAs.Code == plan.IsRouter; isRouter && r.routers == eightBitRouters && inputs%size == 0 {
		v.Scheme.WeightDType, v.Scheme.BlockSize, size = scheme.Uint8, []int64{64}, 64
	}
	if inputs%size != 0 {
		v.Reason = plan.Because(plan.NoGroups, decimal(inputs), decimal(size))
		return v, nil
	}
	v.Grid = scheme.Whole(w.Tensor.Shape)
	v.Grid.BlockRows, v.Grid.BlockCols = 1, size
	v.Quantize, v.Reason = true, coremltools.OfLayer(w.Class.Name)
	return v, nil
}

// relabelled is coremltools' verdict on a weight, which is kept where the groups that it gets have no kernel in MLX.
func (r *Policy) relabelled(w *plan.Weight, o *recipe.Options) (plan.Verdict, error) {
	v, err := r.Recipe.Decide(w, o)
	if width := v.Grid.GroupWidth(); v.Quantize && v.Grid.Cols > 0 && !slices.Contains(GroupSizes, int(width)) {
		v.Quantize, v.Beyond = false, plan.Reason{}
		v.Reason = plan.Because(plan.NoGroups, decimal(v.Grid.Cols), decimal(v.Scheme.BlockSize[len(v.Scheme.BlockSize)-1]))
	}
	return v, err
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
	case class != layer.Linear && class != layer.Embedding:
		return plan.Because(plan.OtherLayer, class)
	case r.tiedHead != "" && w.Module == r.tiedHead:
		return plan.Because(plan.IsTiedHead)
	}
	return plan.Reason{}
}

// schemeOf is what an entry of a config means here.
func schemeOf(s scheme.Scheme) (scheme.Scheme, error) {
	in := int64(0)
	if n := len(s.BlockSize); n == 1 || n == 2 && s.BlockSize[0] <= 1 {
		in = s.BlockSize[n-1]
	}
	switch {
	case s.Granularity != scheme.PerBlock || !slices.Contains(GroupSizes, int(in)):
		asked := strings.TrimSpace(fmt.Sprint(s.Granularity, " ", strings.Trim(fmt.Sprint(s.BlockSize), "[]")))
		return s, fault.Not("", "MLX has groups of 32, 64 or 128 inputs, not %s", asked).
			Hint("choose one of them as the group size")
	case s.Mode == scheme.Symmetric && !s.Signed():
		return s, fault.Not("", "symmetric %s has no exact form in MLX", s.WeightDType).
			Hint("choose int4 or int8, or the scheme affine, which is MLX's own")
	case s.Mode == scheme.Symmetric:
		return s, nil
	}
	bits := s.Bits()
	if s.Method, s.WeightDType = Method, scheme.Uint4; bits == 8 {
		s.WeightDType = scheme.Uint8
	}
	s.BlockSize = []int64{in}
	return s, nil
}

// Export implements plan.Policy: it is the recipe as it was given and the place under the key nibble, which gives the
// same again. coremltools itself would do otherwise.
func (r *Policy) Export(p *plan.Plan) (plan.Config, []string) {
	note := "it is for MLX: its key nibble says so, which coremltools refuses, and coremltools rounds otherwise"
	return r.With(nil).Asking(p.Options), []string{note}
}

// decimal is a number as an argument of a reason.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }
