//go:build goexperiment.simd

package kernel

import "simd/archsimd"

// vectors: a module with SIMD does not load where there is none.
const vectors = true

// arrange takes byte i of the result from place order[i] of v.
func arrange(v octets, order archsimd.Int8x16) octets {
	return v.BitsToInt8().LookupOrZero(order).ToBits()
}

// extendHigh widens the last four of eight.
func extendHigh(v archsimd.Uint16x8) words {
	return v.ExtendHi4ToUint32()
}
