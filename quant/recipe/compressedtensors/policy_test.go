package compressedtensors

import (
	"strings"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
)

// weights are float32 tensors, by name and shape.
type weights []struct {
	name  string
	shape []int64
}

// state makes a state dict of them.
func (w weights) state() *tensor.StateDict {
	s := &tensor.StateDict{}
	for _, x := range w {
		n, _ := tensor.Elements(x.shape)
		s.Tensors = append(s.Tensors, tensor.Tensor{Name: x.name, DType: tensor.F32, Shape: x.shape,
			Strides: tensor.DenseStrides(x.shape), Storage: tensor.Storage{End: 4 * n}})
	}
	return s
}

// verdicts are what becomes of each weight: its scheme, or why it is kept.
func (w weights) verdicts(t *testing.T, config string) map[string]string {
	t.Helper()
	if config == "" {
		config = string(Usual.Config())
	}
	r, err := coremltools.Parse("c", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(w.state(), New(r, "lm_head", 500), recipe.Options{For: "vllm"})
	if err != nil || p.Conflict != nil {
		t.Fatal(err, p.Conflict)
	}
	out := map[string]string{}
	for _, e := range p.Entries {
		out[e.Tensor.Name] = e.Reason.Text
		if e.Quantize {
			out[e.Tensor.Name] = e.Scheme.String()
			if e.Scheme.Method != Method || e.Grid.BlockRows != 1 {
				t.Errorf("%s: method %q, blocks of %d rows", e.Tensor.Name, e.Scheme.Method, e.Grid.BlockRows)
			}
		}
	}
	return out
}

// compare holds verdicts against those that are wanted.
func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %q, want %q", name, got[name], w)
		}
	}
}

// Linears are quantized, in the largest group that divides their inputs; all else is kept, with its reason.
func TestWhatIsQuantized(t *testing.T) {
	compare(t, weights{
		{"model.embed_tokens.weight", []int64{500, 256}}, {"lm_head.weight", []int64{500, 256}},
		{"text.decode.weight", []int64{500, 256}}, {"score.weight", []int64{2, 256}},
		{"model.layers.0.mlp.down_proj.weight", []int64{256, 384}}, {"model.layers.0.mlp.x_proj.weight", []int64{8, 96}},
		{"model.layers.0.mlp.y_proj.weight", []int64{8, 40}}, {"model.layers.0.mlp.z_proj.weight", []int64{8, 42}},
		{"model.layers.0.mlp.wide.weight", []int64{500, 128}}, {"model.norm.weight", []int64{256}},
		{"h.0.attn.c_attn.weight", []int64{256, 768}}, {"h.0.attn.c_attn.bias", []int64{768}},
		{"conv.weight", []int64{16, 16, 3, 3}}, {"attn.in_proj_weight", []int64{768, 256}},
		{"model.layers.0.mlp.experts.0.w2.weight", []int64{128, 128}}, {"model.layers.0.mlp.gate.weight", []int64{4, 128}},
	}.verdicts(t, ""), map[string]string{
		"model.embed_tokens.weight":              "Embedding: it is not read in 4 bits there",
		"lm_head.weight":                         "output head: kept, as is usual there",
		"text.decode.weight":                     "output head: kept, as is usual there", // a row for each token
		"score.weight":                           "output head: kept, as is usual there",
		"model.layers.0.mlp.down_proj.weight":    "int4 symmetric per_block 128",
		"model.layers.0.mlp.x_proj.weight":       "int4 symmetric per_block 32",
		"model.layers.0.mlp.y_proj.weight":       "int4 symmetric per_block 8",
		"model.layers.0.mlp.z_proj.weight":       "its 42 inputs cannot be cut into groups of 128",
		"model.layers.0.mlp.wide.weight":         "int4 symmetric per_block 128", // in a block, so no head
		"model.norm.weight":                      "one number per channel or fewer (norm, running mean)",
		"h.0.attn.c_attn.weight":                 "Conv1D: it is not read in 4 bits there",
		"conv.weight":                            "Conv2d: it is not read in 4 bits there",
		"attn.in_proj_weight":                    "MultiheadAttention: it is not read in 4 bits there",
		"model.layers.0.mlp.experts.0.w2.weight": "int4 symmetric per_block 128",
		"model.layers.0.mlp.gate.weight": "router of a mixture of experts: kept, since small errors send tokens to other " +
			"experts; its type can be set to Linear",
	})
}

// Layers that are loaded as one get one scheme, the finest of them, or are all kept.
func TestFusedLayers(t *testing.T) {
	model := weights{
		{"l.0.attn.q_proj.weight", []int64{128, 128}}, {"l.0.attn.k_proj.weight", []int64{64, 128}},
		{"l.0.attn.v_proj.weight", []int64{64, 128}}, {"l.0.attn.o_proj.weight", []int64{128, 128}},
		{"l.0.mlp.gate_proj.weight", []int64{256, 128}}, {"l.0.mlp.up_proj.weight", []int64{256, 128}},
		{"l.1.attn.q_proj.weight", []int64{128, 128}}, {"l.1.attn.k_proj.weight", []int64{64, 128}},
		{"l.1.attn.v_proj.weight", []int64{64, 128}},
	}
	got := model.verdicts(t, `{"global_config": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 128},
		"module_name_configs": {
			"l.0.attn.v_proj": {"weight_dtype": "uint8", "granularity": "per_channel"},
			"l.0.attn.o_proj": {"weight_dtype": "int4", "granularity": "per_channel"},
			"l.0.mlp.up_proj": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 32},
			"l.1.attn.k_proj": null}}`)
	fused := `it is loaded as one weight with "l.1.attn.k_proj.weight", which is kept`
	compare(t, got, map[string]string{
		"l.0.attn.q_proj.weight": "int8 symmetric per_channel", "l.0.attn.k_proj.weight": "int8 symmetric per_channel",
		"l.0.attn.v_proj.weight": "int8 symmetric per_channel", "l.0.attn.o_proj.weight": "int4 symmetric per_channel",
		"l.0.mlp.gate_proj.weight": "int4 symmetric per_block 32", "l.0.mlp.up_proj.weight": "int4 symmetric per_block 32",
		"l.1.attn.q_proj.weight": fused, "l.1.attn.k_proj.weight": "the recipe keeps it", "l.1.attn.v_proj.weight": fused,
	})
}

// What compressed-tensors has no words for is refused, with what to do.
func TestRefused(t *testing.T) {
	for config, want := range map[string]string{
		`{"global_config": {"granularity": "per_tensor"}}`:                     "one scale for a whole tensor",
		`{"global_config": {"granularity": "per_block", "block_size": 4}}`:     "block_size [4] has no place",
		`{"global_config": {"granularity": "per_block", "block_size": [2,8]}}`: "reaches over several rows",
	} {
		r, err := coremltools.Parse("c", []byte(config))
		if err != nil {
			t.Fatal(err)
		}
		_, err = plan.Build(weights{{"a.weight", []int64{64, 64}}}.state(), New(r, "lm_head", 0), recipe.Options{})
		if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
}
