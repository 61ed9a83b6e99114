package kernel

import (
	"math"

	"nibble/quant/tensor"
)

// The generic twins: plain loops in the words of coremltools, the reference for the rest.

// round brings the result of one operation back to the weight's dtype.
func round[T Float](half bool, x T) T {
	if half {
		return T(tensor.RoundF16(float32(x)))
	}
	return x
}

// roundBrain rounds half to even to the 8 digits of bfloat16. x is finite.
func roundBrain[T Float](x T) T {
	bits := math.Float32bits(float32(x))
	return T(math.Float32frombits((bits + 0x7fff + bits>>16&1) & 0xffff0000))
}

// stored brings a value to the dtype that it is stored in.
func (a Arith) stored(x float32) float32 {
	if a.Brain && x-x == 0 { // it is finite
		return roundBrain(x)
	}
	return round(a.Half, x)
}

// Reset empties ranges for Range: they hold nothing but 0, as -0 and 0.
func Reset[T Float](lo, hi []T) {
	zero := T(math.Copysign(0, -1))
	for i := range lo {
		lo[i], hi[i] = zero, 0
	}
}

// rangeSingle is Range in float32. It compares bits: floats of one sign are in the order of their bits, with NaN
// beyond infinity.
func rangeSingle(src []float32, group int, lo, hi []float32) {
	for j := range lo {
		l, h := math.Float32bits(lo[j]), int32(math.Float32bits(hi[j]))
		for _, v := range src[j*group : (j+1)*group] {
			bits := math.Float32bits(v)
			l, h = max(l, bits), max(h, int32(bits))
		}
		lo[j], hi[j] = math.Float32frombits(l), math.Float32frombits(uint32(h))
	}
}

// rangeDouble is Range in float64, by bits as rangeSingle.
func rangeDouble(src []float64, group int, lo, hi []float64) {
	for j := range lo {
		l, h := math.Float64bits(lo[j]), int64(math.Float64bits(hi[j]))
		for _, v := range src[j*group : (j+1)*group] {
			bits := math.Float64bits(v)
			l, h = max(l, bits), max(h, int64(bits))
		}
		lo[j], hi[j] = math.Float64frombits(l), math.Float64frombits(uint64(h))
	}
}

// params is Params, without the report whether all groups are usual.
func params[T Float](a Arith, lo, hi []T, scale []T, zp []byte) {
	qmin, qmax := a.Min, a.Max
	for i := range scale {
		l, h := lo[i], hi[i]
		if !a.Affine {
			m := max(abs(l), abs(h))
			l, h = -m, m
		}
		span := round(a.Half, h-l)
		scale[i] = round(a.Half, span/T(qmax-qmin))
		if a.Brain && scale[i]-scale[i] == 0 { // it is finite
			scale[i] = roundBrain(scale[i])
		}
		if zp == nil {
			continue
		}
		z := T(a.Zero)
		if a.Affine {
			up, down := round(a.Half, T(T(qmin)*h)), round(a.Half, T(T(qmax)*l))
			z = round(a.Half, round(a.Half, up-down)/span)
			z = clip(rint(z), T(qmin), T(qmax))
		}
		zp[i] = code(z)
	}
}

// paramsSingle is params in float32, and reports whether all groups are usual: their scales ordinary, and no step of
// float16 arithmetic near overflow.
func paramsSingle(a Arith, lo, hi, scale []float32, zp []byte) bool {
	if a.MinMax {
		paramsMinMax(a, lo, hi, scale, zp)
	} else {
		params(a, lo, hi, scale, zp)
	}
	for i, s := range scale {
		if !ordinary(a.Half, s) || a.Half && max(-lo[i], hi[i]) >= 128 {
			return false
		}
	}
	return true
}

// quantizer holds what the weights of a group share.
type quantizer[T Float] struct {
	half       bool
	brain      bool
	minMax     bool
	signed     bool
	qmin, qmax T
	scale      T
	zero       T // zero point
}

// newQuantizer has no group yet; setGroup gives it one.
func newQuantizer[T Float](a Arith) quantizer[T] {
	lo, hi := a.Min, a.Max
	return quantizer[T]{half: a.Half, brain: a.Brain, minMax: a.MinMax, signed: a.Signed, qmin: T(lo), qmax: T(hi)}
}

