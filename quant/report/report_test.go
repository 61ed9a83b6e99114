package report

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/plan"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// sample is a report with names that mean harm.
func sample() *Report {
	h := kernel.NewHistogram(1)
	kernel.Count(h, []float32{-0.5, 0.25, 0.1, 0}, []float32{-0.5, 0.3, 0.1, 0})
	folded := newAdvice("fold_weight_norm", true, "fold <them>:\nfor m in x: y")
	folded.Python = "for m in x: y"
	r := &Report{
		Inputs: []File{{Name: "<script>alert(1)</script>.pt", Bytes: 1234567, Format: "PyTorch zip"}},
		Output: File{Name: "o", Bytes: 99, Format: "packed"},
		Recipe: []byte(`{"module_name_configs":{"</pre><img src=x>":null}}`),
		Tensors: []Tensor{
			{Name: `=cmd|"/c calc"!A1`, Shape: []int64{2, 2}, DType: "F32", ModuleType: "Linear", Verdict: "quantize",
				Rule: "global_config", Parameters: 4,
				Scheme: &Scheme{WeightDType: "uint4", Granularity: "per_block", Mode: "affine", BlockSize: []int64{1, 2}}},
			{Name: "a</td><b>", Shape: []int64{3}, DType: "F16", Verdict: "keep", Reason: `bias & "more"`, Parameters: 3},
		},
		Advice: []Advice{newAdvice("ios18", false, "needs <iOS 18>"), folded},
	}
	r.Totals.Tensors, r.Totals.Quantized, r.Totals.Parameters = 2, 1, 7
	r.Totals.Weights, r.Totals.LeftOut = 1234567, 2000
	r.Warnings = []Warning{{About: noise, Text: "1 layer is <below> 12 dB", Names: []string{"a"}}}
	r.Fill(0, kernel.Errors{Count: 4, Signal: 1, Noise: 0.0025, Approximated: 1, Max: 0.05}, h)
	r.Fill(1, kernel.Errors{}, nil)
	r.Sum()
	return r
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if err := sample().CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"name", "error", "#params", "dtype", "sqnr_db", "cosine", "max_abs_error", "verdict", "source_dtype", "shape",
			"module_type", "module_type_source", "rule", "reason", "granularity", "quantization_scheme", "block_size",
			"bytes_in", "bytes_out"},
		{`'=cmd|"/c calc"!A1`, "0.025", "4", "uint4", "26.02059991327962", "0.99875", "0.05", "quantize", "F32", "2 x 2",
			"Linear", "", "global_config", "", "per_block", "affine", "1 x 2", "0", "0"},
		{"a</td><b>", "", "3", "", "", "", "", "keep", "F16", "3", "", "", "", `bias & "more"`, "", "", "", "0", "0"},
		{"total", "0.025", "7", "", "26.02059991327962", "0.99875", "0.05", "1 of 2 quantized", "", "", "", "", "", "", "",
			"", "", "0", "0"},
	}
	for i := range want {
		if strings.Join(rows[i], "|") != strings.Join(want[i], "|") {
			t.Errorf("line %d:\n%q\nwant\n%q", i, rows[i], want[i])
		}
	}
}

// The page needs nothing from elsewhere, runs nothing, and shows names as names.
func TestHTML(t *testing.T) {
	var b bytes.Buffer
	if err := sample().HTML(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, wanted := range []string{
		"<h1>&lt;script&gt;alert(1)&lt;/script&gt;.pt</h1>", "1.2 MB → 99 B", "<dt>error (RMSE)</dt><dd>0.025</dd>",
		"<dt>SQNR</dt><dd>26.02 dB</dd>",
		"<h3>=cmd|&#34;/c calc&#34;!A1</h3>", "uint4 affine per_block 1 × 2", "<li>needs &lt;iOS 18&gt;</li>",
		"<li>1 layer is &lt;below&gt; 12 dB</li>", "2.0 kB of other parts",
		"<li>fold &lt;them&gt;:<pre>for m in x: y</pre></li>", "<td>a&lt;/td&gt;&lt;b&gt;</td>", "&lt;img src=x&gt;",
		`<path class="before" d="M0 84V0.0H`, `<path class="after" d="M`, "<span>-0.5</span>", "default-src 'none'",
	} {
		if !strings.Contains(text, wanted) {
			t.Errorf("it lacks %q", wanted)
		}
	}
	for _, unwanted := range []string{"<script", "<img", "http:", "https:", "url(", "<link", "%!"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("it holds %q", unwanted)
		}
	}
}

// A histogram of a sample says so.
func TestDrawingOfASample(t *testing.T) {
	var weights []float32
	for i := range 20 {
		weights = append(weights, float32(5*i))
	}
	h := kernel.NewHistogram(5)
	kernel.Count(h, weights, weights)
	if text := drawing(h); !strings.Contains(text, "<span>one weight in 5</span>") ||
		!strings.Contains(text, "<span>0</span>") {
		t.Errorf("drawn as %s", text)
	}
	if drawing(nil) != "" || drawing(kernel.NewHistogram(1)) != "" {
		t.Error("nothing is drawn")
	}
}

func TestForms(t *testing.T) {
	for name, ok := range map[string]bool{"a.json": true, "A.HTML": true, "a.csv": true, "a.txt": false, "json": false} {
		if _, err := Form(name); (err == nil) != ok || !ok && fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdvice(t *testing.T) {
	weight := &tensor.Tensor{Name: "a.weight", DType: tensor.F32, Shape: []int64{8, 8}}
	entry := func(d scheme.WeightDType, g scheme.Granularity) plan.Entry {
		return plan.Entry{Weight: plan.Weight{Tensor: weight},
			Verdict: plan.Verdict{Quantize: true, Scheme: scheme.Scheme{WeightDType: d, Granularity: g}}}
	}
	kept := plan.Entry{Weight: plan.Weight{Tensor: weight}, Verdict: plan.Keep(plan.IsEmbed)}
	for _, c := range []struct {
		entries []plan.Entry
		want    string
	}{
		{nil, ""},
		{[]plan.Entry{kept, entry("int8", "per_channel")}, "ios16"},
		{[]plan.Entry{entry("uint8", "per_block")}, "ios18 gpu"},
		{[]plan.Entry{entry("int4", "per_block")}, "ios18 gpu"},
		{[]plan.Entry{entry("int4", "per_tensor")}, "ios18 coarse"},
		{[]plan.Entry{kept, kept, entry("int8", "per_channel")}, "mostly_embedding ios16"},
		{[]plan.Entry{entry("uint4", "per_block"), entry("int4", "per_channel"), entry("int8", "per_tensor")},
			"ios18 gpu coarse"},
	} {
		var got []string
		for _, a := range allAdvice(&plan.Plan{Policy: &coremltools.Recipe{}, Entries: c.entries}) {
			got = append(got, a.About)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("got %v, want %s", got, c.want)
		}
	}
}
