//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"simd/archsimd"
	"unsafe"
)

// The steps that the SIMD twins of Quantize are made of.

// codec is how the codes of a call become bytes. While they are joined they have a bias added, so that none is
// negative; what is left of it is taken off at the end.
type codec struct {
	base        floats // magic + bias
	bottom, top ints   // the bits of magic + bias + the least code, and of the largest
	excess      words  // what is too much in each joined byte
	flip        octets // the sign of two's complement
}

// joinedMagic is the sum of magic's own bits moved by 0, 8, 16 and 24 places.
const joinedMagic = (magicBits + magicBits<<8) & math.MaxUint32

// bias is even, so that it does not change what half to even means.
const bias = 128

// newCodec is for codes that have their zero point added.
func newCodec(a Arith) codec {
	qmin, qmax := a.Min, a.Max
	c := codec{base: splat(magic), bottom: splatInt(int32(magicBits + qmin)), top: splatInt(int32(magicBits + qmax)),
		excess: splatWord(joinedMagic)}
	if a.Signed {
		c.base = splat(magic + bias)
		c.bottom, c.top = splatInt(int32(magicBits+bias+qmin)), splatInt(int32(magicBits+bias+qmax))
		c.flip = archsimd.BroadcastUint8x16(bias)
	}
	return c
}

// newSymmetricCodec is for codes that all lack the same zero point.
func newSymmetricCodec(a Arith) codec {
	c := codec{base: splat(magic + bias), excess: splatWord(joinedMagic)}
	if a.Signed {
		c.flip = archsimd.BroadcastUint8x16(bias)
	} else {
		c.excess = splatWord(joinedMagic + uint32(bias-a.Zero)*0x01010101)
	}
	return c
}

// inOrder turns four words of four codes each, word i holding codes i, i+4, i+8 and i+12, into the codes in their
// order.
var inOrder = [16]int8{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}

// inBytes makes 16 codes of the sum of four vectors of magic numbers, moved by 0, 8, 16 and 24 places.
func inBytes(sum, excess words, flip octets) octets {
	return arrange(sum.Sub(excess).ReshapeToUint8s().Xor(flip), archsimd.LoadInt8x16Array(&inOrder))
}

// floatSums are the float32 lanes of one period.
type floatSums struct {
	signal, noise, approx floats
	most                  words
}

// add adds four weights w, which became d; unsigned is all bits but the sign.
func (t floatSums) add(w, d floats, unsigned words) floatSums {
	diff := w.Sub(d)
	return floatSums{t.signal.Add(w.Mul(w)), t.noise.Add(diff.Mul(diff)), t.approx.Add(d.Mul(d)),
		t.most.Max(diff.ToBits().And(unsigned))}
}

// symmetric quantizes four weights of a symmetric group: it gives the magic number of each code, its zero point left
// out, and the weight that the code stands for.
func symmetric(w, scale, base floats) (y words, d floats) {
	sum := w.Div(scale).Add(base)
	return sum.ToBits(), sum.Sub(base).Mul(scale)
}

// clipped quantizes four weights of any group. Magic numbers are in the order of their bits, too large and too small
// ones included, so that they are clipped as integers.
func clipped(w, scale, base floats, zero, bottom, top ints) (y words, d floats) {
	code := w.Div(scale).Add(base).ToBits().BitsToInt32().Add(zero).Max(bottom).Min(top)
	return code.ToBits(), code.Sub(zero).ToBits().BitsToFloat32().Sub(base).Mul(scale)
}

// clippedHalf is clipped in float16 arithmetic, in which sums of codes and zero points are exact.
func clippedHalf(w, scale, base floats, zero, bottom, top ints) (y words, d floats) {
	code := roundHalf(w.Div(scale)).Add(base).ToBits().BitsToInt32().Add(zero).Max(bottom).Min(top)
	return code.ToBits(), roundHalf(code.Sub(zero).ToBits().BitsToFloat32().Sub(base).Mul(scale))
}

