//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"simd/archsimd"
	"unsafe"
)

// widenVector is the twin of widen, 8 values at a time.
func widenVector(dst []float32, src []uint16, half bool) {
	n := len(src) &^ 7
	switch {
	case n == 0:
	case half && !widenHalf(dst[:n], src[:n]):
		n = 0 // infinities and NaN are the generic twin's
	case !half:
		for i := 0; i < n; i += 8 {
			v, q := loadHalves(unsafe.Pointer(&src[i]), 0), unsafe.Pointer(&dst[i])
			storeFloats(q, 0, v.ExtendLo4ToUint32().ShiftAllLeft(16).BitsToFloat32())
			storeFloats(q, 16, extendHigh(v).ShiftAllLeft(16).BitsToFloat32())
		}
	}
	widen(dst[n:], src[n:], half)
}

// widenHalf widens finite float16 values, and reports whether all of them were.
func widenHalf(dst []float32, src []uint16) bool {
	var most archsimd.Uint16x8
	for i := 0; i < len(src); i += 8 {
		v, q := loadHalves(unsafe.Pointer(&src[i]), 0), unsafe.Pointer(&dst[i])
		most = most.Max(v.And(archsimd.BroadcastUint16x8(0x7fff)))
		storeFloats(q, 0, halfToFloat(v.ExtendLo4ToUint32()))
		storeFloats(q, 16, halfToFloat(extendHigh(v)))
	}
	m := most.ReshapeToUint32s()
	return largest(m.ShiftAllLeft(16)) < 0x7c000000 && largest(m) < 0x7c000000
}

// halfToFloat moves the bits of a float16 to the places that a float32 has for them, which makes that float16 times
// 2^-112, subnormal numbers included.
func halfToFloat(h words) floats {
	bits := h.ShiftAllLeft(16).BitsToInt32().ShiftAllRight(3).ToBits().And(splatWord(0x8fffe000))
	return bits.BitsToFloat32().Mul(splat(0x1p112))
}

// lowHalves takes the low half of each word.
var lowHalves = [16]int8{0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1}

// narrowVector is the twin of narrow, 4 values at a time.
func narrowVector(dst []uint16, src []float32, half bool) {
	n := len(src) &^ 3
	if n > 0 {
		order := archsimd.LoadInt8x16Array(&lowHalves)
		for i := 0; i < n; i += 4 {
			v := loadFloats(unsafe.Pointer(&src[i]), 0)
			bits := v.Mul(splat(0x1p-112)).ToBits().ShiftAllRight(13).And(splatWord(0x7fff)).
				Or(v.ToBits().ShiftAllRight(16).And(splatWord(0x8000)))
			if !half {
				bits = v.ToBits()
				bits = bits.Add(splatWord(0x7fff)).Add(bits.ShiftAllRight(16).And(splatWord(1))).ShiftAllRight(16)
			}
			*(*uint64)(unsafe.Pointer(&dst[i])) = arrange(bits.ReshapeToUint8s(), order).ReshapeToUint64s().GetElem(0)
		}
	}
	narrow(dst[n:], src[n:], half)
}
