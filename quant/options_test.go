package quant_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// A block of zeros in unsigned codes has scale 1 and the zero point as its codes, for
// ct.convert divides by the scale (./build.sh oracle shows what it makes of 0). Numbers
// that vanish against a scale of 0 are such zeros, too. Signed codes keep scale 0.
func TestUnsignedBlocksOfZeros(t *testing.T) {
	tiny := make([]uint16, 2*64)
	for i := range tiny {
		tiny[i] = tensor.F32ToF16(0.25)
		if i < 64 {
			tiny[i] = 1 // 2^-24: its scale underflows to 0
		}
	}
	zeros := append(make([]float32, 64), []float32{0.25, -0.25, 0.5, 1}...)
	for i := range 60 {
		zeros = append(zeros, float32(i)/60)
	}
	for name, w := range map[string]testkit.Weight{
		"zeros": testkit.F32("a.weight", []int64{2, 64}, zeros...),
		"tiny":  {Name: "a.weight", DType: tensor.F16, Shape: []int64{2, 64}, Values: tensor.Bytes(tiny)},
	} {
		for dtype, zeroPoint := range map[string]map[string]byte{
			"uint4": {"symmetric": 7, "affine": 0}, "uint8": {"symmetric": 127, "affine": 0},
			"int4": {"symmetric": 0, "affine": 0},
		} {
			for mode, zp := range zeroPoint {
				config := `{"global_config":{"weight_dtype":"` + dtype + `","quantization_scheme":"` + mode + `"}}`
				in := testkit.Safetensors(w)
				out, _, err := convert(t, in, config, container.Options{To: "int8"}, 1)
				if err != nil {
					t.Fatal(err)
				}
				x := values(t, out)
				scale := float32(1)
				if dtype == "int4" {
					scale = 0
				}
				if got := x["a.weight_scale"].float(0); got != scale {
					t.Errorf("%s %s %s: scale %g, want %g", name, dtype, mode, got, scale)
				}
				if scale == 1 && !bytes.Equal(x["a.weight"].raw[:64], bytes.Repeat([]byte{zp}, 64)) {
					t.Errorf("%s %s %s: codes %v, want %d", name, dtype, mode, x["a.weight"].raw[:64], zp)
				}
				for _, o := range outputs {
					out, _, err := convert(t, in, config, o, 1)
					if err != nil {
						t.Fatal(err)
					}
					v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)},
						[]*tensor.File{testkit.File("in", in)},
						quant.Options{})

					if err != nil || !v.OK {
						t.Errorf("%s %s %s in %+v: verify says %+v, %v", name, dtype, mode, o, v, err)
					}
				}
			}
		}
	}
}

// content is one tensor with its bytes.
type content struct {
	tensor.Tensor
	raw []byte
}

// float is the i-th value.
func (c content) float(i int) float32 {
	raw := append(tensor.Buffer(nil, len(c.raw))[:0], c.raw...)
	if c.DType == tensor.F16 {
		return tensor.F16ToF32(tensor.View[uint16](raw)[i])
	}
	return tensor.View[float32](raw)[i]
}

func values(t *testing.T, file []byte) map[string]content {
	t.Helper()
	tensors, err := open("out", file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]content{}
	for _, x := range tensors {
		at := x.Storage.Start + x.Offset
		out[x.Name] = content{x, file[at : at+x.Bytes()]}
	}
	return out
}