// symmetricBrain is symmetric with scales and values of bfloat16. Rounding a scale moves quotients by no more than one
// part in 256, which leaves the largest, 127, within the codes.
func symmetricBrain(w, scale, base floats) (y words, d floats) {
	sum := w.Div(scale).Add(base)
	return sum.ToBits(), roundBrains(sum.Sub(base).Mul(scale))
}

// clippedBrain is clipped with scales and values of bfloat16.
func clippedBrain(w, scale, base floats, zero, bottom, top ints) (y words, d floats) {
	code := w.Div(scale).Add(base).ToBits().BitsToInt32().Add(zero).Max(bottom).Min(top)
	return code.ToBits(), roundBrains(code.Sub(zero).ToBits().BitsToFloat32().Sub(base).Mul(scale))
}

// minMax quantizes four weights in compressed-tensors' arithmetic: the zero point is added before rounding. To clip
// whole numbers afterwards is to clip before.
func minMax(w, scale, base, zero floats, bottom, top ints) (y words, d floats) {
	code := w.Div(scale).Add(zero).Add(base).ToBits().BitsToInt32().Max(bottom).Min(top)
	return code.ToBits(), code.ToBits().BitsToFloat32().Sub(base).Sub(zero).Mul(scale)
}

// minMaxHalf is minMax in float16 arithmetic.
func minMaxHalf(w, scale, base, zero floats, bottom, top ints) (y words, d floats) {
	sum := roundHalf(roundHalf(w.Div(scale)).Add(zero)).Add(base)
	code := sum.ToBits().BitsToInt32().Max(bottom).Min(top)
	return code.ToBits(), roundHalf(code.ToBits().BitsToFloat32().Sub(base).Sub(zero).Mul(scale))
}

// minMaxBrain is minMax in bfloat16 arithmetic.
func minMaxBrain(w, scale, base, zero floats, bottom, top ints) (y words, d floats) {
	sum := roundBrains(roundBrains(w.Div(scale)).Add(zero)).Add(base)
	code := sum.ToBits().BitsToInt32().Max(bottom).Min(top)
	return code.ToBits(), roundBrains(code.ToBits().BitsToFloat32().Sub(base).Sub(zero).Mul(scale))
}

// minMaxSymmetric is minMax without zero points. A scale is half of the range, so that no quotient, rounded, lies below
// the least code; the largest, 7.5, is clipped. In bfloat16 the scale is rounded, by one part in 256, which is too
// little to change that; subnormal scales of float16 are rounded by more.
func minMaxSymmetric(w, scale, base floats, top ints) (y words, d floats) {
	code := w.Div(scale).Add(base).ToBits().BitsToInt32().Min(top)
	return code.ToBits(), code.ToBits().BitsToFloat32().Sub(base).Mul(scale)
}

// minMaxSymmetricHalf is minMaxSymmetric in float16 arithmetic.
func minMaxSymmetricHalf(w, scale, base floats, bottom, top ints) (y words, d floats) {
	code := roundHalf(w.Div(scale)).Add(base).ToBits().BitsToInt32().Max(bottom).Min(top)
	return code.ToBits(), roundHalf(code.ToBits().BitsToFloat32().Sub(base).Mul(scale))
}

// minMaxSymmetricBrain is minMaxSymmetric in bfloat16 arithmetic.
func minMaxSymmetricBrain(w, scale, base floats, top ints) (y words, d floats) {
	code := roundBrains(w.Div(scale)).Add(base).ToBits().BitsToInt32().Min(top)
	return code.ToBits(), roundBrains(code.ToBits().BitsToFloat32().Sub(base).Mul(scale))
}

