// Command kernels times what a conversion runs per weight, on 2 MiB of weights that stay in
// a cache: widening, ranges, scales, codes, errors and packing, in the chunks that a
// conversion has. It prints a line per case and twin, "case twin bytes-of-source per
// second", the best of some rounds; ./build.sh bench kernels runs it natively, in Node and
// in browsers, and makes a table of that.
//
//	kernels [-ms 60] [-rounds 3] [CASE...]
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"nibble/quant/kernel"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// bench is one case.
type bench struct {
	name  string
	dtype tensor.Type
	group int
	bits  int
	arith kernel.Arith
	mlx   bool // MLX's arithmetic, and not arith
}

func cases() []bench {
	sym := scheme.Scheme{WeightDType: scheme.Int4, Mode: scheme.Symmetric}
	affine := scheme.Scheme{WeightDType: scheme.Int4, Mode: scheme.Affine}
	wide := scheme.Scheme{WeightDType: scheme.Int8, Mode: scheme.Symmetric}
	brain := kernel.NewArith(sym, false)
	brain.Brain = true
	return []bench{
		{"symmetric-b32-f32", tensor.F32, 32, sym.Bits(), kernel.NewArith(sym, false), false},
		{"symmetric-row-f32", tensor.F32, 4096, sym.Bits(), kernel.NewArith(sym, false), false},
		{"affine-b32-f32", tensor.F32, 32, affine.Bits(), kernel.NewArith(affine, false), false},
		{"affine-row-f32", tensor.F32, 4096, affine.Bits(), kernel.NewArith(affine, false), false},
		{"int8-row-f32", tensor.F32, 4096, wide.Bits(), kernel.NewArith(wide, false), false},
		{"symmetric-b8-f32", tensor.F32, 8, sym.Bits(), kernel.NewArith(sym, false), false},
		{"symmetric-b32-bf16", tensor.BF16, 32, sym.Bits(), kernel.NewArith(sym, false), false},
		{"affine-b32-bf16", tensor.BF16, 32, affine.Bits(), kernel.NewArith(affine, false), false},
		{"symmetric-b32-f16", tensor.F16, 32, sym.Bits(), kernel.NewArith(sym, true), false},
		{"affine-b32-f16", tensor.F16, 32, affine.Bits(), kernel.NewArith(affine, true), false},
		{"packed-b32-bf16", tensor.BF16, 32, sym.Bits(), brain, false},
		{"minmax-b128-bf16", tensor.BF16, 128, sym.Bits(), kernel.NewMinMax(sym, false, true), false},
		{"mlx-b64-f32", tensor.F32, 64, 4, kernel.Arith{}, true},
		{"mlx-b64-bf16", tensor.BF16, 64, 4, kernel.Arith{}, true},
	}
}

// chunk is how many weights are done at a time.
const chunk = 16384

// work is one case with its buffers.
type work struct {
	bench
	source []byte
	wide   []float32
	lo, hi []float32
	scale  []float32
	offset []float32
	zp     []byte
	codes  []byte
	packed []byte
	errors kernel.Errors
}

func newWork(b bench) *work {
	const bytes = 2 << 20
	n := bytes / int(b.dtype.Size())
	w := &work{bench: b, source: tensor.Buffer(nil, bytes), wide: make([]float32, n), codes: make([]byte, chunk),
		packed: make([]byte, n)}
	x := uint64(1)
	for i := range w.wide {
		sum := 0.0
		for range 4 {
			x = x*6364136223846793005 + 1442695040888963407
			sum += float64(x>>40)/(1<<24) - 0.5
		}
		w.wide[i] = float32(sum * 0.04)
	}
	switch b.dtype {
	case tensor.F32:
		copy(w.source, tensor.Bytes(w.wide))
	default:
		half := tensor.View[uint16](w.source)
		for i, f := range w.wide {
			if half[i] = tensor.F32ToBF16(f); b.dtype == tensor.F16 {
				half[i] = tensor.F32ToF16(f)
			}
		}
	}
	blocks := chunk / b.group
	w.lo, w.hi, w.scale = make([]float32, blocks), make([]float32, blocks), make([]float32, blocks)
	w.offset = make([]float32, blocks)
	if b.arith.HasZero {
		w.zp = make([]byte, blocks)
	}
	return w
}

// once does all of the source.
func (w *work) once() {
	n := len(w.source) / int(w.dtype.Size())
	for at := 0; at < n; at += chunk {
		src := w.wide[:chunk]
		if w.dtype == tensor.F32 {
			src = tensor.View[float32](w.source)[at : at+chunk]
		} else {
			kernel.Widen(src, tensor.View[uint16](w.source)[at:at+chunk], w.dtype == tensor.F16)
		}
		if w.mlx {
			a := kernel.OffsetArith{Brain: w.dtype == tensor.BF16, Max: 15}
			kernel.FitOffset(a, src, w.group, w.lo, w.hi, w.scale, w.offset)
			kernel.QuantizeOffset(a, src, w.group, w.scale, w.offset, w.codes, &w.errors)
		} else {
			kernel.Reset(w.lo, w.hi)
			kernel.Range(src, w.group, w.lo, w.hi)
			kernel.Params(w.arith, w.lo, w.hi, w.scale, w.zp)
			kernel.Quantize(w.arith, src, w.group, w.scale, w.zp, w.codes, &w.errors)
		}
		if w.bits == 4 {
			kernel.Pack4(w.codes, w.arith.Signed, w.packed[at/2:at/2+chunk/2])
		} else {
			kernel.Pack8(w.codes, w.arith.Signed, w.packed[at:at+chunk])
		}
	}
}

// speed is how many bytes of source f does per second.
func speed(bytes int, span time.Duration, f func()) float64 {
	f()
	began, n := time.Now(), 0
	for time.Since(began) < span {
		f()
		n++
	}
	return float64(bytes) * float64(n) / time.Since(began).Seconds()
}

func main() {
	ms := flag.Int("ms", 60, "how long a measurement takes, in milliseconds")
	rounds := flag.Int("rounds", 3, "how many measurements, of which the best counts")
	flag.Parse()
	for _, b := range cases() {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), b.name) {
			continue
		}
		w := newWork(b)
		other := make([]byte, len(w.source))
		span := time.Duration(*ms) * time.Millisecond
		best := map[string]float64{}
		for range *rounds {
			best["simd"] = max(best["simd"], speed(len(w.source), span, w.once))
			undo := kernel.GenericOnly()
			best["generic"] = max(best["generic"], speed(len(w.source), span, w.once))
			undo()
			best["copy"] = max(best["copy"], speed(len(w.source), span, func() { copy(other, w.source) }))
		}
		for _, twin := range []string{"simd", "generic", "copy"} {
			fmt.Fprintf(os.Stdout, "%s %s %.0f\n", b.name, twin, best[twin])
		}
	}
}
