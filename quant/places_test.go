package quant_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// folderOf is a model's folder: its config, and weights in so many shards.
func folderOf(t *testing.T, config string, shards int, weights ...testkit.Weight) (files []*tensor.File) {
	t.Helper()
	files = append(files, testkit.File("m/config.json", []byte(config)))
	if shards == 1 {
		return append(files, testkit.File("m/model.safetensors", testkit.Safetensors(weights...)))
	}
	where := map[string]string{}
	for i := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards)
		own := weights[i*len(weights)/shards : (i+1)*len(weights)/shards]
		for _, w := range own {
			where[w.Name] = name
		}
		files = append(files, testkit.File("m/"+name, testkit.Safetensors(own...)))
	}
	index, err := json.Marshal(map[string]any{"weight_map": where})
	if err != nil {
		t.Fatal(err)
	}
	return append(files, testkit.File("m/model.safetensors.index.json", index))
}

// becomes says what a plan makes of each weight: its scheme, or why it is kept.
func becomes(t *testing.T, files []*tensor.File, o quant.Options) map[string]string {
	t.Helper()
	m, err := quant.Open(files, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := quant.Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range j.Plan.Entries {
		out[e.Tensor.Name] = e.Reason.Text
		if e.Quantize {
			out[e.Tensor.Name] = strings.TrimSpace(e.Scheme.Method + " " + e.Scheme.String())
		}
	}
	return out
}

// matrix is a float32 weight.
func matrix(name string, shape ...int64) testkit.Weight {
	return testkit.F32(name, shape, 0.5, -1, 2, 0.25, 3)
}

// MLX gets every Linear and embedding that the group size divides; a tied head and routers go by the family.
func TestWhatMLXGets(t *testing.T) {
	weights := []testkit.Weight{
		matrix("model.embed_tokens.weight", 96, 128), matrix("lm_head.weight", 96, 128),
		matrix("model.layers.0.mlp.gate.weight", 4, 128), matrix("model.layers.0.mlp.experts.0.up_proj.weight", 8, 128),
		matrix("model.layers.0.mlp.x_proj.weight", 8, 96), matrix("model.layers.0.conv.weight", 8, 8, 3, 3),
		matrix("model.norm.weight", 128),
	}
	own, eight := "mlx uint4 affine per_block 64", "mlx uint8 affine per_block 64"
	tied := "tied to the embedding, which is read in its place: left out"
	router := "router of a mixture of experts: kept, since small errors send tokens to other experts; its type can be " +
		"set to Linear"
	for config, want := range map[string][3]string{ // embedding, head, router
		`"model_type": "llama"`:                                   {own, own, router},
		`"model_type": "llama", "tie_word_embeddings": false`:     {own, own, router},
		`"model_type": "llama", "tie_word_embeddings": true`:      {own, tied, router},
		`"model_type": "olmoe"`:                                   {own, own, own},
		`"model_type": "qwen3_moe", "tie_word_embeddings": false`: {own, own, eight},
	} {
		files := folderOf(t, `{"architectures": ["XForCausalLM"], `+config+`}`, 1, weights...)
		got := becomes(t, files, quant.Options{Target: "mlx"})
		for i, name := range []string{"model.embed_tokens.weight", "lm_head.weight", "model.layers.0.mlp.gate.weight"} {
			if got[name] != want[i] {
				t.Errorf("%s: %s: %q, want %q", config, name, got[name], want[i])
			}
		}
		if got["model.layers.0.mlp.x_proj.weight"] != "its 96 inputs cannot be cut into groups of 64" ||
			got["model.layers.0.conv.weight"] != "Conv2d: it is not read in 4 bits there" {
			t.Errorf("%s: %v", config, got)
		}
	}
}

func openAll(t *testing.T, files []*tensor.File) *quant.Model {
	t.Helper()
	m, err := quant.Open(files, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// config.json says what most modules have, and by name what others have; and whether the head is tied.
func TestWhatMLXReads(t *testing.T) {
	weights := []testkit.Weight{
		matrix("model.layers.0.mlp.gate.weight", 4, 64), matrix("model.layers.0.a.weight", 8, 64),
		matrix("model.layers.0.b.weight", 8, 64),
	}
	for head, want := range map[string]string{
		"": `{"architectures":["XForCausalLM"],"model_type":"qwen3_moe","tie_word_embeddings":true,"quantization":` +
			`{"group_size":64,"bits":4,"mode":"affine","model.layers.0.mlp.gate":{"group_size":64,"bits":8}},` +
			`"quantization_config":{"group_size":64,"bits":4,"mode":"affine","model.layers.0.mlp.gate":{"group_size":64,` +
			`"bits":8}}}`,
		"lm_head.weight": `{"architectures":["XForCausalLM"],"model_type":"qwen3_moe","tie_word_embeddings":false,` +
			`"quantization":{"group_size":64,"bits":4,"mode":"affine","model.layers.0.mlp.gate":{"group_size":64,"bits":8}},` +
			`"quantization_config":{"group_size":64,"bits":4,"mode":"affine","model.layers.0.mlp.gate":{"group_size":64,` +
			`"bits":8}}}`,
	} {
		all := weights
		if head != "" {
			all = append(all[:len(all):len(all)], matrix(head, 8, 64))
		}
		files := folderOf(t, `{"architectures": ["XForCausalLM"], "model_type": "qwen3_moe",
			"quantization_config": {"a": 1}}`, 1, append(all, matrix("model.layers.0.mlp.experts.0.up_proj.weight", 8, 64))...)
		var text bytes.Buffer
		if err := json.Compact(&text, convertFolder(t, files, quant.Options{Target: "mlx"})["config.json"]); err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if json.Unmarshal(text.Bytes(), &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil ||
			fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Errorf("%s, want %s", text.Bytes(), want)
		}
	}
}

// Experts that MLX wants in one tensor are stacked, in the order of their numbers, those that are kept, too, wherever
// the shards had them; verify agrees.
func TestStackedExperts(t *testing.T) {
	const config = `{"architectures": ["XForCausalLM"], "model_type": "qwen3_moe"}`
	var experts []testkit.Weight
	for _, n := range []int{2, 0, 1} {
		for _, layer := range []string{"up_proj", "down_proj"} {
			w := matrix(fmt.Sprintf("model.layers.0.mlp.experts.%d.%s.weight", n, layer), 8, 64)
			if layer == "down_proj" {
				w = matrix(w.Name, 8, 40)
			}
			for i := range w.Values {
				w.Values[i] ^= byte(n) << 2 // each has numbers of its own
			}
			experts = append(experts, w)
		}
	}
	for shards := 1; shards <= 3; shards++ {
		files := folderOf(t, config, shards, append(experts, matrix("model.layers.0.a.weight", 8, 64))...)
		out := convertFolder(t, files, quant.Options{Target: "mlx"})
		got := map[string][]byte{}
		for name, text := range out {
			if strings.HasSuffix(name, ".safetensors") {
				for name, x := range tensorsOf(t, text) {
					if strings.Contains(name, "switch_mlp") && (len(x.Shape) != 3 || x.Shape[0] != 3 || x.Shape[1] != 8) {
						t.Errorf("%s has the shape %v", name, x.Shape)
					}
					got[name] = x.Bytes
				}
			}
		}
		alone := map[string][]byte{} // each expert as any other layer
		for _, w := range experts {
			w.Name = strings.Replace(w.Name, "mlp.experts", "own", 1)
			single := convertFolder(t, folderOf(t, strings.Replace(config, "qwen3_moe", "llama", 1), 1, w,
				matrix("model.layers.0.a.weight", 8, 64)), quant.Options{Target: "mlx"})
			for name, x := range tensorsOf(t, single["model.safetensors"]) {
				alone[name] = x.Bytes
			}
		}
		for _, tail := range []string{"up_proj.weight", "up_proj.scales", "up_proj.biases", "down_proj.weight"} {
			var want []byte
			for n := range 3 {
				want = append(want, alone[fmt.Sprintf("model.layers.0.own.%d.%s", n, tail)]...)
			}
			if name := "model.layers.0.mlp.switch_mlp." + tail; len(want) == 0 || !bytes.Equal(got[name], want) {
				t.Errorf("%d shards: %s has %d bytes, or others than its %d", shards, name, len(got[name]), len(want))
			}
		}
		v, err := quant.Verify(t.Context(), asFiles(out), files, quant.Options{})
		if err != nil || !v.OK {
			t.Errorf("%d shards: verify: %+v, %v", shards, v, err)
		}
	}
	_, err := quant.Plan(openAll(t, folderOf(t, config, 1, experts[:4]...)), quant.Options{Target: "mlx"})
	if fault.KindOf(err) != fault.Format || !strings.Contains(err.Error(), "up to number 2, and only 2 of them") {
		t.Errorf("an expert is missing: %v", err)
	}
	other := matrix("model.layers.0.mlp.experts.3.up_proj.weight", 16, 64)
	_, err = quant.Plan(openAll(t, folderOf(t, config, 1, append(experts, other)...)), quant.Options{Target: "mlx"})
	if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), "the two differ in shape") {
		t.Errorf("an expert of another shape: %v", err)
	}
}

// What a plan of a folder chooses where little is said.
func TestWhereAFolderGoes(t *testing.T) {
	const named, bare = `{"architectures": ["XForCausalLM"], "model_type": "llama"}`, `{"model_type": "llama"}`
	for _, c := range []struct {
		config    string
		o         quant.Options
		place, to string
	}{
		{named, quant.Options{}, "transformers", "packed"},
		{named, quant.Options{Global: quant.Words{GroupSize: "32"}}, "transformers", "packed"},
		{named, quant.Options{Target: "vllm"}, "vllm", "packed"},
		{named, quant.Options{Container: "mlx"}, "mlx", "mlx"},
		{named, quant.Options{Container: "packed"}, "", "packed"},
		{named, quant.Options{Container: "int8"}, "", "int8"},
		{named, quant.Options{Config: []byte(quant.DefaultConfig)}, "", "packed"},
		{named, quant.Options{Config: []byte(`{"nibble": {"for": "mlx"}, "global_config": {"weight_dtype": "int4",
			"granularity": "per_block", "block_size": 64}}`)}, "mlx", "mlx"},
		{bare, quant.Options{}, "", "packed"},
	} {
		m := openAll(t, folderOf(t, c.config, 1, matrix("model.layers.0.a.weight", 64, 128)))
		j, err := quant.Plan(m, c.o)
		if err != nil || j.Plan.Options.For != c.place || j.Output.Container != c.to || !j.Folder() {
			t.Errorf("%s %+v: %v, want %q in %s", c.config, c.o, err, c.place, c.to)
		}
	}
}

// One checkpoint is a folder by its name, or by a config of a model beside it; not by a recipe of that name.
func TestWhenAFileIsAFolder(t *testing.T) {
	const model, recipe = `{"model_type": "llama"}`, `{"global_config": {"weight_dtype": "uint8"}}`
	text := testkit.Safetensors(matrix("a.weight", 64, 128))
	for _, c := range []struct {
		name, config string
		folder       bool
	}{
		{"m/model.safetensors", "", true}, {"m/model.safetensors", recipe, true}, {"m/x.safetensors", model, true},
		{"m/x.safetensors", recipe, false}, {"m/x.safetensors", "{", false}, {"m/x.safetensors", "", false},
	} {
		files := []*tensor.File{testkit.File(c.name, text)}
		if c.config != "" {
			files = append(files, testkit.File("m/config.json", []byte(c.config)))
		}
		m, err := quant.Open(files, quant.Options{Folder: true})
		if err != nil {
			t.Fatal(err)
		}
		if home := map[bool]string{true: "m", false: c.name}[c.folder]; m.Folder != c.folder || m.Home() != home {
			t.Errorf("%s beside %q: a folder %v, called %s", c.name, c.config, m.Folder, m.Home())
		}
	}
}
