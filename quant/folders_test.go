package quant_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/layout"
	"nibble/quant/protocol"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// Transformers and MLX look for the one file of a folder under one name, whatever the source was called.
func TestTheOneFileIsFound(t *testing.T) {
	weight := matrix("model.layers.0.a.weight", 64, 128)
	for source, text := range map[string][]byte{
		"m/checkpoint.pt": testkit.Torch(weight), "m/model.fp16.safetensors": testkit.Safetensors(weight),
		"m/pytorch_model.bin": testkit.Torch(weight), "m/model.safetensors": testkit.Safetensors(weight),
	} {
		files := []*tensor.File{testkit.File(source, text),
			testkit.File("m/config.json", []byte(`{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}`))}
		for _, o := range []quant.Options{{}, {Target: "vllm"}, {Target: "mlx"}, {Container: "packed"}} {
			names := slices.Sorted(maps.Keys(convertFolder(t, files, o)))
			if got := strings.Join(names, " "); got != "config.json model.safetensors" {
				t.Errorf("%s for %q became %s", source, o.Target, got)
			}
		}
	}
}

// What a place does not run is refused by name, or warned about where nothing is known of it.
func TestFamiliesOfMLX(t *testing.T) {
	weight := matrix("model.layers.0.a.weight", 64, 128)
	for config, want := range map[string]string{
		`"architectures": ["LlamaForCausalLM"], "model_type": "llama"`:                  "",
		`"architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2"`:                  "not tried",
		`"architectures": ["LlamaForSequenceClassification"], "model_type": "llama"`:    "that make text",
		`"architectures": ["LlamaModel"], "model_type": "llama"`:                        "that make text",
		`"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"`:                    "are turned",
		`"architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next"`:         "are stacked",
		`"architectures": ["Ernie4_5_MoeForCausalLM"], "model_type": "ernie4_5_moe"`:    "are stacked",
		`"architectures": ["BailingMoeForCausalLM"], "model_type": "bailing_moe"`:       "is normalised",
		`"architectures": ["BertForMaskedLM"], "model_type": "bert"`:                    "that make text",
		`"architectures": ["NewForCausalLM"], "model_type": "new"`:                      "no model of the type new",
		`"architectures": ["NewForCausalLM"]`:                                           "names no model_type",
		`"architectures": ["MiniMaxM2ForCausalLM"], "model_type": "minimax_m2", "x": 1`: "are stacked",
	} {
		j, err := quant.Plan(openAll(t, folderOf(t, "{"+config+"}", 1, weight)), quant.Options{Target: "mlx"})
		got := ""
		switch {
		case err != nil && fault.CodeOf(err) != fault.FamilyRefused:
			t.Errorf("%s: %v", config, err)
		case err != nil:
			got = err.Error()
		default:
			for _, w := range j.Report().Warnings {
				if w.About == layout.NotTried {
					got = w.Text
				}
			}
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}

// A config that cannot be read is an error where one is wanted, and so is one that is left out.
func TestNoConfig(t *testing.T) {
	weight := matrix("model.layers.0.a.weight", 64, 128)
	broken := folderOf(t, `{"architectures": ["LlamaForCausalLM"], "a": {"b": 1, "b": 2}}`, 1, weight)
	for _, o := range []quant.Options{{Target: "transformers"}, {Target: "mlx"}, {Container: "mlx"}} {
		if _, err := quant.Plan(openAll(t, broken), o); fault.KindOf(err) != fault.Format ||
			!strings.Contains(err.Error(), "duplicate") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	j, err := quant.Plan(openAll(t, broken), quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if w := j.Report().Warnings; len(w) != 1 || w[0].About != layout.NoConfig {
		t.Errorf("a folder that nothing opens is warned of by %+v", w)
	}
	m := openAll(t, folderOf(t, `{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}`, 1, weight))
	m.LeaveOut(func(string) string { return "is a link" })
	for _, target := range []string{"transformers", "mlx"} {
		if _, err := quant.Plan(m, quant.Options{Target: target}); fault.CodeOf(err) != fault.NeedsFolder {
			t.Errorf("a config that is left out: %v", err)
		}
	}
}

// A config that only says where it is for leaves the numbers to the place; one that says more is obeyed.
func TestConfigOfAPlace(t *testing.T) {
	weight := matrix("model.layers.0.a.weight", 64, 128)
	files := folderOf(t, `{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}`, 1, weight)
	for config, want := range map[string]string{
		`{"nibble": {"for": "mlx"}}`:                                      "mlx uint4 affine per_block 64",
		`{"nibble": {"for": "transformers"}}`:                             "minmax int4 symmetric per_block 128",
		`{"global_config": {}, "nibble": {"for": "vllm"}}`:                "minmax int8 symmetric per_channel",
		`{"module_name_configs": {"a": null}, "nibble": {"for": "vllm"}}`: "no rule of the recipe names it",
	} {
		if got := becomes(t, files, quant.Options{Config: []byte(config)})[weight.Name]; got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}

// Experts are measured one by one, though they are written together; the figures are those of the conversion.
func TestMeasureExperts(t *testing.T) {
	var experts []testkit.Weight
	for i := range 3 {
		experts = append(experts, matrix(fmt.Sprintf("model.layers.0.mlp.experts.%d.up_proj.weight", i), 8, 64))
	}
	files := folderOf(t, `{"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"}`, 1, experts...)
	j, err := quant.Plan(openAll(t, files), quant.Options{Target: "mlx"})
	if err != nil {
		t.Fatal(err)
	}
	figures, err := quant.Measure(t.Context(), j, []string{experts[1].Name}, quant.Options{})
	if got := figures[experts[1].Name]; err != nil || got.RMSE == nil || *got.RMSE <= 0 {
		t.Errorf("%+v, %v", figures, err)
	}
}

// The name of a result says the codes that are in it.
func TestNameOfRelabelled(t *testing.T) {
	source := folderOf(t, `{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}`, 1,
		matrix("model.layers.0.a.weight", 64, 128))
	for dtype, want := range map[string]string{"int4": "packed-int4-mlx", "int8": "packed-int8-mlx"} {
		packed := asFiles(convertFolder(t, source, quant.Options{Global: quant.Words{DType: dtype}}))
		j, err := quant.Plan(openAll(t, packed), quant.Options{Target: "mlx"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := protocol.OutputName(j, &protocol.PlanRequest{}); got != want || err != nil {
			t.Errorf("%s: %s, %v", dtype, got, err)
		}
	}
}
