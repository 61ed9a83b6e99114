package kernel

import "math"

// The affine arithmetic of MLX 0.32 (mlx/backend/cpu/quantized.cpp): unsigned codes with a scale and a float offset,
// w = scale * code + offset. All of it is float32, whatever the weights are stored in. The edge of a group that is
// farther from 0 is met exactly, by code 0, and 0 has a code of its own; so the scale is negative where that edge is
// positive. Codes are made with the scale and the offset as they are before they are rounded to what stores them.
//
// Metal and CUDA compute otherwise: they begin the upper edge at 0, and round halves away from 0. The same weights
// give other codes there now and then; either kind of file runs everywhere.

// OffsetArith is that arithmetic for one weight.
type OffsetArith struct {
	Half  bool // scales and offsets are stored in float16
	Brain bool // or in bfloat16; else in float32
	Max   int  // largest code
}

// leastStep is the scale of a group whose weights are all alike.
const leastStep = 1e-7

// stored brings a scale or an offset to the dtype that it is stored in.
func (a OffsetArith) stored(x float32) float32 { return Arith{Half: a.Half, Brain: a.Brain}.stored(x) }

// FitOffset makes the scale and the offset of each group, len(src) = group * len(scale), and says why there are none.
// lo and hi are room for as many numbers.
func FitOffset(a OffsetArith, src []float32, group int, lo, hi, scale, offset []float32) Unfit {
	n := len(scale)
	src, lo, hi, offset = src[:group*n], lo[:n], hi[:n], offset[:n]
	edgesOf(src, group, lo, hi)
	if offsetsOf(a, lo, hi, scale, offset) {
		return ""
	}
	for i := range lo {
		for _, x := range []float64{float64(lo[i]), float64(hi[i])} {
			switch {
			case x != x:
				return NaN
			case math.IsInf(x, 0):
				return Infinite
			}
		}
		if s := float64(scale[i]); s-s != 0 {
			return TooLargeF32
		}
	}
	return ""
}

// QuantizeOffset writes one code per weight and adds to e what that loses when it is stored; scale and offset are what
// FitOffset made of these groups.
func QuantizeOffset(a OffsetArith, src []float32, group int, scale, offset []float32, codes []byte, e *Errors) {
	src, codes, offset = src[:group*len(scale)], codes[:group*len(scale)], offset[:len(scale)]
	quantizeOffsetOf(a, src, group, scale, offset, codes, e)
}

// DequantizeOffset writes what codes stand for, by the scales and offsets that are stored.
func DequantizeOffset(a OffsetArith, codes []byte, group int, scale, offset, dst []float32) {
	for j := range scale {
		s, b := a.stored(scale[j]), a.stored(offset[j])
		for i := j * group; i < (j+1)*group; i++ {
			dst[i] = float32(s*float32(codes[i])) + b
		}
	}
}

// inOrderOfBits gives the bits of floats the order of the floats, as signed numbers: NaN lies beyond infinity, on the
// side of its sign.
func inOrderOfBits(x float32) int32 {
	bits := int32(math.Float32bits(x))
	return bits ^ bits>>31&math.MaxInt32
}

// fromOrder is the inverse of inOrderOfBits.
func fromOrder(bits int32) float32 {
	return math.Float32frombits(uint32(bits ^ bits>>31&math.MaxInt32))
}

// edges are the least and the largest weight of each group.
func edges(src []float32, group int, lo, hi []float32) {
	for j := range lo {
		least, most := int32(math.MaxInt32), int32(math.MinInt32)
		for _, w := range src[j*group : (j+1)*group] {
			bits := inOrderOfBits(w)
			least, most = min(least, bits), max(most, bits)
		}
		lo[j], hi[j] = fromOrder(least), fromOrder(most)
	}
}

// offsets makes scales and offsets of edges, and reports whether all groups are usual: their numbers finite and
// neither very large nor very small.
func offsets(a OffsetArith, lo, hi, scale, offset []float32) bool {
	usual := true
	for i := range scale {
		l, h := lo[i], hi[i]
		edge, s := h, -max((h-l)/float32(a.Max), leastStep)
		if abs(l) > abs(h) {
			edge, s = l, -s
		}
		offset[i] = 0
		if whole := rint(edge / s); whole != 0 {
			s, offset[i] = edge/whole, edge
		}
		scale[i] = s
		usual = usual && ordinaryOffset(s, offset[i])
	}
	return usual
}

// ordinaryOffset is ordinary for groups with an offset, which is the weight that is farthest from 0, or 0.
func ordinaryOffset(scale, offset float32) bool {
	return ordinary(false, abs(scale)) && ordinary(false, abs(offset))
}

// quantizeOffset is the generic twin of QuantizeOffset.
func quantizeOffset(a OffsetArith, src []float32, group int, scale, offset []float32, codes []byte, e *Errors) {
	sums := lanes{}
	for j := range scale {
		offsetGroup(a, src, j, group, scale, offset, codes, &sums)
	}
	sums.finish(len(src), e)
}

// offsetGroup quantizes group j, whose weights begin at j*group.
func offsetGroup(a OffsetArith, src []float32, j, group int, scale, offset []float32, codes []byte, sums *lanes) {
	s, b, most := scale[j], offset[j], float32(a.Max)
	storedScale, storedOffset := a.stored(s), a.stored(b)
	plain := ordinaryOffset(s, b)
	for i := j * group; i < (j+1)*group; i++ {
		w := src[i]
		c := clip(rint((w-b)/s), 0, most)
		codes[i] = byte(c)
		sums.add(plain, i, w, float32(storedScale*c)+storedOffset)
	}
}
