//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"unsafe"
)

// ordered is inOrderOfBits for four values, and its own inverse.
func ordered(v words) ints {
	bits := v.BitsToInt32()
	return bits.Xor(bits.ShiftAllRight(31).And(splatInt(math.MaxInt32)))
}

// edgesVector is the twin of edges, for groups of a multiple of 32 weights.
func edgesVector(src []float32, group int, lo, hi []float32) {
	if len(src) == 0 {
		return
	}
	weights := unsafe.Pointer(&src[0])
	for j := range lo {
		l0, h0 := splatInt(math.MaxInt32), splatInt(math.MinInt32)
		l1, h1 := l0, h0
		for i, end := 4*j*group, 4*(j+1)*group; i < end; i += 4 * 32 {
			p := unsafe.Add(weights, i)
			a, b := ordered(loadWords(p, 0)), ordered(loadWords(p, 16))
			l0, h0, l1, h1 = l0.Min(a), h0.Max(a), l1.Min(b), h1.Max(b)
			a, b = ordered(loadWords(p, 32)), ordered(loadWords(p, 48))
			l0, h0, l1, h1 = l0.Min(a), h0.Max(a), l1.Min(b), h1.Max(b)
			a, b = ordered(loadWords(p, 64)), ordered(loadWords(p, 80))
			l0, h0, l1, h1 = l0.Min(a), h0.Max(a), l1.Min(b), h1.Max(b)
			a, b = ordered(loadWords(p, 96)), ordered(loadWords(p, 112))
			l0, h0, l1, h1 = l0.Min(a), h0.Max(a), l1.Min(b), h1.Max(b)
		}
		// The largest of the complements is the complement of the least.
		flip := splatWord(math.MaxUint32)
		least := ^largestInt(l0.Min(l1).ToBits().Xor(flip).BitsToInt32())
		lo[j], hi[j] = fromOrder(least), fromOrder(largestInt(h0.Max(h1)))
	}
}

// largestInt is the largest lane, as signed numbers.
func largestInt(v ints) int32 {
	return int32(largest(v.ToBits().Xor(splatWord(1<<31))) ^ 1<<31)
}

// offsetsVector is the twin of offsets, four groups at a time. Four of which one is not usual, and the last few, go to
// offsets.
func offsetsVector(a OffsetArith, lo, hi, scale, offset []float32) bool {
	usual, i := true, 0
	steps, least, sign := splat(float32(a.Max)), splat(leastStep), splatWord(1<<31)
	for ; i+4 <= len(scale); i += 4 {
		l, h := loadFloats(unsafe.Pointer(&lo[i]), 0), loadFloats(unsafe.Pointer(&hi[i]), 0)
		// Magnitudes are in the order of their bits; so are the widths, none of which is negative.
		below := magnitude(l).BitsToInt32().Greater(magnitude(h).BitsToInt32()).ToInt32x4().ToBits()
		edge := h.ToBits().Xor(h.ToBits().Xor(l.ToBits()).And(below)).BitsToFloat32()
		width := h.Sub(l).Div(steps).ToBits().Max(least.ToBits())
		s := width.Xor(sign.AndNot(below)).BitsToFloat32()
		quotient := edge.Div(s)
		whole := quotient.Add(splat(magic)).Sub(splat(magic))
		exact := edge.Div(whole)
		if !x4ordinary(edge) || !x4ordinary(exact) || largest(magnitude(quotient)) >= 0x4A000000 { // 2^21
			usual = offsets(a, lo[i:i+4], hi[i:i+4], scale[i:i+4], offset[i:i+4]) && usual
			continue
		}
		storeFloats(unsafe.Pointer(&scale[i]), 0, exact)
		storeFloats(unsafe.Pointer(&offset[i]), 0, edge)
	}
	return offsets(a, lo[i:], hi[i:], scale[i:], offset[i:]) && usual
}

// x4ordinary reports whether the magnitudes of all four are those of ordinary scales.
func x4ordinary(v floats) bool {
	return largest(magnitude(v).Sub(splatWord(leastScale))) <= mostScale(false)-leastScale
}

// fromEdge quantizes four weights of a group with an offset: s and b are what codes are made with, scale and offset
// what is stored.
func fromEdge(w, s, b, scale, offset, base floats, bottom, top ints) (y words, d floats) {
	code := w.Sub(b).Div(s).Add(base).ToBits().BitsToInt32().Max(bottom).Min(top)
	return code.ToBits(), code.ToBits().BitsToFloat32().Sub(base).Mul(scale).Add(offset)
}

// genericOffsetGroup leaves group j to the generic twin, and ends the period where the group passes its end.
func (l *vectorLanes) genericOffsetGroup(a OffsetArith, src []float32, j, group int, scale, offset []float32,
	codes []byte, t *floatSums) {
	sums := lanes{exact: l.exact}
	offsetGroup(a, src, j, group, scale, offset, codes, &sums)
	l.exact = sums.exact
	if j*group/period != (j+1)*group/period {
		l.endPeriod(t)
	}
}