// What the arithmetic cannot take is kept when asked, byte for byte, and said.
func TestKeepUnfit(t *testing.T) {
	nan := float32(math.NaN())
	half := make([]uint16, 64*64)
	for i := range half {
		half[i] = tensor.F32ToF16(60000)
	}
	in := testkit.Safetensors(
		testkit.F32("good.weight", []int64{64, 64}, 1, 2, 3), testkit.F32("bad.weight", []int64{64, 64}, 1, nan),
		testkit.F32("inf.weight", []int64{64, 64}, 1, float32(math.Inf(1))),
		testkit.Weight{Name: "wide.weight", DType: tensor.F16, Shape: []int64{64, 64}, Values: tensor.Bytes(half)})
	for _, config := range recipes {
		for _, workers := range []int{1, 3} {
			steps := []int64{}
			c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
			if err != nil {
				t.Fatal(err)
			}
			j, err := testkit.Plan(c, parse(t, config), recipe.Options{KeepUnfit: true}, container.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			r, err := quant.Convert(context.Background(), j, &out,
				quant.Options{Workers: workers, Hash: true, Progress: func(done, total int64) {
					steps = append(steps, done)
					if done > total {
						t.Errorf("%d of %d", done, total)
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			for i := 1; i < len(steps); i++ {
				if steps[i] < steps[i-1] {
					t.Fatalf("progress goes back: %v", steps)
				}
			}
			reasons := map[string]string{"good.weight": "", "bad.weight": "NaN", "inf.weight": "infinite",
				"wide.weight": "F16 arithmetic"}
			for _, row := range r.Tensors {
				want := reasons[row.Name]
				if (row.Verdict == "keep") != (want != "") || !strings.Contains(row.Reason, want) {
					t.Errorf("%s %d: %s %s: %s", config, workers, row.Name, row.Verdict, row.Reason)
				}
			}
			v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out.Bytes())},
				[]*tensor.File{testkit.File("in", in)},
				quant.Options{})

			if err != nil || !v.OK {
				t.Errorf("verify says %+v, %v", v, err)
			}
		}
	}
	// A preview leaves out what would be kept.
	p, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	preview, err := testkit.Plan(p, parse(t, coremltools.Default), recipe.Options{KeepUnfit: true}, container.Options{})
	if err != nil {
		t.Fatal(err)
	}
	figures, err := quant.Measure(context.Background(), preview, []string{"good.weight", "bad.weight"},
		quant.Options{Workers: 1})
	if err != nil || len(figures) != 1 || figures["good.weight"].RMSE == nil {
		t.Errorf("figures %v, %v", figures, err)
	}
	// A cut file is an error all the same.
	c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.State.Tensors[0].Storage.File.R = bytes.NewReader(in[:1000])
	j, err := testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{KeepUnfit: true}, container.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = quant.Convert(context.Background(), j, &bytes.Buffer{},
		quant.Options{Workers: 2}); fault.KindOf(err) != fault.Format {
		t.Errorf("error %v", err)
	}
}

// Tied weights with two verdicts are shown and not converted; with one they share
// their storage and their figures.
func TestTiedWeightsOfAModel(t *testing.T) {
	in := testkit.Fixture(t, ".", "ptq-tied-f32.pt")
	_, _, err := convert(t, in, `{"global_config":{"weight_dtype":"int4"},`+
		`"module_name_configs":{"head":{"weight_dtype":"int8"}}}`, container.Options{}, 1)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unsupported || !strings.Contains(f.Error(), `"embed.weight" (tied)`) {
		t.Errorf("error %v", err)
	}
	// By default both are kept, with how to quantize them.
	_, kept, err := convert(t, in, `{"global_config":{"weight_dtype":"int4"}}`, container.Options{}, 1)
	if err != nil || !slices.ContainsFunc(kept.Advice, func(a report.Advice) bool { return a.About == "tied" }) {
		t.Errorf("%v, advice %+v", err, kept)
	}
	out, r, err := convertWith(t, in, `{"global_config":{"weight_dtype":"uint4","quantization_scheme":"affine"}}`,
		recipe.Options{Embeddings: true}, container.Options{To: "coremltools"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	x, rows := values(t, out), map[string]report.Tensor{}
	for _, row := range r.Tensors {
		rows[row.Name] = row
	}
	for a, b := range map[string]string{"embed": "head", "a": "b"} {
		for _, field := range []string{".weight", "._COREML_/weight/quantization_scale", "._COREML_/weight/zero_point"} {
			if x[a+field].Storage != x[b+field].Storage || len(x[a+field].raw) == 0 {
				t.Errorf("%s and %s do not share %s", a, b, field)
			}
		}
		if p, q := rows[a+".weight"].Figures, rows[b+".weight"].Figures; p.RMSE == nil || !reflect.DeepEqual(p, q) {
			t.Errorf("%s and %s: %+v, %+v", a, b, p, q)
		}
	}
}

// An exported recipe gives the same bytes, and says what a config cannot.
func TestExport(t *testing.T) {
	in := testkit.Fixture(t, ".", "ptq-conv-f32.pt")
	asked := recipe.Options{}
	for _, text := range []string{"grouped_up=ConvTranspose2d", "deconv=ConvTranspose1d"} {
		types, err := recipe.ParseType(text)
		if err != nil {
			t.Fatal(err)
		}
		asked.Types = append(asked.Types, types)
	}
	for _, config := range []string{
		`{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":8},` +
			`"module_name_configs":{"depthwise":{"weight_dtype":"int8"}}}`,
		`{"global_config":{"weight_dtype":"uint4","granularity":"per_block","block_size":[2,16],` +
			`"quantization_scheme":"affine"}}`,
	} {
		c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
		if err != nil {
			t.Fatal(err)
		}
		j, err := testkit.Plan(c, parse(t, config), tiny(asked), container.Options{})
		if err != nil {
			t.Fatal(err)
		}
		exported, notes := j.Plan.Export()
		if len(notes) != 4 || !strings.Contains(notes[0], "as a tuple only") ||
			!strings.Contains(notes[1], "the type of grouped_up was set to ConvTranspose2d") ||
			!strings.Contains(notes[3], "its key nibble is Nibble's own") {
			t.Errorf("notes %q", notes)
		}
		want, _, err := convertWith(t, in, config, asked, container.Options{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		strict := asked
		strict.CoremltoolsSkips = true
		for _, text := range [][]byte{exported.JSON(), exported.YAML()} {
			got, r, err := convertWith(t, in, string(text), asked, container.Options{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the exported recipe gives other bytes:\n%s", text)
			}
			// Nothing is beyond coremltools any more.
			_, again, err := convertWith(t, in, string(text), strict, container.Options{}, 1)
			if err != nil || again.Totals.Quantized != r.Totals.Quantized {
				t.Errorf("coremltools would skip some of\n%s (%v)", text, err)
			}
		}
	}
}

// An attention of which one weight can be cut and another cannot has no entry that
// coremltools follows to the same verdicts: each is named. What is kept as unfit is null.
func TestExportSaysWhatItCannot(t *testing.T) {
	nan := float32(math.NaN())
	in := testkit.Safetensors(
		testkit.F32("attn.q_proj_weight", []int64{32, 32}, 1, 2), testkit.F32("attn.k_proj_weight", []int64{32, 48}, 1, 2),
		testkit.F32("attn.v_proj_weight", []int64{32, 24}, 1, 2),
		testkit.F32("bad.weight", []int64{32, 64}, 1, nan), testkit.F32("short.weight", []int64{32, 16}, 1, 2))
	c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := testkit.Plan(c, parse(t, coremltools.Default),
		tiny(recipe.Options{KeepUnfit: true, Keep: map[string]string{"bad.weight": "NaN"}}), container.Options{})

	if err != nil {
		t.Fatal(err)
	}
	r, notes := j.Plan.Export()
	for i, want := range []string{"coremltools would keep attn.q_proj_weight: a block of 32 is not smaller",
		"coremltools would keep attn.v_proj_weight: a block of 32", "tensors that cannot be quantized are kept"} {
		if len(notes) != 4 || !strings.Contains(notes[i], want) {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
	want := `{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":32},` +
		`"module_name_configs":{"bad":null,"short":{"weight_dtype":"int4","granularity":"per_channel"}}}`
	if string(r.Compact()) != want {
		t.Errorf("exported %s\nwant     %s", r.Compact(), want)
	}
}

// Measure gives the figures that a conversion would.
func TestMeasure(t *testing.T) {
	in := wide()
	for _, config := range recipes {
		_, r, err := convert(t, in, config, container.Options{}, 2)
		if err != nil {
			t.Fatal(err)
		}
		c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
		if err != nil {
			t.Fatal(err)
		}
		j, err := testkit.Plan(c, parse(t, config), recipe.Options{}, container.Options{})
		if err != nil {
			t.Fatal(err)
		}
		j.Plan.Options.KeepUnfit = config == coremltools.Default // which surveys first
		got, err := quant.Measure(context.Background(), j, []string{"a.weight", "a.bias", "nothing"},
			quant.Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || !reflect.DeepEqual(got["a.weight"], r.Tensors[0].Figures) {
			t.Errorf("%s: %+v, want %+v", config, got, r.Tensors[0].Figures)
		}
	}
}
