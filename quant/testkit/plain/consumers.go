package plain

import (
	"math"
	"slices"

	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// The arithmetic of compressed-tensors and of MLX, once more.

// minMax is compressed-tensors': every operation is rounded to the weight's dtype.
type minMax struct{ arithmetic }

func (a minMax) span() (least, most float64) {
	half := math.Ldexp(1, a.scheme.Bits()-1)
	return -half, half - 1
}

func (a minMax) params(low, high float64) (scale float64, zero int) {
	least, most := a.span()
	if a.scheme.Mode == scheme.Symmetric {
		scale = a.round(max(-low, high) / ((most - least) / 2))
	} else {
		scale = a.round(a.round(high-low) / (most - least))
		z := a.round(least - a.round(low/scale))
		zero = whole(math.RoundToEven(z), int(least), int(most))
	}
	if scale == 0 {
		for scale = 1; a.round(1+scale/2) > 1; scale /= 2 { // the machine epsilon
		}
	}
	return scale, zero
}

func (a minMax) code(v, scale float64, zero int) int {
	least, most := a.span()
	x := a.round(a.round(v/scale) + float64(zero))
	return int(math.RoundToEven(min(max(x, least), most)))
}

func (a minMax) value(code int, scale float64, zero int) float64 {
	return a.round(float64(code-zero) * scale)
}

// mlx makes MLX's codes, scales and offsets; all of it is float32.
func (w *Weight) mlx(e *plan.Entry) {
	most := float32(int(1)<<e.Scheme.Bits() - 1)
	groups := make([][]float32, len(w.Scale))
	for i, v := range w.Values {
		groups[w.block[i]] = append(groups[w.block[i]], float32(v))
	}
	scales, offsets := make([]float32, len(groups)), make([]float32, len(groups))
	for k, g := range groups {
		low, high := slices.Min(g), slices.Max(g)
		s := max((high-low)/most, 1e-7)
		edge := low
		if float32(math.Abs(float64(low))) <= float32(math.Abs(float64(high))) {
			s, edge = -s, high
		}
		if n := float32(math.RoundToEven(float64(edge / s))); n != 0 {
			s, offsets[k] = edge/n, edge
		}
		scales[k] = s
	}
	for k := range groups {
		w.Scale[k] = rounded(float64(scales[k]), e.Tensor.DType)
		w.Offset = append(w.Offset, rounded(float64(offsets[k]), e.Tensor.DType))
	}
	for i, v := range w.Values {
		k := w.block[i]
		q := float32(math.RoundToEven(float64((float32(v) - offsets[k]) / scales[k])))
		q = min(max(q, 0), most)
		w.Codes = append(w.Codes, int(q))
		w.Steps = append(w.Steps, float64(float32(float32(w.Scale[k])*q)+float32(w.Offset[k])))
	}
}
