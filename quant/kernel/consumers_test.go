package kernel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// consumerVector is one case that compressed-tensors or MLX computed (testkit/vectors/consumers.py).
type consumerVector struct {
	DType     string
	Bits      int
	Symmetric bool
	Group     int
	Shape     []int
	Weights   string

	Scale, Zero, Codes, After, Words, Offset string
}

func readConsumerVectors(t *testing.T, file string, want int) []consumerVector {
	t.Helper()
	text, err := os.ReadFile("../testkit/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Cases []consumerVector }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Cases) != want {
		t.Fatalf("%d vectors in %s, want %d", len(all.Cases), file, want)
	}
	return all.Cases
}

// wide are values of the vector's dtype as float32.
func (v consumerVector) wide(t *testing.T, text string) []float32 {
	t.Helper()
	raw := unhex(t, text)
	if v.DType == "F32" {
		return tensor.View[float32](raw)
	}
	out := make([]float32, len(raw)/2)
	Widen(out, tensor.View[uint16](raw), v.DType == "F16")
	return out
}

// bytesOf are float32 values as the vector's dtype stores them.
func (v consumerVector) bytesOf(values []float32) []byte {
	if v.DType == "F32" {
		return tensor.Bytes(values)
	}
	half := make([]uint16, len(values))
	Narrow(half, values, v.DType == "F16")
	return tensor.Bytes(half)
}

// Scales, zero points, codes and what they stand for are compressed-tensors' own, with both twins.
func TestMinMaxEqualsCompressedTensors(t *testing.T) {
	for _, v := range readConsumerVectors(t, "minmax.json", 36) {
		for _, twin := range []string{"simd", "generic"} {
			t.Run(fmt.Sprintf("%s/%d/%v/%d/%s", v.DType, v.Bits, v.Symmetric, v.Group, twin), func(t *testing.T) {
				if twin == "generic" {
					defer GenericOnly()()
				}
				s := scheme.Scheme{WeightDType: scheme.Int4, Mode: scheme.Affine}
				if v.Bits == 8 {
					s.WeightDType = scheme.Int8
				}
				if v.Symmetric {
					s.Mode = scheme.Symmetric
				}
				a := NewMinMax(s, v.DType == "F16", v.DType == "BF16")
				src := v.wide(t, v.Weights)
				n := len(src) / v.Group
				lo, hi, scale, zp := make([]float32, n), make([]float32, n), make([]float32, n), make([]byte, n)
				if !a.HasZero {
					zp = nil
				}
				Reset(lo, hi)
				Range(src, v.Group, lo, hi)
				if unfit := Fit(a, lo, hi, scale, zp); unfit != "" {
					t.Fatal(unfit)
				}
				if got, want := v.bytesOf(scale), unhex(t, v.Scale); !bytes.Equal(got, want) {
					t.Fatalf("scales\n%x\nwant\n%x", got, want)
				}
				if want := unhex(t, v.Zero); a.HasZero && !bytes.Equal(zp, want) {
					t.Fatalf("zero points\n%x\nwant\n%x", zp, want)
				}
				codes, after := make([]byte, len(src)), make([]float32, len(src))
				var e Errors
				Quantize(a, src, v.Group, scale, zp, codes, &e)
				if want := unhex(t, v.Codes); !bytes.Equal(codes, want) {
					t.Fatalf("codes\n%x\nwant\n%x", codes, want)
				}
				Dequantize(a, codes, v.Group, scale, zp, after)
				want := v.wide(t, v.After)
				for i := range after {
					if after[i] != want[i] {
						t.Fatalf("value %d is %g, want %g", i, after[i], want[i])
					}
				}
			})
		}
	}
}

