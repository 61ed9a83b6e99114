package quant_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// Verify must see a single wrong bit, of whatever weight, in any byte of any tensor.
func TestVerifySeesDamage(t *testing.T) {
	in := testkit.Fixture(t, ".", "ptq-in.pt")
	for _, o := range outputs {
		for _, config := range recipes {
			good, _, err := convert(t, in, config, o, 1)
			if err != nil {
				t.Fatal(err)
			}
			tensors, err := open("out", good)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range tensors {
				for i := range x.Bytes() {
					if i > 24 && i < x.Bytes()-24 && i%101 != 0 {
						continue
					}
					bad := bytes.Clone(good)
					bad[x.Storage.Start+x.Offset+i] ^= 1 << (i % 8)
					v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", bad)},
						[]*tensor.File{testkit.File("in", in)},
						quant.Options{})

					if err == nil && v.OK {
						t.Fatalf("%s %+v: verify does not see that byte %d of %s was changed", config, o, i, x.Name)
					}
				}
			}
		}
	}
}

// A coremltools .pt does not name its schemes. Each weight must be explained by one of them: not half by
// one and half by another, each of which is a right scheme for its half.
func TestVerifyExplainsAWeightByOneScheme(t *testing.T) {
	in := testkit.Safetensors(testkit.F32("a.weight", []int64{4, 64}, 0.1, -0.2, 0.3, 0.25, 0.28))
	source := []*tensor.File{testkit.File("in", in)}
	made := map[string][]byte{}
	for _, mode := range []string{"symmetric", "affine"} {
		out, _, err := convert(t, in, `{"global_config":{"weight_dtype":"uint4","quantization_scheme":"`+mode+`"}}`,
			container.Options{To: "coremltools"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		made[mode] = out
		if v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)}, source,
			quant.Options{}); err != nil || !v.OK {
			t.Errorf("%s: %+v, %v", mode, v, err)
		}
	}
	mixed := bytes.Clone(made["symmetric"])
	tensors, err := open("out", mixed)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		if half := x.Bytes() / 2; x.Elements() > 1 {
			at := x.Storage.Start + x.Offset
			copy(mixed[at:at+half], made["affine"][at:at+half])
		}
	}
	v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", mixed)}, source, quant.Options{})
	if err != nil || v.OK || !strings.Contains(v.Tensors[0].Problem, "no scheme explains all of it") {
		t.Errorf("%+v, %v", v, err)
	}
}

// Outputs that lie about themselves; verify once believed each of them.
func TestVerifySeesLies(t *testing.T) {
	in := testkit.Safetensors(testkit.F32("a.weight", []int64{4, 64}, 0.1, -0.2, 0.3, 0.25))
	source := []*tensor.File{testkit.File("in", in)}
	config := `{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":32}}`
	// patch writes b over the values of one tensor of an output, again and again.
	patch := func(out []byte, name string, b ...byte) []byte {
		out = bytes.Clone(out)
		tensors, err := open("out", out)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range tensors {
			if x.Name == name {
				for i := range x.Bytes() {
					out[x.Storage.Start+i] = b[i%int64(len(b))]
				}
				return out
			}
		}
		t.Fatalf("no tensor %s", name)
		return nil
	}
	inf, nan, large := []byte{0, 0, 0x80, 0x7f}, []byte{0, 0, 0xc0, 0x7f}, []byte{0, 0, 0, 0x71}
	made := map[string][]byte{}
	for _, o := range outputs {
		out, _, err := convert(t, in, config, o, 1)
		if err != nil {
			t.Fatal(err)
		}
		made[o.To+o.HighNibble] = out
	}
	coreml := "a._COREML_/weight/"
	for name, out := range map[string][]byte{
		"infinite scale":        patch(made["packed"], "a.weight_scale", inf...),
		"NaN scale":             patch(made["int8"], "a.weight_scale", nan...),
		"scale that allows all": patch(made["packed"], "a.weight_scale", large...),
		"one NaN scale among others": patch(made["packed"], "a.weight_scale",
			append(bytes.Clone(nan), 0x25, 0x49, 0x2f, 0x3d, 0x25, 0x49, 0x2f, 0x3d)...),
		"zero weights, large scale": patch(patch(made["coremltools"], "a.weight", 0), coreml+"quantization_scale", large...),
		"weights never quantized": patch(made["coremltools"], "a.weight",
			tensor.Bytes([]float32{0.1, -0.2, 0.3, 0.25})...),
		"high nibbles set":           patch(made["int8zero"], "a.weight", 0xf1),
		"codes beyond int4":          patch(made["int8"], "a.weight", 100),
		"compression type":           patch(made["coremltools"], coreml+"compression_type", 1, 0, 0, 0, 0, 0, 0, 0),
		"another shape":              patch(made["packed"], "a.weight_shape", 8, 0, 0, 0, 0, 0, 0, 0),
		"affine without zero points": bytes.Replace(made["packed"], []byte(`\"symmetric\"`), []byte(`\"affine\"   `), 1),
	} {
		v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)}, source, quant.Options{})
		if err == nil && v.OK {
			t.Errorf("%s: verify says ok", name)
		}
	}
	for name, out := range made {
		if v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)}, source,
			quant.Options{}); err != nil || !v.OK {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if _, err := quant.Verify(t.Context(), source, source, quant.Options{}); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("the source itself passes for an output: %v", err)
	}
}

