package tensor

import (
	"math"
	"unsafe"
)

func init() {
	// Checkpoints are little-endian and View does not swap.
	if one := uint16(1); *(*byte)(unsafe.Pointer(&one)) != 1 {
		panic("nibble: big-endian machines are not supported")
	}
}

// F16ToF32 widens an IEEE binary16 exactly, subnormals included.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&31, uint32(h&0x3ff)
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp == 0:
		// frac * 2^-24 is exact in binary32.
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// F32ToF16 rounds to binary16: to nearest, ties to even; 65520 and above to infinity.
func F32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x47800000: // 65536 and infinity
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: a multiple of 2^-24
		// Adding 0.5 puts the unit of the last place at 2^-24, so that the
		// addition itself rounds to even.
		v := math.Float32bits(math.Float32frombits(b)+0.5) - 0x3f000000
		return sign | uint16(v)
	}
	b += 0xfff + b>>13&1 // round half to even at bit 13; may carry into infinity
	return sign | uint16(b>>13-112<<10)
}

// RoundF16 rounds a binary32 value to the nearest binary16 value.
func RoundF16(f float32) float32 { return F16ToF32(F32ToF16(f)) }

// BF16ToF32 widens a bfloat16 exactly.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to bfloat16: to nearest, ties to even; NaN stays a quiet NaN.
func F32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// View reinterprets little-endian bytes as values without copying. len(b) must be
// a multiple of the size of T and b must be aligned to it, as Buffer's bytes are.
func View[T uint16 | float32 | float64 | int32 | int64](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var zero T
	size := int(unsafe.Sizeof(zero))
	if len(b)%size != 0 || uintptr(unsafe.Pointer(&b[0]))%uintptr(size) != 0 {
		panic("nibble: internal error: view of misaligned bytes")
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/size)
}

// Bytes is the inverse of View.
func Bytes[T uint16 | float32 | float64 | int32 | int64](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// Buffer returns n bytes aligned to 8, reusing old where it is large enough.
func Buffer(old []byte, n int) []byte {
	if cap(old) >= n {
		return old[:n]
	}
	return Bytes(make([]int64, (n+7)/8))[:n]
}
