//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"simd/archsimd"
	"unsafe"
)

// evenThenOdd takes the even bytes, then the odd ones.
var evenThenOdd = [16]int8{0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15}

// pack4Vector is the twin of pack4, 64 codes at a time.
func pack4Vector(codes []byte, flip byte, dst []byte) {
	n := len(dst) &^ 31
	if n > 0 {
		order, x := archsimd.LoadInt8x16Array(&evenThenOdd), archsimd.BroadcastUint8x16(flip)
		for i := 0; i < n; i += 32 {
			p, q := unsafe.Pointer(&codes[2*i]), unsafe.Pointer(&dst[i])
			storeOctets(q, 0, pack32(p, 0, order).Xor(x))
			storeOctets(q, 16, pack32(p, 32, order).Xor(x))
		}
	}
	pack4(codes[2*n:], flip, dst[n:])
}

// pack32 packs 32 codes: the first 16 make the 8 bytes in the even places of a vector, the others those in the odd
// places.
func pack32(p unsafe.Pointer, at uintptr, order archsimd.Int8x16) octets {
	a, b := loadHalves(p, at), loadHalves(p, at+16)
	low, high := archsimd.BroadcastUint16x8(0x000f), archsimd.BroadcastUint16x8(0x00f0)
	a = a.And(low).Or(a.ShiftAllRight(4).And(high))
	b = b.And(low).Or(b.ShiftAllRight(4).And(high))
	return arrange(a.Or(b.ShiftAllLeft(8)).ReshapeToUint8s(), order)
}

// maskBytesVector is the twin of maskBytes, 16 codes at a time.
func maskBytesVector(codes []byte, and, flip byte, dst []byte) {
	n := len(codes) &^ 15
	if n > 0 {
		m, x := archsimd.BroadcastUint8x16(and), archsimd.BroadcastUint8x16(flip)
		for i := 0; i < n; i += 16 {
			v := archsimd.LoadUint8x16Array((*[16]uint8)(codes[i:]))
			storeOctets(unsafe.Pointer(&dst[i]), 0, v.And(m).Xor(x))
		}
	}
	maskBytes(codes[n:], and, flip, dst[n:])
}