// setGroup takes the scale and the zero point of group j.
func (q *quantizer[T]) setGroup(j int, scale []T, zp []byte) {
	q.scale, q.zero = scale[j], 0
	if zp != nil {
		q.zero = q.value(zp[j])
	}
}

// code is the code of a weight. It casts as numpy does on x86-64 and arm64: NaN becomes 0.
func (q *quantizer[T]) code(w T) byte {
	if q.minMax {
		x := q.stored(q.stored(w/q.scale) + q.zero)
		return code(rint(clip(x, q.qmin, q.qmax)))
	}
	x := rint(round(q.half, w/q.scale))
	return code(clip(round(q.half, x+q.zero), q.qmin, q.qmax))
}

// weight is what a code stands for.
func (q *quantizer[T]) weight(c byte) T {
	steps := float32(q.value(c)) - float32(q.zero)
	return q.stored(T(float32(T(T(steps) * q.scale))))
}

// stored brings a value to the dtype that it is stored in.
func (q *quantizer[T]) stored(x T) T {
	if q.brain && x-x == 0 {
		return roundBrain(x)
	}
	return round(q.half, x)
}

// value reads a code or a zero point.
func (q *quantizer[T]) value(b byte) T {
	if q.signed {
		return T(int8(b))
	}
	return T(b)
}

// quantizeSingle is Quantize in float32.
func quantizeSingle(a Arith, src []float32, group int, scale []float32, zp []byte, codes []byte, e *Errors) {
	q, sums := newQuantizer[float32](a), lanes{}
	for j := range scale {
		quantizeGroup(a, &q, src, j, group, scale, zp, codes, &sums)
	}
	sums.finish(len(src), e)
}

// quantizeGroup quantizes group j, whose weights begin at j*group.
func quantizeGroup(a Arith, q *quantizer[float32], src []float32, j, group int, scale []float32, zp []byte,
	codes []byte, sums *lanes) {
	q.setGroup(j, scale, zp)
	plain := ordinary(a.Half, q.scale)
	for i := j * group; i < (j+1)*group; i++ {
		w := src[i]
		c := q.code(w)
		codes[i] = c
		sums.add(plain, i, w, q.weight(c))
	}
}

// quantizeDouble is Quantize in float64.
func quantizeDouble(a Arith, src []float64, group int, scale []float64, zp []byte, codes []byte, e *Errors) {
	q := newQuantizer[float64](a)
	for j := range scale {
		q.setGroup(j, scale, zp)
		for i := j * group; i < (j+1)*group; i++ {
			codes[i] = q.code(src[i])
			e.addOne(src[i], q.weight(codes[i]))
		}
	}
	e.Count += int64(len(src))
}

// dequantize is Dequantize.
func dequantize[T Float](a Arith, codes []byte, group int, scale []T, zp []byte, dst []T) {
	q := newQuantizer[T](a)
	for j := range scale {
		q.setGroup(j, scale, zp)
		for i := j * group; i < (j+1)*group; i++ {
			dst[i] = q.weight(codes[i])
		}
	}
}

// measure is Measure.
func measure(a Arith, src, dst []float32, group int, scale []float32, e *Errors) {
	sums := lanes{}
	for j := range scale {
		measureGroup(a, src, dst, j, group, scale, &sums)
	}
	sums.finish(len(src), e)
}

// measureGroup measures group j, whose weights begin at j*group.
func measureGroup(a Arith, src, dst []float32, j, group int, scale []float32, sums *lanes) {
	plain := ordinary(a.Half, scale[j])
	for i := j * group; i < (j+1)*group; i++ {
		sums.add(plain, i, src[i], dst[i])
	}
}

// code casts as numpy does on x86-64 and arm64: NaN becomes 0.
func code[T Float](x T) byte {
	if x != x {
		return 0
	}
	return byte(int(x))
}

// clip keeps x within [lo, hi] and lets NaN pass.
func clip[T Float](x, lo, hi T) T {
	if x < lo {
		return lo
	}
	if x > hi {
		return hi
	}
	return x
}

// rint rounds half to even, as numpy.rint does.
func rint[T Float](x T) T { return T(math.RoundToEven(float64(x))) }

// abs is the magnitude of x.
func abs[T Float](x T) T { return T(math.Abs(float64(x))) }
