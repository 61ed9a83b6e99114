package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// schemes are all that quantize differently.
var schemes = []scheme.Scheme{
	{WeightDType: scheme.Int4, Mode: scheme.Symmetric}, {WeightDType: scheme.Int4, Mode: scheme.Affine},
	{WeightDType: scheme.Uint4, Mode: scheme.Symmetric}, {WeightDType: scheme.Uint4, Mode: scheme.Affine},
	{WeightDType: scheme.Int8, Mode: scheme.Symmetric}, {WeightDType: scheme.Int8, Mode: scheme.Affine},
	{WeightDType: scheme.Uint8, Mode: scheme.Symmetric}, {WeightDType: scheme.Uint8, Mode: scheme.Affine},
}

// outcome is all that the kernels make of some weights.
type outcome struct {
	lo, hi, scale, after, rounded []float32
	zp, codes, packed, bytes, low []byte
	half                          []uint16
	good                          bool
	fused, measured               Errors
}

// run puts weights through every kernel with what the present twins are.
func (o *outcome) run(a Arith, src []float32, group, rows int) {
	n := len(src) / group / rows // scales, each of which rows share
	o.lo, o.hi, o.scale = make([]float32, n), make([]float32, n), make([]float32, n)
	Reset(o.lo, o.hi)
	for r := range rows {
		Range(src[r*n*group:(r+1)*n*group], group, o.lo, o.hi)
	}
	if a.HasZero {
		o.zp = make([]byte, n)
	}
	o.good = Params(a, o.lo, o.hi, o.scale, o.zp)
	NoZeroScale(a, o.scale)
	o.codes, o.after = make([]byte, len(src)), make([]float32, len(src))
	o.half, o.rounded = make([]uint16, len(src)), make([]float32, len(src))
	for r := range rows {
		from, to := r*n*group, (r+1)*n*group
		Quantize(a, src[from:to], group, o.scale, o.zp, o.codes[from:to], &o.fused)
		Dequantize(a, o.codes[from:to], group, o.scale, o.zp, o.after[from:to])
	}
	if finite(o.after) {
		Narrow(o.half, o.after, a.Half)
		Widen(o.rounded, o.half, a.Half)
		for r := range rows {
			from, to := r*n*group, (r+1)*n*group
			Measure(a, src[from:to], o.rounded[from:to], group, o.scale, &o.measured)
		}
	}
	o.packed, o.bytes, o.low = make([]byte, len(src)/2+3), make([]byte, len(src)+1), make([]byte, len(src))
	Pack4(o.codes, a.Signed, o.packed)
	Pack8(o.codes, a.Signed, o.bytes)
	Low4(o.codes, o.low)
}

func finite(v []float32) bool {
	for _, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return false
		}
	}
	return true
}

// arrays are all that came out, as bytes by their names. A NaN is a NaN, whatever its payload, since arithmetic on it
// is not the same on every processor.
func (o *outcome) arrays() map[string][]byte {
	arrays := map[string][]byte{"zp": o.zp, "codes": o.codes, "packed": o.packed, "bytes": o.bytes, "low": o.low,
		"half": tensor.Bytes(o.half), "good": fmt.Append(nil, o.good)}
	for name, v := range map[string][]float32{"lo": o.lo, "hi": o.hi, "scale": o.scale, "after": o.after,
		"rounded": o.rounded} {
		for _, x := range v {
			if x != x {
				x = float32(math.NaN())
			}
			arrays[name] = binary.LittleEndian.AppendUint32(arrays[name], math.Float32bits(x))
		}
	}
	for name, e := range map[string]Errors{"fused errors": o.fused, "measured errors": o.measured} {
		arrays[name] = fmt.Appendf(nil, "%d %b %b %b %b", e.Count, e.Signal, e.Noise, e.Approximated, e.Max)
	}
	return arrays
}

// compare holds the SIMD twins against the generic ones.
func compare(t *testing.T, a Arith, src []float32, group, rows int) {
	t.Helper()
	var fast, slow outcome
	fast.run(a, src, group, rows)
	undo := GenericOnly()
	slow.run(a, src, group, rows)
	undo()
	want := slow.arrays()
	for name, got := range fast.arrays() {
		if !bytes.Equal(got, want[name]) {
			t.Fatalf("%+v, groups of %d, %d rows, %d weights: the twins differ in %s\nSIMD    %.200q\ngeneric %.200q", a, group,
				rows, len(src), name, got, want[name])
		}
	}
}