// minMaxShort is minMax in any dtype.
func minMaxShort(a Arith, w, scale, base floats, zero, bottom, top ints) (y words, d floats) {
	z := zero.Add(splatInt(magicBits)).ToBits().BitsToFloat32().Sub(splat(magic))
	switch {
	case a.Half:
		return minMaxHalf(w, scale, base, z, bottom, top)
	case a.Brain:
		return minMaxBrain(w, scale, base, z, bottom, top)
	}
	return minMax(w, scale, base, z, bottom, top)
}

// roundBrains is roundBrain for four values far from the largest and the least: p is v moved up by 16 bits and v
// itself, which leaves 8 digits of that; taking the rest away again leaves them alone (Dekker's split). It needs fewer
// steps than rounding the bits. TestRoundBrains tries all of them.
func roundBrains(v floats) floats {
	p := v.Mul(splat(65537))
	return p.Sub(p.Sub(v))
}

// roundHalf rounds to the 11 digits of float16, half to even. It serves normal numbers, multiples of the least
// subnormal number, which it leaves alone, and numbers of which only the nearest integer matters.
func roundHalf(v floats) floats {
	b := v.ToBits()
	odd := b.ShiftAllRight(13).And(splatWord(1))
	return b.Add(splatWord(0xfff)).Add(odd).And(splatWord(0xffffe000)).BitsToFloat32()
}

// vectorLanes is lanes for the SIMD twins: the lanes of double are in the order 0, 2, 1, 3.
type vectorLanes struct {
	double [3][4]float64
	exact  Errors
}

// add moves the sums of a period to float64.
func (l *vectorLanes) add(t floatSums) {
	addLanes(&l.double[0], t.signal)
	addLanes(&l.double[1], t.noise)
	addLanes(&l.double[2], t.approx)
}

// addLanes adds floats that are not negative to doubles: lanes 0 and 2, then 1 and 3. No instruction that all
// platforms have widens a float. Its bits, moved to the places that a double has for them, are that float times
// 2^-896; zero and subnormal numbers are no exception.
func addLanes(sums *[4]float64, v floats) {
	even := v.ToBits().ReshapeToUint64s().ShiftAllLeft(32).ShiftAllRight(3)
	odd := v.ToBits().ReshapeToUint64s().ShiftAllRight(32).ShiftAllLeft(29)
	scale := archsimd.BroadcastFloat64x2(0x1p896)
	p := unsafe.Pointer(sums)
	lo, hi := (*[2]float64)(p), (*[2]float64)(unsafe.Add(p, 16))
	archsimd.LoadFloat64x2Array(lo).Add(even.BitsToFloat64().Mul(scale)).StoreArray(lo)
	archsimd.LoadFloat64x2Array(hi).Add(odd.BitsToFloat64().Mul(scale)).StoreArray(hi)
}

// finish adds the sums of a call of n weights to e.
func (l *vectorLanes) finish(n int, t floatSums, e *Errors) {
	l.add(t)
	sums := lanes{most: largest(t.most), exact: l.exact}
	for i, d := range l.double {
		sums.double[i] = [4]float64{d[0], d[2], d[1], d[3]}
	}
	sums.finish(n, e)
}

// zeroPoint reads one.
func zeroPoint(b byte, signed bool) int32 {
	if signed {
		return int32(int8(b))
	}
	return int32(b)
}

// genericGroup leaves group j to the generic twin, and ends the period where the group passes its end.
func (l *vectorLanes) genericGroup(a Arith, src []float32, j, group int, scale []float32, zp, codes []byte,
	t *floatSums) {
	q, sums := newQuantizer[float32](a), lanes{exact: l.exact}
	quantizeGroup(a, &q, src, j, group, scale, zp, codes, &sums)
	l.exact = sums.exact
	if j*group/period != (j+1)*group/period {
		l.endPeriod(t)
	}
}

// endPeriod moves the sums of a period to float64, and begins the next.
func (l *vectorLanes) endPeriod(t *floatSums) {
	l.add(*t)
	*t = floatSums{most: t.most}
}
