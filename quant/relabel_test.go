package quant_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// asFiles are the files of an output, to be opened again.
func asFiles(out map[string][]byte) (files []*tensor.File) {
	for _, name := range slices.Sorted(maps.Keys(out)) {
		files = append(files, testkit.File("packed/"+name, out[name]))
	}
	return files
}

// A folder of compressed-tensors with symmetric codes becomes one of MLX with the same codes and scales, and offsets of
// -8 scales, or -128; the rest stays. Verify agrees.
func TestRelabelled(t *testing.T) {
	for name, words := range map[string]quant.Words{
		"usual": {}, "g32": {GroupSize: "32"}, "int8": {DType: "int8"},
	} {
		for _, source := range []string{"llama-bf16-g32", "qwen2-f32-tied-g32"} {
			t.Run(source+"/"+name, func(t *testing.T) {
				packed := convertFolder(t, folderFiles(t, filepath.Join(consumers, source, "src")),
					quant.Options{Target: "transformers", Global: words})
				files := asFiles(packed)
				out := convertFolder(t, files, quant.Options{Target: "mlx"})
				before, after := tensorsOf(t, packed["model.safetensors"]), tensorsOf(t, out["model.safetensors"])
				bits, count := 4, 0
				if words.DType == "int8" {
					bits = 8
				}
				for name, x := range before {
					module, isWords := strings.CutSuffix(name, ".weight_packed")
					if !isWords {
						continue
					}
					count++
					scale := before[module+".weight_scale"]
					if got := after[module+".weight"]; got.DType != tensor.U32 || !bytes.Equal(got.Bytes, x.Bytes) {
						t.Errorf("%s has other codes", module)
					}
					if got := after[module+".scales"]; got.DType != scale.DType || !bytes.Equal(got.Bytes, scale.Bytes) {
						t.Errorf("%s has other scales", module)
					}
					offsets, scales := floatsOf(after[module+".biases"].Bytes, scale.DType), floatsOf(scale.Bytes, scale.DType)
					for i := range offsets {
						if offsets[i] != -scales[i]*float32(int(1)<<(bits-1)) {
							t.Fatalf("%s: offset %d is %g, of a scale of %g", module, i, offsets[i], scales[i])
						}
					}
				}
				if count != 7 || len(after) != len(before) {
					t.Errorf("%d weights, %d tensors of %d", count, len(after), len(before))
				}
				v, err := quant.Verify(t.Context(), asFiles(out), files, quant.Options{Folder: true})
				if err != nil || !v.OK {
					t.Errorf("verify: %+v, %v", v, err)
				}
			})
		}
	}
}

// floatsOf are values as float32.
func floatsOf(raw []byte, d tensor.Type) []float32 {
	raw = append(tensor.Buffer(nil, len(raw))[:0], raw...)
	if d == tensor.F32 {
		return tensor.View[float32](raw)
	}
	out := make([]float32, len(raw)/2)
	kernel.Widen(out, tensor.View[uint16](raw), d == tensor.F16)
	return out
}

