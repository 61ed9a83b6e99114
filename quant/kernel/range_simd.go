//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"simd/archsimd"
	"unsafe"
)

// rangeVector is the twin of rangeSingle. Floats of one sign are in the order of their bits: the largest as signed
// numbers is the largest positive float, the largest as unsigned numbers is the least negative one, and a NaN comes
// out beyond infinity.
func rangeVector(src []float32, group int, lo, hi []float32) {
	if len(src) == 0 {
		return
	}
	weights, j := unsafe.Pointer(&src[0]), 0
	if group == 32 {
		j = len(lo) &^ 3
		rangesOf32(weights, unsafe.Pointer(&lo[0]), unsafe.Pointer(&hi[0]), j)
	}
	for ; j < len(lo); j++ {
		l, h := extremes(unsafe.Add(weights, 4*group*j), group)
		lo[j] = math.Float32frombits(max(l, math.Float32bits(lo[j])))
		hi[j] = math.Float32frombits(max(h, math.Float32bits(hi[j]))) // both are positive
	}
}

// extremes are the bits of the least weight and -0, and of the largest and 0. The number of weights is a multiple of
// 8.
func extremes(weights unsafe.Pointer, n int) (least, most uint32) {
	l0, l1 := splatWord(1<<31), splatWord(1<<31)
	h0, h1 := splatInt(0), splatInt(0)
	i := 0
	for ; i+32 <= n; i += 32 {
		p := unsafe.Add(weights, 4*i)
		a, b, c, d := loadWords(p, 0), loadWords(p, 16), loadWords(p, 32), loadWords(p, 48)
		l0, l1 = l0.Max(a).Max(c), l1.Max(b).Max(d)
		h0, h1 = h0.Max(a.BitsToInt32()).Max(c.BitsToInt32()), h1.Max(b.BitsToInt32()).Max(d.BitsToInt32())
		a, b, c, d = loadWords(p, 64), loadWords(p, 80), loadWords(p, 96), loadWords(p, 112)
		l0, l1 = l0.Max(a).Max(c), l1.Max(b).Max(d)
		h0, h1 = h0.Max(a.BitsToInt32()).Max(c.BitsToInt32()), h1.Max(b.BitsToInt32()).Max(d.BitsToInt32())
	}
	for ; i < n; i += unit {
		p := unsafe.Add(weights, 4*i)
		a, b := loadWords(p, 0), loadWords(p, 16)
		l0, l1 = l0.Max(a), l1.Max(b)
		h0, h1 = h0.Max(a.BitsToInt32()), h1.Max(b.BitsToInt32())
	}
	return largest(l0.Max(l1)), largest(h0.Max(h1).ToBits())
}

// rangesOf32 widens the ranges of groups of 32, four at a time.
func rangesOf32(weights, los, his unsafe.Pointer, groups int) {
	for j := 0; j < groups; j += 4 {
		p, lo, hi := unsafe.Add(weights, 4*32*j), unsafe.Add(los, 4*j), unsafe.Add(his, 4*j)
		l0, h0 := extremes32(p, 0)
		l1, h1 := extremes32(p, 128)
		l2, h2 := extremes32(p, 256)
		l3, h3 := extremes32(p, 384)
		storeWords(lo, 0, loadWords(lo, 0).Max(fold(l0, l1, l2, l3)))
		storeWords(hi, 0, loadWords(hi, 0).Max(fold(h0, h1, h2, h3)))
	}
}

// extremes32 are the least and the largest of 32 weights, lane by lane.
func extremes32(p unsafe.Pointer, at uintptr) (least, most words) {
	a, b, c, d := loadWords(p, at), loadWords(p, at+16), loadWords(p, at+32), loadWords(p, at+48)
	l := splatWord(1 << 31).Max(a).Max(b).Max(c.Max(d))
	h := splatInt(0).Max(a.BitsToInt32()).Max(b.BitsToInt32()).Max(c.BitsToInt32().Max(d.BitsToInt32()))
	a, b, c, d = loadWords(p, at+64), loadWords(p, at+80), loadWords(p, at+96), loadWords(p, at+112)
	l = l.Max(a.Max(b)).Max(c.Max(d))
	h = h.Max(a.BitsToInt32().Max(b.BitsToInt32())).Max(c.BitsToInt32().Max(d.BitsToInt32()))
	return l, h.ToBits()
}

// fold is the largest lane of each of four vectors.
func fold(a, b, c, d words) words {
	ab, cd := foldTwo(a, b), foldTwo(c, d)
	left := archsimd.LoadUint32x4Array(&leftHalf)
	return ab.And(left).Or(cd.AndNot(left))
}

// foldTwo are the largest lanes of a, b, a and b.
func foldTwo(a, b words) words {
	x, y := a.ReshapeToUint64s(), b.ReshapeToUint64s()
	low := archsimd.BroadcastUint64x2(math.MaxUint32)
	even, odd := x.And(low).Or(y.ShiftAllLeft(32)), x.ShiftAllRight(32).Or(y.AndNot(low))
	v := even.ReshapeToUint32s().Max(odd.ReshapeToUint32s())
	return v.Max(arrange(v.ReshapeToUint8s(), archsimd.LoadInt8x16Array(&halvesSwapped)).ReshapeToUint32s())
}

var (
	leftHalf      = [4]uint32{math.MaxUint32, math.MaxUint32, 0, 0}
	halvesSwapped = [16]int8{8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7}
)
