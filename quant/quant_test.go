package quant_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

func parse(t testing.TB, config string) *coremltools.Recipe {
	t.Helper()
	r, err := coremltools.Parse("config", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open inspects bytes in memory.
func open(name string, b []byte) ([]tensor.Tensor, error) {
	c, err := quant.Open([]*tensor.File{testkit.File(name, b)}, quant.Options{})
	if err != nil {
		return nil, err
	}
	return c.State.Tensors, nil
}

// convert runs the whole core over bytes in memory.
func convert(t testing.TB, in []byte, config string, o container.Options, workers int) ([]byte, *report.Report, error) {
	t.Helper()
	return convertWith(t, in, config, recipe.Options{}, o, workers)
}

func convertWith(t testing.TB, in []byte, config string, asked recipe.Options, o container.Options,
	workers int) ([]byte, *report.Report, error) {
	t.Helper()
	asked = tiny(asked)
	c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := testkit.Plan(c, parse(t, config), asked, o)
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	r, err := quant.Convert(context.Background(), j, &out, quant.Options{Name: "out", Workers: workers, Hash: true})
	return out.Bytes(), r, err
}

// tiny are options under which weights are quantized that are too small for users, and kept ones are converted.
func tiny(asked recipe.Options) recipe.Options {
	asked.AllowNone, asked.Least = true, recipe.Least{Inputs: 1, Weights: 1}
	return asked
}

func TestReadsWhatTheRealToolsWrote(t *testing.T) {
	index := testkit.ReadIndex(t, ".")
	if len(index.Files) != 15 {
		t.Fatalf("%d fixtures, want 15", len(index.Files))
	}
	for name, want := range index.Files {
		t.Run(name, func(t *testing.T) {
			tensors, err := open(name, testkit.Fixture(t, ".", name))
			if err != nil {
				t.Fatal(err)
			}
			got := testkit.Rows(t, tensors)
			if strings.HasSuffix(name, ".safetensors") { // its writer orders by dtype and name
				byName := map[string]testkit.Row{}
				for _, r := range got {
					byName[r.Name] = r
				}
				got = nil
				for _, w := range want {
					got = append(got, byName[w.Name])
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%d tensors, want %d", len(got), len(want))
			}
			for i := range want {
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Errorf("got  %+v\nwant %+v", got[i], want[i])
				}
			}
		})
	}
}

// A whole pickled model has the classes of its layers, where names and shapes would
// mislead.
func TestClassesFromTheFile(t *testing.T) {
	for _, file := range []string{"module.pt", "module-checkpoint.pt"} {
		_, r, err := convert(t, testkit.Fixture(t, ".", file),
			`{"global_config":{"weight_dtype":"int4"},"module_type_configs":{"ConvTranspose2d":{"weight_dtype":"int8"}}}`,
			container.Options{To: "int8"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"up.weight":            "ConvTranspose2d file int8 [1 8 1 1]",
			"lookup.weight":        "Embedding file embedding: coremltools keeps these",
			"embed.weight":         "Linear file int4 [8 1]",
			"twin.weight":          "Linear file int4 [8 1]",
			"norm.weight":          "BatchNorm2d file BatchNorm2d: coremltools keeps these",
			"attn.in_proj_weight":  "MultiheadAttention file int4 [24 1]",
			"attn.out_proj.weight": "MultiheadAttention file int4 [8 1]",
			"attn.out_proj.bias":   "  bias",
			"cell.weight_ih":       "LSTMCell file LSTMCell: coremltools keeps these",
			"kept":                 "Sequential file Sequential: coremltools keeps these",
		}
		seen := 0
		for _, row := range r.Tensors {
			got := row.ModuleType + " " + string(row.TypeSource) + " " + row.Reason
			if row.Scheme != nil {
				got = fmt.Sprintf("%s %s %s %v", row.ModuleType, string(row.TypeSource), row.Scheme.WeightDType,
					row.Scheme.ScaleShape)
			}
			if w, ok := want[row.Name]; ok {
				seen++
				if got != w {
					t.Errorf("%s: %s: %q, want %q", file, row.Name, got, w)
				}
			}
		}
		if seen != len(want) {
			t.Errorf("%s: %d of %d tensors are there", file, seen, len(want))
		}
		if note := r.Notes[len(r.Notes)-1]; note != "the file holds a whole model "+
			"(torch.nn.modules.container.Sequential); its code, settings and non-persistent buffers are left out" {
			t.Errorf("note %q", note)
		}
	}
}

func TestSaysWhatItLeavesOut(t *testing.T) {
	c, err := quant.Open([]*tensor.File{testkit.File("x", testkit.Fixture(t, ".", "wrapped-model.ckpt"))}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"epoch (an integer) is not part of the state dict and is left out",
		"optimizer (a dict of 2) is not part of the state dict and is left out",
		"note (text) is not part of the state dict and is left out",
		"ema (a tensor) is not part of the state dict and is left out",
	}
	if !reflect.DeepEqual(c.State.Notes, want) {
		t.Errorf("notes %q\nwant  %q", c.State.Notes, want)
	}
}

// The state dicts that PostTrainingQuantizer made of ptq-in.pt, key for key, in order,
// bit for bit.
func TestEqualsPostTrainingQuantizer(t *testing.T) {
	index := testkit.ReadIndex(t, ".")
	if len(index.PTQ) != 3 {
		t.Fatalf("%d recipes, want 3", len(index.PTQ))
	}
	in := testkit.Fixture(t, ".", "ptq-in.pt")
	for _, x := range index.PTQ {
		t.Run(string(x.Config), func(t *testing.T) {
			out, _, err := convertWith(t, in, string(x.Config), recipe.Options{CoremltoolsSkips: true},
				container.Options{To: "coremltools"}, 2)
			if err != nil {
				t.Fatal(err)
			}
			tensors, err := open("out.pt", out)
			if err != nil {
				t.Fatal(err)
			}
			got := testkit.Rows(t, tensors)
			if len(got) != len(x.Tensors) {
				t.Fatalf("%d tensors, want %d", len(got), len(x.Tensors))
			}
			for i, want := range x.Tensors {
				if !reflect.DeepEqual(got[i], want) {
					t.Errorf("got  %+v\nwant %+v", got[i], want)
				}
			}
		})
	}
}

// Five models of every layer type, in float32 and float16, under recipes of every kind:
// one digest of PostTrainingQuantizer's state dict each, in its order.
func TestEqualsPostTrainingQuantizerOnEveryLayer(t *testing.T) {
	index := testkit.ReadIndex(t, ".")
	if len(index.Digests) != 44 {
		t.Fatalf("%d digests, want 44", len(index.Digests))
	}
	for _, x := range index.Digests {
		t.Run(x.File+string(x.Config), func(t *testing.T) {
			asked := recipe.Options{CoremltoolsSkips: true}
			for _, text := range x.Types {
				rule, err := recipe.ParseType(text)
				if err != nil {
					t.Fatal(err)
				}
				asked.Types = append(asked.Types, rule)
			}
			out, _, err := convertWith(t, testkit.Fixture(t, ".", x.File), string(x.Config), asked,
				container.Options{To: "coremltools"}, 2)
			if err != nil {
				t.Fatal(err)
			}
			tensors, err := open("out.pt", out)
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			rows := testkit.Rows(t, tensors)
			for _, r := range rows {
				fmt.Fprintf(h, "%s %s %s %s\n", r.Name, r.DType, strings.ReplaceAll(fmt.Sprint(r.Shape), " ", ", "), r.SHA256)
			}
			if got := hex.EncodeToString(h.Sum(nil)); len(rows) != x.Tensors || got != x.SHA256 {
				t.Errorf("%d tensors with digest %s, want %d with %s: ./build.sh oracle says which differ", len(rows), got,
					x.Tensors, x.SHA256)
			}
		})
	}
}

// Tensors that were one view of one storage stay one in a .pt.
func TestTiedTensorsAreWrittenOnce(t *testing.T) {
	out, _, err := convert(t, testkit.Fixture(t, ".", "views.pt"), coremltools.Default,
		container.Options{To: "coremltools"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := open("out.pt", out)
	if err != nil {
		t.Fatal(err)
	}
	storage := map[string]tensor.Storage{}
	for _, x := range tensors {
		storage[x.Name] = x.Storage
	}
	if storage["whole"] != storage["twin"] || storage["whole"] == storage["rows"] {
		t.Errorf("storages %v", storage)
	}
}

// Real readers view values in place: each must begin at a multiple of its size.
func TestOutputsAreAligned(t *testing.T) {
	in := testkit.Torch(
		testkit.F32("a.weight", []int64{5, 33}, 1, 2, 3), testkit.F32("b.weight", []int64{7, 64}, 3, 4, 5),
		testkit.Weight{Name: "byte", DType: tensor.U8, Shape: []int64{3}, Values: []byte{1, 2, 3}},
		testkit.F32("c.weight", []int64{1, 3, 3}, 1, 2), testkit.F32("d", []int64{3}, 1))
	for _, config := range recipes {
		for _, o := range outputs {
			out, _, err := convert(t, in, config, o, 1)
			if err != nil {
				t.Fatal(err)
			}
			tensors, err := open("out", out)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range tensors {
				size := x.DType.Size()
				if o.To == "coremltools" {
					size = 64
				}
				if x.Elements() > 0 && x.Storage.Start%size != 0 {
					t.Errorf("%s %+v: %s begins at %d", config, o, x.Name, x.Storage.Start)
				}
			}
		}
	}
}

// The figures of the report against their definitions, over the floats that the file
// really holds.
func TestFigures(t *testing.T) {
	values := []float32{0.3, -0.11, 0.07, 0.5, -0.49, 0.02, 0.13, -0.3, 0.21}
	in := testkit.Safetensors(testkit.F32("a.weight", []int64{8, 64}, values...),
		testkit.F32("b.weight", []int64{8, 64}, 0))
	out, r, err := convert(t, in, coremltools.Default, container.Options{To: "coremltools"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := open("out.pt", out)
	if err != nil {
		t.Fatal(err)
	}
	x := tensors[0]
	got := tensor.View[float32](append(tensor.Buffer(nil, int(x.Bytes()))[:0], out[x.Storage.Start:x.Storage.End]...))
	var noise, signal, cross, other, most float64
	for i, d := range got {
		w := float64(values[i%len(values)])
		e := w - float64(d)
		noise, signal, cross, other, most = noise+e*e, signal+w*w, cross+w*float64(d), other+float64(d)*float64(d), max(most,
			math.Abs(e))
	}
	near := func(what string, got *float64, want float64) {
		if got == nil || math.Abs(*got-want) > 1e-7*math.Abs(want) {
			t.Errorf("%s is %v, want %g", what, got, want)
		}
	}
	a := r.Tensors[0]
	near("rmse", a.RMSE, math.Sqrt(noise/float64(len(got))))
	near("sqnr_db", a.SQNR, 10*math.Log10(signal/noise))
	near("cosine", a.Cosine, cross/math.Sqrt(signal*other))
	near("max_abs_error", a.MaxAbsError, most)
	near("total rmse", r.Totals.RMSE, math.Sqrt(noise/float64(2*len(got))))
	// A weight of zeros is met exactly.
	if b := r.Tensors[1]; b.RMSE == nil || *b.RMSE != 0 || b.SQNR != nil || *b.Cosine != 1 {
		t.Errorf("zeros: %+v", b.Figures)
	}
}