// Scale 1 is right for an unsigned block of zeros, and for nothing else.
func TestVerifyOfUnsignedZeros(t *testing.T) {
	config := `{"global_config":{"weight_dtype":"uint8"}}`
	for name, c := range map[string]struct {
		values []float32
		scale  float32
		codes  byte
		ok     bool
	}{
		"zeros":                       {[]float32{0}, 1, 127, true},
		"weights wiped out":           {[]float32{0.25}, 1, 127, false},
		"zeros that are not":          {[]float32{0}, 1, 128, false},
		"zeros with another scale":    {[]float32{0}, 2, 127, false},
		"small weights, wiped out":    {[]float32{1e-6}, 1, 127, false},
		"weights below all scales":    {[]float32{1e-44}, 1, 127, true},
		"scale 1 where it is the one": {[]float32{127, 126, -127}, 1, 254, false},
	} {
		in := testkit.Safetensors(testkit.F32("a.weight", []int64{1, 64}, c.values...))
		out, _, err := convert(t, in, config, container.Options{To: "int8"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := open("out", out)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range tensors {
			switch x.Name {
			case "a.weight":
				copy(out[x.Storage.Start:], bytes.Repeat([]byte{c.codes}, 64))
			case "a.weight_scale":
				copy(out[x.Storage.Start:], tensor.Bytes([]float32{c.scale}))
			}
		}
		v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)}, []*tensor.File{testkit.File("in", in)},
			quant.Options{})

		if err != nil || v.OK != c.ok {
			t.Errorf("%s: verify says %v, %v", name, v, err)
		}
	}
}

// Weights at the edge of their dtype, whose previews keep hardly a digit (found by
// converting random checkpoints).
func TestVerifyOfTinyWeights(t *testing.T) {
	half, wide := make([]uint16, 8*64), make([]float64, 8*64)
	for i := range half {
		x := math.Sin(float64(i * i))
		half[i], wide[i] = tensor.F32ToBF16(float32(x*3e-39)), x*4e-45
	}
	for _, w := range []testkit.Weight{
		{Name: "a.weight", DType: tensor.BF16, Shape: []int64{8, 64}, Values: tensor.Bytes(half)},
		{Name: "a.weight", DType: tensor.F64, Shape: []int64{8, 64}, Values: tensor.Bytes(wide)},
	} {
		in := testkit.Safetensors(w)
		for _, config := range recipes {
			for _, o := range outputs {
				out, _, err := convert(t, in, config, o, 1)
				if err != nil {
					t.Fatal(err)
				}
				v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)},
					[]*tensor.File{testkit.File("in", in)},
					quant.Options{})

				if err != nil || !v.OK {
					t.Errorf("%s %s %+v: %+v, %v", w.DType, config, o, v, err)
				}
			}
		}
	}
}
