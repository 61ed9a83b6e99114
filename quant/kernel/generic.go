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

// Reset prepares ranges for Range: nothing but 0, as -0 and 0.
func Reset[T Float](lo, hi []T) {
	zero := T(math.Copysign(0, -1))
	for i := range lo {
		lo[i], hi[i] = zero, 0
	}
}

// rangeSingle compares bits: floats of one sign are in the order of their bits, with NaN
// beyond infinity.
func rangeSingle(src []float32, run int, lo, hi []float32) {
	for j := range lo {
		l, h := math.Float32bits(lo[j]), int32(math.Float32bits(hi[j]))
		for _, v := range src[j*run : (j+1)*run] {
			bits := math.Float32bits(v)
			l, h = max(l, bits), max(h, int32(bits))
		}
		lo[j], hi[j] = math.Float32frombits(l), math.Float32frombits(uint32(h))
	}
}

func rangeDouble(src []float64, run int, lo, hi []float64) {
	for j := range lo {
		l, h := math.Float64bits(lo[j]), int64(math.Float64bits(hi[j]))
		for _, v := range src[j*run : (j+1)*run] {
			bits := math.Float64bits(v)
			l, h = max(l, bits), max(h, int64(bits))
		}
		lo[j], hi[j] = math.Float64frombits(l), math.Float64frombits(uint64(h))
	}
}

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

// paramsSingle is params, and reports whether all blocks are usual: their scales ordinary,
// and no step of float16 arithmetic near overflow.
func paramsSingle(a Arith, lo, hi, scale []float32, zp []byte) bool {
	params(a, lo, hi, scale, zp)
	for i, s := range scale {
		if !ordinary(a.Half, s) || a.Half && max(-lo[i], hi[i]) >= 128 {
			return false
		}
	}
	return true
}

// quantizer holds what the weights of a run share.
type quantizer[T Float] struct {
	half       bool
	signed     bool
	qmin, qmax T
	scale      T
	zero       T // zero point
}

func newQuantizer[T Float](a Arith) quantizer[T] {
	lo, hi := a.Min, a.Max
	return quantizer[T]{half: a.Half, signed: a.Signed, qmin: T(lo), qmax: T(hi)}
}

// run sets the scale and the zero point of run j.
func (q *quantizer[T]) run(j int, scale []T, zp []byte) {
	q.scale, q.zero = scale[j], 0
	if zp != nil {
		q.zero = q.value(zp[j])
	}
}

func (q *quantizer[T]) code(w T) byte {
	x := rint(round(q.half, w/q.scale))
	return code(clip(round(q.half, x+q.zero), q.qmin, q.qmax))
}

// weight is what a code stands for.
func (q *quantizer[T]) weight(c byte) T {
	steps := float32(q.value(c)) - float32(q.zero)
	return round(q.half, T(float32(T(T(steps)*q.scale))))
}

// value reads a code or a zero point.
func (q *quantizer[T]) value(b byte) T {
	if q.signed {
		return T(int8(b))
	}
	return T(b)
}

func quantizeSingle(a Arith, src []float32, run int, scale []float32, zp []byte, codes []byte, e *Errors) {
	q, sums := newQuantizer[float32](a), lanes{}
	for j := range scale {
		quantizeRun(a, &q, src, j, run, scale, zp, codes, &sums)
	}
	sums.finish(len(src), e)
}

// quantizeRun does the run that begins at j*run.
func quantizeRun(a Arith, q *quantizer[float32], src []float32, j, run int, scale []float32, zp []byte, codes []byte, sums *lanes) {
	q.run(j, scale, zp)
	plain := ordinary(a.Half, q.scale)
	for i := j * run; i < (j+1)*run; i++ {
		w := src[i]
		c := q.code(w)
		codes[i] = c
		sums.add(plain, i, w, q.weight(c))
	}
}

func quantizeDouble(a Arith, src []float64, run int, scale []float64, zp []byte, codes []byte, e *Errors) {
	q := newQuantizer[float64](a)
	for j := range scale {
		q.run(j, scale, zp)
		for i := j * run; i < (j+1)*run; i++ {
			codes[i] = q.code(src[i])
			e.one(src[i], q.weight(codes[i]))
		}
	}
	e.Count += int64(len(src))
}

func dequantize[T Float](a Arith, codes []byte, run int, scale []T, zp []byte, dst []T) {
	q := newQuantizer[T](a)
	for j := range scale {
		q.run(j, scale, zp)
		for i := j * run; i < (j+1)*run; i++ {
			dst[i] = q.weight(codes[i])
		}
	}
}

func measure(a Arith, src, dst []float32, run int, scale []float32, e *Errors) {
	sums := lanes{}
	for j := range scale {
		measureRun(a, src, dst, j, run, scale, &sums)
	}
	sums.finish(len(src), e)
}

func measureRun(a Arith, src, dst []float32, j, run int, scale []float32, sums *lanes) {
	plain := ordinary(a.Half, scale[j])
	for i := j * run; i < (j+1)*run; i++ {
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

func rint[T Float](x T) T { return T(math.RoundToEven(float64(x))) }

func abs[T Float](x T) T { return T(math.Abs(float64(x))) }
