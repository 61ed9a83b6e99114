//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

// Which twin runs, where there are two.

var simd = vectors

// GenericOnly switches the SIMD twins off until undo is called. It is for tests and benches
// that hold one twin against the other, and not safe while others compute.
func GenericOnly() (undo func()) {
	simd = false
	return func() { simd = vectors }
}

// fits reports whether the SIMD twins take runs of this length.
func fits(run int) bool { return simd && run%unit == 0 }

func rangeOf(src []float32, run int, lo, hi []float32) {
	if fits(run) {
		rangeVector(src, run, lo, hi)
		return
	}
	rangeSingle(src, run, lo, hi)
}

func paramsOf(a Arith, lo, hi, scale []float32, zp []byte) bool {
	if simd {
		return paramsVector(a, lo, hi, scale, zp)
	}
	return paramsSingle(a, lo, hi, scale, zp)
}

func quantizeOf(a Arith, src []float32, run int, scale []float32, zp []byte, codes []byte, e *Errors) {
	switch {
	case !fits(run) || len(src) == 0:
		quantizeSingle(a, src, run, scale, zp, codes, e)
	case run%32 != 0:
		quantizeShort(a, src, run, scale, zp, codes, e)
	case a.Half:
		quantizeHalf(a, src, run, scale, zp, codes, e)
	case !a.Affine:
		quantizeSymmetric(a, src, run, scale, zp, codes, e)
	default:
		quantizeClipped(a, src, run, scale, zp, codes, e)
	}
}

func dequantizeOf(a Arith, codes []byte, run int, scale []float32, zp []byte, dst []float32) {
	if fits(run) {
		dequantizeVector(a, codes, run, scale, zp, dst)
		return
	}
	dequantize(a, codes, run, scale, zp, dst)
}

func measureOf(a Arith, src, dst []float32, run int, scale []float32, e *Errors) {
	if fits(run) {
		measureVector(a, src, dst, run, scale, e)
		return
	}
	measure(a, src, dst, run, scale, e)
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

func maskedOf(codes []byte, and, flip byte, dst []byte) {
	if simd {
		maskedVector(codes, and, flip, dst)
		return
	}
	masked(codes, and, flip, dst)
}
