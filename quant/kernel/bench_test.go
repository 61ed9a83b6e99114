package kernel

import (
	"fmt"
	"math"
	"testing"

	"nibble/quant/scheme"
)

// BenchmarkKernels times what a conversion runs per weight, on 2 MiB of float32 (or of
// float16 held in float32); MB/s counts those float32 bytes.
func BenchmarkKernels(b *testing.B) {
	src := make([]float32, 512<<10)
	for i := range src {
		src[i] = float32(math.Sin(float64(i*i))) / 30
	}
	codes, out := make([]byte, len(src)), make([]float32, len(src))
	for _, mode := range []scheme.Mode{scheme.Symmetric, scheme.Affine} {
		for _, half := range []bool{false, true} {
			for _, run := range []int{32, 4096} {
				a := Arith{Scheme: scheme.Scheme{WeightDType: scheme.Int4, Mode: mode}, Half: half}
				n := len(src) / run
				lo, hi, scale := make([]float32, n), make([]float32, n), make([]float32, n)
				var zp []byte
				if a.Scheme.HasZeroPoint() {
					zp = make([]byte, n)
				}
				time := func(step string, f func()) {
					b.Run(fmt.Sprintf("%s/%s/half=%v/run=%d", step, mode, half, run), func(b *testing.B) {
						b.SetBytes(int64(4 * len(src)))
						for range b.N {
							f()
						}
					})
				}
				time("range", func() {
					Reset(lo, hi)
					Range(src, run, lo, hi)
					Params(a, lo, hi, scale, zp)
				})
				time("quantize", func() { Quantize(a, src, run, scale, zp, codes) })
				time("dequantize", func() { Dequantize(a, codes, run, scale, zp, out) })
			}
		}
	}
	var e Errors
	b.Run("measure", func(b *testing.B) {
		b.SetBytes(int64(4 * len(src)))
		for range b.N {
			Measure(&e, src, out)
		}
	})
	packed := make([]byte, len(codes)/2)
	b.Run("pack4", func(b *testing.B) {
		b.SetBytes(int64(4 * len(src)))
		for range b.N {
			Pack4(codes, true, packed)
		}
	})
}
