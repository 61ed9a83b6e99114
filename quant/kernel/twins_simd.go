//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

// Which twin runs, where there are two.

// simd chooses the SIMD twins, where the processor has what they use.
var simd = vectors

// GenericOnly switches the SIMD twins off until undo is called. It is for tests and benches that hold one twin
// against the other, and not safe while others compute.
func GenericOnly() (undo func()) {
	simd = false
	return func() { simd = vectors }
}

// takesGroup reports whether the SIMD twins take groups of this length.
func takesGroup(group int) bool { return simd && group%unit == 0 }

func rangeOf(src []float32, group int, lo, hi []float32) {
	if takesGroup(group) {
		rangeVector(src, group, lo, hi)
		return
	}
	rangeSingle(src, group, lo, hi)
}

func paramsOf(a Arith, lo, hi, scale []float32, zp []byte) bool {
	if simd {
		return paramsVector(a, lo, hi, scale, zp)
	}
	return paramsSingle(a, lo, hi, scale, zp)
}

func quantizeOf(a Arith, src []float32, group int, scale []float32, zp []byte, codes []byte, e *Errors) {
	switch {
	case !takesGroup(group) || len(src) == 0:
		quantizeSingle(a, src, group, scale, zp, codes, e)
	case group%32 != 0:
		quantizeShort(a, src, group, scale, zp, codes, e)
	case a.MinMax && !a.Affine:
		quantizeMinMaxSymmetricOf(a, src, group, scale, zp, codes, e)
	case a.MinMax && a.Half:
		quantizeMinMaxHalf(a, src, group, scale, zp, codes, e)
	case a.MinMax && a.Brain:
		quantizeMinMaxBrain(a, src, group, scale, zp, codes, e)
	case a.MinMax:
		quantizeMinMax(a, src, group, scale, zp, codes, e)
	case a.Brain && !a.Affine:
		quantizeSymmetricBrain(a, src, group, scale, zp, codes, e)
	case a.Brain:
		quantizeClippedBrain(a, src, group, scale, zp, codes, e)
	case a.Half:
		quantizeHalf(a, src, group, scale, zp, codes, e)
	case !a.Affine:
		quantizeSymmetric(a, src, group, scale, zp, codes, e)
	default:
		quantizeClipped(a, src, group, scale, zp, codes, e)
	}
}

func quantizeMinMaxSymmetricOf(a Arith, src []float32, group int, scale []float32, zp []byte, codes []byte,
	e *Errors) {
	switch {
	case a.Half:
		quantizeMinMaxSymmetricHalf(a, src, group, scale, zp, codes, e)
	case a.Brain:
		quantizeMinMaxSymmetricBrain(a, src, group, scale, zp, codes, e)
	default:
		quantizeMinMaxSymmetric(a, src, group, scale, zp, codes, e)
	}
}

func dequantizeOf(a Arith, codes []byte, group int, scale []float32, zp []byte, dst []float32) {
	if takesGroup(group) {
		dequantizeVector(a, codes, group, scale, zp, dst)
		return
	}
	dequantize(a, codes, group, scale, zp, dst)
}

func measureOf(a Arith, src, dst []float32, group int, scale []float32, e *Errors) {
	if takesGroup(group) {
		measureVector(a, src, dst, group, scale, e)
		return
	}
	measure(a, src, dst, group, scale, e)
}

func edgesOf(src []float32, group int, lo, hi []float32) {
	if takesGroup(group) && group%32 == 0 {
		edgesVector(src, group, lo, hi)
		return
	}
	edges(src, group, lo, hi)
}

func offsetsOf(a OffsetArith, lo, hi, scale, offset []float32) bool {
	if simd {
		return offsetsVector(a, lo, hi, scale, offset)
	}
	return offsets(a, lo, hi, scale, offset)
}

func quantizeOffsetOf(a OffsetArith, src []float32, group int, scale, offset []float32, codes []byte, e *Errors) {
	if takesGroup(group) && group%32 == 0 && len(src) > 0 {
		quantizeOffsetVector(a, src, group, scale, offset, codes, e)
		return
	}
	quantizeOffset(a, src, group, scale, offset, codes, e)
}

func widenOf(dst []float32, src []uint16, half bool) {
	if simd {
		widenVector(dst, src, half)
		return
	}
	widen(dst, src, half)
}

func narrowOf(dst []uint16, src []float32, half bool) {
	if simd {
		narrowVector(dst, src, half)
		return
	}
	narrow(dst, src, half)
}

func pack4Of(codes []byte, flip byte, dst []byte) {
	if simd {
		pack4Vector(codes, flip, dst)
		return
	}
	pack4(codes, flip, dst)
}

func maskBytesOf(codes []byte, and, flip byte, dst []byte) {
	if simd {
		maskBytesVector(codes, and, flip, dst)
		return
	}
	maskBytes(codes, and, flip, dst)
}
