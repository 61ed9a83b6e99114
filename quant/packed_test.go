package quant_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// packedConfig is that of a llama whose Linears have symmetric codes in groups of 32, with more in its
// quantization_config.
func packedConfig(more string) string { return groupedConfig("32", more) }

// groupedConfig is one of groups of another size.
func groupedConfig(size, more string) string {
	return `{"architectures": ["LlamaForCausalLM"], "model_type": "llama",
		"quantization_config": {"format": "pack-quantized", "config_groups": {"a": {"targets": ["Linear"], "weights": {
		"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group", "group_size": ` + size + `}}}` + more + `}}`
}

// integers is a tensor of little numbers.
func integers[N int32 | int64](name string, d tensor.Type, shape []int64, values ...N) testkit.Weight {
	n, _ := tensor.Elements(shape)
	all := make([]N, n)
	copy(all, values)
	return testkit.Weight{Name: name, DType: d, Shape: shape, Values: tensor.Bytes(all)}
}

// What the tensors of a folder of compressed-tensors say, and what its config says, must go together; each fault is
// refused at the plan, and nothing is guessed.
func TestPackedThatIsWrong(t *testing.T) {
	words := func(shape ...int64) testkit.Weight { return integers[int32]("a.weight_packed", tensor.I32, shape) }
	scale := func(shape ...int64) testkit.Weight { return testkit.F32("a.weight_scale", shape, 1) }
	says := func(shape ...int64) testkit.Weight {
		return integers("a.weight_shape", tensor.I64, []int64{int64(len(shape))}, shape...)
	}
	as := func(d tensor.Type) testkit.Weight {
		n, _ := d.Bytes(8)
		return testkit.Weight{Name: "a.weight_scale", DType: d, Shape: []int64{2, 4}, Values: make([]byte, n)}
	}
	ok := []testkit.Weight{words(2, 16), scale(2, 4), says(2, 128)}
	convertFolder(t, folderOf(t, packedConfig(""), 1, ok...), quant.Options{Target: "mlx"})
	for name, c := range map[string]struct {
		more    string
		weights []testkit.Weight
		want    fault.Kind
	}{
		"scales that are no numbers": {"", []testkit.Weight{words(2, 16), as(tensor.Bool)}, fault.Unsupported},
		"scales of one byte":         {"", []testkit.Weight{words(2, 16), as(tensor.F8E4M3)}, fault.Unsupported},
		"integers as scales":         {"", []testkit.Weight{words(2, 16), as(tensor.I32)}, fault.Unsupported},
		"scales in F64":              {"", []testkit.Weight{words(2, 16), as(tensor.F64)}, fault.Unsupported},
		"too many scales":            {"", []testkit.Weight{words(2, 16), scale(2, 99)}, fault.Unsupported},
		"too few scales":             {"", []testkit.Weight{words(2, 16), scale(2, 3)}, fault.Unsupported},
		"no scales":                  {"", []testkit.Weight{words(2, 16), scale(2, 0)}, fault.Unsupported},
		"no rows":                    {"", []testkit.Weight{words(0, 16), scale(0, 4)}, fault.Unsupported},
		"another shape":              {"", []testkit.Weight{words(2, 16), scale(2, 4), says(2, 123)}, fault.Format},
		"a shape of one axis":        {"", []testkit.Weight{words(2, 16), scale(2, 4), says(256)}, fault.Format},
		"turned activations":         {`, "transform_config": {"R1": {}}`, ok, fault.Unsupported},
		"a cache with scales":        {`, "kv_cache_scheme": {"num_bits": 8}`, ok, fault.Unsupported},
	} {
		m := openAll(t, folderOf(t, packedConfig(c.more), 1, c.weights...))
		if _, err := quant.Plan(m, quant.Options{Target: "mlx"}); fault.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []string{"256", "4611686018427387906", "9223372036854775807"} {
		m := openAll(t, folderOf(t, groupedConfig(size, ""), 1, words(2, 16), scale(2, 1)))
		if _, err := quant.Plan(m, quant.Options{Target: "mlx"}); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("groups of %s: %v", size, err)
		}
	}
}