// Words, scales and offsets are those of mx.quantize on the CPU, with both twins.
func TestOffsetEqualsMLX(t *testing.T) {
	for _, v := range readConsumerVectors(t, "mlx.json", 18) {
		for _, twin := range []string{"simd", "generic"} {
			t.Run(fmt.Sprintf("%s/%d/%d/%s", v.DType, v.Bits, v.Group, twin), func(t *testing.T) {
				if twin == "generic" {
					defer GenericOnly()()
				}
				a := OffsetArith{Half: v.DType == "F16", Brain: v.DType == "BF16", Max: 1<<v.Bits - 1}
				var o offsetOutcome
				o.run(a, v.wide(t, v.Weights), v.Group)
				if o.unfit != "" {
					t.Fatal(o.unfit)
				}
				if got, want := v.bytesOf(stored(a, o.scale)), unhex(t, v.Scale); !bytes.Equal(got, want) {
					t.Fatalf("scales\n%x\nwant\n%x", got, want)
				}
				if got, want := v.bytesOf(stored(a, o.offset)), unhex(t, v.Offset); !bytes.Equal(got, want) {
					t.Fatalf("offsets\n%x\nwant\n%x", got, want)
				}
				words := make([]byte, len(o.codes)*v.Bits/8)
				if v.Bits == 4 {
					Pack4(o.codes, false, words)
				} else {
					Pack8(o.codes, false, words)
				}
				if want := unhex(t, v.Words); !bytes.Equal(words, want) {
					t.Fatalf("words\n%x\nwant\n%x", words, want)
				}
			})
		}
	}
}

// stored are values as they are stored.
func stored(a OffsetArith, values []float32) []float32 {
	out := make([]float32, len(values))
	for i, x := range values {
		out[i] = a.stored(x)
	}
	return out
}

// offsetOutcome is all that the kernels with offsets make of some weights.
type offsetOutcome struct {
	lo, hi, scale, offset, after []float32
	codes                        []byte
	unfit                        Unfit
	errors                       Errors
}

func (o *offsetOutcome) run(a OffsetArith, src []float32, group int) {
	n := len(src) / group
	o.lo, o.hi, o.scale, o.offset = make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	o.codes, o.after = make([]byte, len(src)), make([]float32, len(src))
	if o.unfit = FitOffset(a, src, group, o.lo, o.hi, o.scale, o.offset); o.unfit == "" {
		QuantizeOffset(a, src, group, o.scale, o.offset, o.codes, &o.errors)
		DequantizeOffset(a, o.codes, group, o.scale, o.offset, o.after)
	}
}

// The errors that are summed while quantizing are those of the values that the codes stand for, and the twins agree.
func TestTwinsWithOffsets(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, shape := range []struct{ group, groups int }{
		{8, 33}, {12, 4}, {31, 5}, {32, 1}, {32, 3}, {32, 4}, {32, 21}, {40, 13}, {64, 11}, {96, 5}, {128, 4}, {160, 6},
		{1024, 2},
	} {
		for name, src := range kinds(r, shape.group*shape.groups) {
			for which := range 6 {
				a := OffsetArith{Half: which%3 == 1, Brain: which%3 == 2, Max: []int{15, 255}[which/3]}
				weights := held(Arith{Half: a.Half, Brain: a.Brain}, src)
				var fast, slow offsetOutcome
				fast.run(a, weights, shape.group)
				undo := GenericOnly()
				slow.run(a, weights, shape.group)
				undo()
				at := fmt.Sprintf("%s, groups of %d, %+v", name, shape.group, a)
				if fast.unfit != slow.unfit || !bytes.Equal(fast.codes, slow.codes) || fast.errors != slow.errors {
					t.Fatalf("%s: the twins differ: %q %q\n%x\n%x\n%+v\n%+v", at, fast.unfit, slow.unfit, fast.codes, slow.codes,
						fast.errors, slow.errors)
				}
				if fast.unfit != "" {
					continue
				}
				for _, pair := range [][2][]float32{{fast.scale, slow.scale}, {fast.offset, slow.offset}} {
					if !bytes.Equal(tensor.Bytes(pair[0]), tensor.Bytes(pair[1])) {
						t.Fatalf("%s: the twins' scales or offsets differ\n%v\n%v", at, pair[0], pair[1])
					}
				}
				plain := Errors{}
				for i, w := range weights {
					plain.addOne(float64(w), float64(slow.after[i]))
				}
				if !near(plain.Noise, slow.errors.Noise) || !near(plain.Signal, slow.errors.Signal) {
					t.Fatalf("%s: errors %+v, want about %+v", at, slow.errors, plain)
				}
			}
		}
	}
}

// near reports whether two sums agree to six digits.
func near(a, b float64) bool { return a == b || max(a, b)-min(a, b) <= 1e-6*max(a, b) }