// What is quantized already is refused everywhere else, and where it has no exact form.
func TestAlreadyQuantized(t *testing.T) {
	source := folderFiles(t, filepath.Join(consumers, "llama-bf16-g32", "src"))
	folder := func(o quant.Options) []*tensor.File { return asFiles(convertFolder(t, source, o)) }
	usual := folder(quant.Options{})
	words := testkit.Weight{Name: "a.weight_packed", DType: tensor.I32, Shape: []int64{2, 8}, Values: make([]byte, 64)}
	order := testkit.Weight{Name: "a.weight_g_idx", DType: tensor.I32, Shape: []int64{64}, Values: make([]byte, 256)}
	scale := testkit.F32("a.weight_scale", []int64{2, 2}, 1)
	const config = `{"architectures": ["XForCausalLM"], "model_type": "llama",
		"quantization_config": {"format": "pack-quantized", "config_groups": {"a": {"targets": ["Linear"],
		"weights": {"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group", "group_size": 32,
		"actorder": "static"}}}}}`
	convertFolder(t, folderOf(t, config, 1, words, scale), quant.Options{Target: "mlx"}) // GPTQ's codes, in their places
	for name, c := range map[string]struct {
		files []*tensor.File
		asks  quant.Options
	}{
		"no place":        {usual, quant.Options{}},
		"its own place":   {usual, quant.Options{Target: "transformers"}},
		"another":         {usual, quant.Options{Container: "int8"}},
		"zero points":     {folder(quant.Options{Global: quant.Words{Scheme: "affine"}}), quant.Options{Target: "mlx"}},
		"groups of 16":    {folder(quant.Options{Global: quant.Words{GroupSize: "16"}}), quant.Options{Target: "mlx"}},
		"MLX's own":       {folder(quant.Options{Target: "mlx"}), quant.Options{Target: "mlx"}},
		"another order":   {folderOf(t, config, 1, words, scale, order), quant.Options{Target: "mlx"}},
		"one code a byte": {folder(quant.Options{Container: "int8"}), quant.Options{Target: "mlx"}},
	} {
		m, err := quant.Open(c.files, quant.Options{Folder: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := quant.Plan(m, c.asks); fault.CodeOf(err) != fault.AlreadyQuantized {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Codes in words are known by the bits and the shape of their weight, in folders of either form: there are as many
// parameters as the source has.
func TestBitsOfFolders(t *testing.T) {
	source := folderFiles(t, filepath.Join(consumers, "llama-bf16-g32", "src"))
	floats, err := quant.Open(source, quant.Options{Folder: true})
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for i := range floats.State.Tensors {
		total += floats.State.Tensors[i].Elements()
	}
	for name, o := range map[string]quant.Options{
		"mlx": {Target: "mlx", Global: quant.Words{GroupSize: "32"}}, "transformers": {},
		"eight": {Global: quant.Words{DType: "int8"}}, "affine": {Global: quant.Words{Scheme: "affine"}},
	} {
		m, err := quant.Open(asFiles(convertFolder(t, source, o)), quant.Options{Folder: true})
		if err != nil {
			t.Fatal(err)
		}
		bits, found := 4, 0
		if name == "eight" {
			bits = 8
		}
		parameters := map[string]int64{}
		for i := range m.State.Tensors {
			parameters[m.State.Tensors[i].Name] = m.State.Tensors[i].Elements()
		}
		for _, p := range m.Packed() {
			found++
			parameters[p.Words], _ = tensor.Elements(p.Shape)
			for _, name := range p.Beside() {
				delete(parameters, name)
			}
			if p.Module == "model.layers.0.mlp.down_proj" && !slices.Equal(p.Shape, []int64{64, 96}) || p.Bits != bits {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if found != m.Quantized.Weights || found < 7 {
			t.Errorf("%s: %d of %d", name, found, m.Quantized.Weights)
		}
		var sum int64
		for _, n := range parameters {
			sum += n
		}
		if sum != total {
			t.Errorf("%s: %d parameters of %d", name, sum, total)
		}
	}
}

// A model in shards that Nibble quantized is known as such, also where its first shard has nothing quantized.
func TestQuantizedShards(t *testing.T) {
	kept, weight := testkit.F32("a.weight", []int64{8}, 1), testkit.F32("b.weight", []int64{64, 64}, 1, 2, 3)
	index, err := json.Marshal(map[string]any{"weight_map": map[string]string{
		"a.weight": "model-00001-of-00002.safetensors", "b.weight": "model-00002-of-00002.safetensors"}})
	if err != nil {
		t.Fatal(err)
	}
	out := convertFolder(t, []*tensor.File{
		testkit.File("m/model-00001-of-00002.safetensors", testkit.Safetensors(kept)),
		testkit.File("m/model-00002-of-00002.safetensors", testkit.Safetensors(weight)),
		testkit.File("m/model.safetensors.index.json", index),
	}, quant.Options{})
	m, err := quant.Open(asFiles(out), quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Quantized == nil || m.Quantized.Weights != 1 {
		t.Errorf("it is quantized by %+v", m.Quantized)
	}
}
