//go:build goexperiment.simd

package kernel

import "simd/archsimd"

// vectors: every arm64 processor has NEON.
const vectors = true

// arrange takes byte i of the result from place order[i] of v.
func arrange(v octets, order archsimd.Int8x16) octets {
	return v.BitsToInt8().LookupOrZero(order).ToBits()
}

// extendHigh widens the last four of eight.
func extendHigh(v archsimd.Uint16x8) words {
	return v.HiToLo().ExtendLo4ToUint32()
}
