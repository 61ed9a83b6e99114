//go:build goexperiment.simd

package kernel

import "simd/archsimd"

// vectors reports whether the processor has what the SIMD twins use.
var vectors = archsimd.X86.AVX()

// arrange takes byte i of the result from place order[i] of v.
func arrange(v octets, order archsimd.Int8x16) octets { return v.PermuteOrZero(order) }

// extendHigh widens the last four of eight.
func extendHigh(v archsimd.Uint16x8) words {
	w := v.ReshapeToUint64s()
	return w.InterleaveHi(w).ReshapeToUint16s().ExtendLo4ToUint32()
}
