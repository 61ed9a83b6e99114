//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"simd/archsimd"
	"unsafe"
)

//go:generate go run nibble/quant/testkit/unroll unrolled_simd.go
//go:generate go run nibble/quant/testkit/unroll unrolled_brain_simd.go
//go:generate go run nibble/quant/testkit/unroll unrolled_minmax_simd.go
//go:generate go run nibble/quant/testkit/unroll unrolled_symmetric_simd.go
//go:generate go run nibble/quant/testkit/unroll unrolled_offset_simd.go

// These types are the vectors of the SIMD twins: four lanes of 32 bits, which amd64 (AVX), arm64 and wasm all have.
// What these three do not call by one name is in shim_*.go.
//
// The twins hold to a few rules, so that every bit is the generic twin's: division is a division, sums go lane by lane
// in the order that errors.go gives, nothing is fused, and a group that is not ordinary (see ordinary) is left to the
// generic twin. No pointer is ever moved past the end of its slice, where the collector might find it. Loops that are
// unrolled come from one template (testkit/unroll), which says why.
type (
	floats = archsimd.Float32x4
	words  = archsimd.Uint32x4
	ints   = archsimd.Int32x4
	pairs  = archsimd.Uint64x2
	octets = archsimd.Uint8x16
)

// loadFloats loads four values.
func loadFloats(p unsafe.Pointer, at uintptr) floats {
	return archsimd.LoadFloat32x4Array((*[4]float32)(unsafe.Add(p, at)))
}

// loadWords loads four words.
func loadWords(p unsafe.Pointer, at uintptr) words {
	return archsimd.LoadUint32x4Array((*[4]uint32)(unsafe.Add(p, at)))
}

// loadHalves loads eight halves.
func loadHalves(p unsafe.Pointer, at uintptr) archsimd.Uint16x8 {
	return archsimd.LoadUint16x8Array((*[8]uint16)(unsafe.Add(p, at)))
}

// storeFloats stores four values.
func storeFloats(p unsafe.Pointer, at uintptr, v floats) {
	v.StoreArray((*[4]float32)(unsafe.Add(p, at)))
}

// storeWords stores four words.
func storeWords(p unsafe.Pointer, at uintptr, v words) {
	v.StoreArray((*[4]uint32)(unsafe.Add(p, at)))
}

// storeOctets stores 16 bytes.
func storeOctets(p unsafe.Pointer, at uintptr, v octets) {
	v.StoreArray((*[16]uint8)(unsafe.Add(p, at)))
}

// splat, splatWord and splatInt put one number into all lanes.
func splat(x float32) floats   { return archsimd.BroadcastFloat32x4(x) }
func splatWord(x uint32) words { return archsimd.BroadcastUint32x4(x) }
func splatInt(x int32) ints    { return archsimd.BroadcastInt32x4(x) }

// largest is the largest lane, as unsigned numbers.
func largest(v words) uint32 {
	v = v.Max(v.ReshapeToUint64s().ShiftAllRight(32).ReshapeToUint32s())
	return max(v.GetElem(0), v.GetElem(2))
}

// magic is 1.5 * 2^23. Added to a number below 2^22 it rounds it to an integer, half to even, and leaves that integer
// in the low bits of the sum; subtracting it gives the integer back as a float.
const magic = 12582912

// magicBits are the bits of magic.
const magicBits = 0x4B400000

// magnitude takes the sign off.
func magnitude(v floats) words { return v.ToBits().And(splatWord(math.MaxInt32)) }
