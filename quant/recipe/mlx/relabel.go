package mlx

import (
	"slices"

	"nibble/quant/fault"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/scheme"
)

// RelabelMethod is the row of the table of methods for weights that are quantized already.
const RelabelMethod = "relabel"

// Relabel is the policy of a folder of compressed-tensors: codes and scales stay as they are, and are said in MLX's
// form. A recipe has no say in it.
type Relabel struct {
	*coremltools.Recipe
	scales map[string]model.Packed
	moved  map[string]bool // tensors whose name changes, or that are said by another's shape
}

// Relabels says why the codes of a model have no exact form in MLX, where its experts may have to be stacked; nil where
// they have.
func Relabels(c *model.Model, stacked bool) *fault.Error {
	packed := c.Packed()
	refuse := func(p model.Packed, why string) *fault.Error {
		return fault.Not(c.Name, "it is quantized already, and its codes have no exact form in MLX: %s", why).In(p.Words).
			Code(fault.AlreadyQuantized, c.Quantized.By).Hint("take the checkpoint from before it was quantized")
	}
	switch {
	case !c.Config.PackQuantized() || len(packed) != c.Quantized.Weights:
		return refuse(model.Packed{}, "only compressed-tensors' pack-quantized codes can be said in its form, and of those "+
			"only what config.json says rightly")
	case c.Config.BeyondCodes() != "":
		return refuse(model.Packed{}, "its config asks for more than codes of weights ("+c.Config.BeyondCodes()+")")
	}
	for _, p := range packed {
		inputs := p.Shape[len(p.Shape)-1]
		switch group := groupOf(p); {
		case !p.Symmetric:
			return refuse(p, "they have zero points")
		case p.Bits != 4 && p.Bits != 8:
			return refuse(p, "they have other than 4 or 8 bits")
		case len(p.Shape) != 2 || !slices.Contains(GroupSizes, int(group)) || inputs%group != 0:
			return refuse(p, "they are not in groups of 32, 64 or 128 inputs")
		}
	}
	if stacked {
		return refuse(packed[0], "its experts would have to be stacked")
	}
	return nil
}

// groupOf is how many inputs of a packed weight share a scale.
func groupOf(p model.Packed) int64 {
	if p.Group == 0 {
		return p.Shape[len(p.Shape)-1]
	}
	return p.Group
}

// NewRelabel is the policy for a model that Relabels takes; an error of what its words and shapes say against that.
func NewRelabel(c *model.Model) (*Relabel, error) {
	if err := c.CheckPacked(); err != nil {
		return nil, err
	}
	out := &Relabel{Recipe: coremltools.Without(), scales: map[string]model.Packed{}, moved: map[string]bool{}}
	for _, p := range c.Packed() {
		out.scales[p.Scale] = p
		out.moved[p.Words], out.moved[p.Module+model.PackedShapeEnd] = true, true
	}
	return out, nil
}

// Decide implements plan.Policy.
func (r *Relabel) Decide(w *plan.Weight, _ *recipe.Options) (plan.Verdict, error) {
	p, ok := r.scales[w.Tensor.Name]
	if !ok {
		if r.moved[w.Tensor.Name] {
			return plan.Keep(plan.Relabelled), nil
		}
		return plan.Keep(plan.AsItIs), nil
	}
	s := scheme.Scheme{Method: RelabelMethod, WeightDType: scheme.Int4, Granularity: scheme.PerBlock,
		Mode: scheme.Symmetric, BlockSize: []int64{groupOf(p)}}
	if p.Bits == 8 {
		s.WeightDType = scheme.Int8
	}
	g := scheme.Whole(w.Tensor.Shape)
	g.BlockRows, g.BlockCols = 1, 1
	return plan.Verdict{Quantize: true, Reason: plan.Because(plan.Relabelled), Scheme: s, Grid: g}, nil
}

// Export implements plan.Policy.
func (r *Relabel) Export(p *plan.Plan) (plan.Config, []string) {
	return r.Asking(p.Options), []string{"the codes are the source's own: no config makes them"}
}