// kinds are weights of every kind that a block can be.
func kinds(r *rand.Rand, n int) map[string][]float32 {
	each := func(f func(i int) float32) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	normal := func() float32 { return float32(r.NormFloat64() * 0.02) }
	pick := func(from ...float32) func(int) float32 {
		return func(int) float32 { return from[r.IntN(len(from))] }
	}
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	return map[string][]float32{
		"normal":    each(func(int) float32 { return normal() }),
		"positive":  each(func(int) float32 { return float32(math.Abs(float64(normal()))) }),
		"negative":  each(func(int) float32 { return -float32(math.Abs(float64(normal()))) }),
		"zeros":     each(pick(0, zero)),
		"minus":     each(pick(zero)),
		"ties":      each(func(int) float32 { return float32(r.IntN(31)-15) / 2 }),
		"ones":      each(pick(1, -1)),
		"subnormal": each(func(int) float32 { return math.Float32frombits(r.Uint32() & 0x807fffff) }),
		"least":     each(pick(0, 1e-45, -1e-45)),
		"huge":      each(func(int) float32 { return float32(r.NormFloat64() * 1e38) }),
		"wide":      each(func(int) float32 { return normal() * float32(math.Pow(2, float64(r.IntN(200)-100))) }),
		"edges":     each(func(i int) float32 { return normal() * float32(math.Pow(2, float64(i/32%42-30))) }),
		"far edges": each(func(i int) float32 { return normal() * float32(math.Pow(2, float64(i/16%84*2-80))) }),
		"large":     each(func(i int) float32 { return normal() * float32(math.Pow(2, float64(i/32%22))) }),
		"infinite":  each(pick(1, -2, inf)),
		"minusinf":  each(pick(1, -2, -inf)),
		"nan":       each(pick(1, -2, nan)),
		"minusnan":  each(pick(1, -2, math.Float32frombits(0xffc00001))),
		"all":       each(pick(0, zero, 1, -2, 1e30, -1e-30, 1e-42, inf, -inf, nan)),
		"sparse": each(func(i int) float32 {
			if i/64%3 == 0 {
				return 0
			}
			return normal()
		}),
		"one nan": each(func(i int) float32 {
			if i == n/2 {
				return nan
			}
			return normal()
		}),
		"bits": each(func(int) float32 { return math.Float32frombits(r.Uint32()) }),
	}
}

// ariths are all arithmetics of a scheme: coremltools' and compressed-tensors', in each dtype.
func ariths(s scheme.Scheme) []Arith {
	brain := NewArith(s, false)
	brain.Brain = true
	return []Arith{NewArith(s, false), NewArith(s, true), brain, NewMinMax(s, false, false), NewMinMax(s, true, false),
		NewMinMax(s, false, true)}
}

// held are weights as the dtype of an arithmetic holds them.
func held(a Arith, src []float32) []float32 {
	out := make([]float32, len(src))
	for i, w := range src {
		switch out[i] = w; {
		case a.Half:
			out[i] = tensor.RoundF16(w)
		case a.Brain:
			out[i] = tensor.BF16ToF32(tensor.F32ToBF16(w))
		}
	}
	return out
}

func TestTwins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []struct{ group, groups, rows int }{
		{1, 7, 1}, {7, 5, 2}, {8, 1, 1}, {8, 33, 2}, {8, 65, 1}, {9, 9, 1}, {12, 4, 1}, {16, 9, 1}, {24, 7, 1}, {31, 5, 1},
		{32, 1, 1}, {32, 2, 2},
		{32, 3, 1}, {32, 4, 1}, {32, 21, 2}, {32, 21, 1}, {33, 5, 1}, {40, 13, 1}, {64, 7, 3}, {64, 11, 1}, {96, 5, 1},
		{104, 3, 1}, {128, 4, 1}, {160, 6, 1}, {4096, 1, 1}, {1000, 3, 2}, {992, 3, 2},
	} {
		for name, src := range kinds(r, shape.group*shape.groups*shape.rows) {
			for _, s := range schemes {
				t.Run(fmt.Sprintf("%s/%v/group=%d/rows=%d", name, s, shape.group, shape.rows), func(t *testing.T) {
					for _, a := range ariths(s) {
						compare(t, a, held(a, src), shape.group, shape.rows)
					}
				})
			}
		}
	}
}

// Every float16 and bfloat16 there is.
func TestTwinsOfWiden(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	for _, half := range []bool{true, false} {
		for _, values := range [][]uint16{all, all[:0x7c00], all[:0x7bff], all[0x8000:0xfc00], all[0x7c00:0x7c08], all[1:8],
			all[3:20], nil, {1, 2, 3, 0x7c00, 5, 6, 7, 8}, {1, 2, 0xfc00, 4, 5, 6, 7, 8}} {
			fast, slow := make([]float32, len(values)), make([]float32, len(values))
			Widen(fast, values, half)
			undo := GenericOnly()
			Widen(slow, values, half)
			undo()
			if !bytes.Equal(tensor.Bytes(fast), tensor.Bytes(slow)) {
				t.Errorf("half %v: %d values are not widened alike", half, len(values))
			}
		}
	}
}

// FuzzTwins quantizes any bits.
func FuzzTwins(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, src := range kinds(r, 160) {
		f.Add(tensor.Bytes(src), uint8(32), uint8(r.IntN(48)))
		f.Add(tensor.Bytes(src), uint8(8), uint8(r.IntN(48)))
	}
	f.Fuzz(func(t *testing.T, raw []byte, group, which uint8) {
		src := append([]float32(nil), tensor.View[float32](append(tensor.Buffer(nil, len(raw))[:0], raw[:len(raw)&^3]...))...)
		n := max(int(group), 1)
		src = src[:len(src)/n*n]
		if len(src) == 0 {
			return
		}
		a := ariths(schemes[which%8])[which/8%6]
		compare(t, a, held(a, src), n, 1)
	})
}