// Codes that are there already leave nothing to choose: what a recipe asks for is refused, not ignored.
func TestNothingToChoose(t *testing.T) {
	files := folderOf(t, packedConfig(""), 1, integers[int32]("a.weight_packed", tensor.I32, []int64{2, 16}),
		testkit.F32("a.weight_scale", []int64{2, 4}, 1))
	for name, o := range map[string]quant.Options{
		"words":          {Global: quant.Words{GroupSize: "128"}},
		"an edit":        {Edits: []quant.Edit{{Module: "a"}}},
		"a config":       {Config: []byte(quant.DefaultConfig)},
		"embeddings":     {IncludeEmbeddings: true},
		"types":          {ModuleTypes: []string{"a=Linear"}},
		"keeping":        {KeepUnfit: true},
		"in a config":    {Config: []byte(`{"nibble": {"keep_unfit": true}}`)},
		"as coremltools": {CoremltoolsSkips: true},
	} {
		o.Target = "mlx"
		if _, err := quant.Plan(openAll(t, files), o); fault.CodeOf(err) != fault.CodesStay {
			t.Errorf("%s: %v", name, err)
		}
	}
	j, err := quant.Plan(openAll(t, files), quant.Options{Config: []byte(`{"nibble": {"for": "mlx"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	again, _, _ := j.Config()
	if _, err := quant.Plan(openAll(t, files), quant.Options{Config: again}); err != nil {
		t.Errorf("%s: %v", again, err)
	}
}

// Scales that have no offset in float16 are an error, and not kept.
func TestScalesTooLarge(t *testing.T) {
	scale := testkit.Weight{Name: "a.weight_scale", DType: tensor.F16, Shape: []int64{1, 2},
		Values: tensor.Bytes([]uint16{0x7b53, 0x3c00})} // 60000, 1
	m := openAll(t, folderOf(t, packedConfig(""), 1, integers[int32]("a.weight_packed", tensor.I32, []int64{1, 8}), scale))
	j, err := quant.Plan(m, quant.Options{Target: "mlx"})
	if err == nil {
		_, err = quant.Convert(t.Context(), j, &bytes.Buffer{}, quant.Options{})
	}
	if fault.CodeOf(err) != fault.Unfit {
		t.Errorf("%v", err)
	}
}

// Tensors that only have the names of packed weights stay what they are, in MLX's container, too.
func TestNamesOfPackedWeights(t *testing.T) {
	strangers := []testkit.Weight{integers[int64]("l.0.x.weight_shape", tensor.I64, []int64{2}, 3, 4),
		integers[int32]("l.0.y.weight_packed", tensor.I32, []int64{4, 4}, 1, 2, 3)}
	const config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}`
	for name, files := range map[string][]*tensor.File{
		"floats": folderOf(t, config, 1, append(strangers, matrix("l.0.a.weight", 8, 64))...),
		"codes": folderOf(t, packedConfig(""), 1, append(strangers[:1:1],
			integers[int32]("a.weight_packed", tensor.I32, []int64{1, 8}), testkit.F32("a.weight_scale", []int64{1, 2}, 1))...),
	} {
		source, out := map[string]bool{}, convertFolder(t, files, quant.Options{Target: "mlx"})
		for _, s := range openAll(t, files).State.Tensors {
			source[s.Name] = true
		}
		after := tensorsOf(t, out["model.safetensors"])
		for _, s := range strangers {
			if got := after[s.Name]; source[s.Name] && (got.DType != s.DType || !bytes.Equal(got.Bytes, s.Values)) {
				t.Errorf("%s: %s became %+v", name, s.Name, got)
			}
		}
		v, err := quant.Verify(t.Context(), asFiles(out), files, quant.Options{Folder: true})
		if err != nil || !v.OK {
			t.Errorf("%s: verify: %+v, %v", name, v, err)
		}
	}
}

// A head that is tied to the embedding is left out for MLX, which takes the embedding for it: in 4 bits, as it is
// where the head is not in the file.
func TestTiedHeadForMLX(t *testing.T) {
	const config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "tie_word_embeddings": true}`
	embedding := matrix("model.embed_tokens.weight", 8, 64)
	files := []*tensor.File{testkit.File("m/config.json", []byte(config)),
		testkit.File("m/pytorch_model.bin", testkit.Torch(embedding, testkit.Weight{Name: "lm_head.weight",
			DType: embedding.DType, Shape: embedding.Shape, Values: embedding.Values}))} // one storage
	out := convertFolder(t, files, quant.Options{Target: "mlx"})
	var names []string
	for name := range tensorsOf(t, out["model.safetensors"]) {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got !=
		"model.embed_tokens.biases model.embed_tokens.scales model.embed_tokens.weight" {
		t.Errorf("it has %s", got)
	}
	v, err := quant.Verify(t.Context(), asFiles(out), files, quant.Options{Folder: true})
	if err != nil || !v.OK {
		t.Errorf("verify: %+v, %v", v, err)
	}
}
