package kernel

import (
	"nibble/quant/scheme"
)

// The arithmetic of compressed-tensors 0.15 (quantization/utils/helpers.py, calculate_qparams, for the memoryless
// minmax observer; quantization/lifecycle/forward_helpers.py), in the weight's own dtype, every operation rounded to
// it. It differs from coremltools' in four things:
//
//   - codes have all of their range, -8 to 7, and symmetric scales are half of it: the largest weight over 7.5;
//   - the zero point is the least code less the least weight over the scale;
//   - it is added to a quotient before that is rounded, and what is clipped is clipped before;
//   - a scale of 0 becomes the dtype's machine epsilon.
//
// So the largest weight of a symmetric group is clipped from 7.5 to 7, and its negative is -7.5, which is -8.

// NewMinMax is compressed-tensors' arithmetic of a scheme, on float16 weights (half), bfloat16 ones (brain) or
// float32. It knows signed codes alone.
func NewMinMax(s scheme.Scheme, half, brain bool) Arith {
	span := 1 << s.Bits()
	return Arith{Half: half, Brain: brain, MinMax: true, Affine: s.Mode == scheme.Affine, Signed: true,
		HasZero: s.Mode == scheme.Affine, Min: -span / 2, Max: span/2 - 1}
}

// epsilon is what a scale of 0 becomes.
func (a Arith) epsilon() float32 {
	switch {
	case a.Half:
		return 0x1p-10
	case a.Brain:
		return 0x1p-7
	}
	return 0x1p-23
}

// paramsMinMax is params in compressed-tensors' arithmetic.
func paramsMinMax(a Arith, lo, hi, scale []float32, zp []byte) {
	least, steps := float32(a.Min), float32(a.Max-a.Min)
	for i := range scale {
		l, h := lo[i], hi[i]
		if !a.Affine {
			scale[i] = a.stored(max(-l, h) / (steps / 2))
		} else {
			scale[i] = a.stored(a.stored(h-l) / steps)
			z := a.stored(least - a.stored(l/scale[i]))
			zp[i] = code(rint(clip(z, least, float32(a.Max)))) // 0/0 is 0
		}
		if scale[i] == 0 {
			scale[i] = a.epsilon()
		}
	}
}
