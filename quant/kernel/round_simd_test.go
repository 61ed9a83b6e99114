//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"testing"
	"unsafe"
)

// Every mantissa there is, of exponents at both ends of what is ordinary and within, and of either sign.
func TestRoundBrains(t *testing.T) {
	var in, out [4]float32
	for _, exponent := range []uint32{127 - 45, 127, 127 + 3, 127 + 45} {
		for m := uint32(0); m < 1<<23; m += 2 {
			for i := range in {
				in[i] = math.Float32frombits(exponent<<23 | m + uint32(i/2) | uint32(i%2)<<31)
			}
			storeFloats(unsafe.Pointer(&out), 0, roundBrains(loadFloats(unsafe.Pointer(&in), 0)))
			for i, x := range in {
				if want := roundBrain(x); out[i] != want {
					t.Fatalf("%b is rounded to %b, want %b", x, out[i], want)
				}
			}
		}
	}
}
