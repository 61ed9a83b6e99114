package quant_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"nibble/quant"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/testkit/plain"
)

// consumers is the folder of models that Transformers and MLX opened, with what they made of them.
const consumers = "testkit/fixtures/consumers"

// folderFiles are the files of a folder, in memory.
func folderFiles(t *testing.T, dir string) (files []*tensor.File) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, testkit.File("model/"+e.Name(), text))
	}
	return files
}

// memoryFile is a file of an output.
type memoryFile struct{ bytes.Buffer }

func (*memoryFile) Close() error { return nil }

// convertFolder makes the output of a folder, by the names of its files.
func convertFolder(t *testing.T, files []*tensor.File, o quant.Options) map[string][]byte {
	t.Helper()
	m, err := quant.Open(files, quant.Options{Folder: true})
	if err != nil {
		t.Fatal(err)
	}
	j, err := quant.Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if !j.Folder() {
		t.Fatal("the output is no folder")
	}
	made := map[string]*memoryFile{}
	_, err = quant.ConvertTo(context.Background(), j, func(name string, _ int64) (io.WriteCloser, error) {
		made[name] = &memoryFile{}
		return made[name], nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for name, f := range made {
		out[name] = f.Bytes()
	}
	return out
}

// tensorsOf are the tensors of a safetensors file.
func tensorsOf(t *testing.T, text []byte) map[string]plain.Tensor {
	t.Helper()
	m, err := quant.Open([]*tensor.File{testkit.File("model.safetensors", text)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]plain.Tensor{}
	for i := range m.State.Tensors {
		x := &m.State.Tensors[i]
		raw, err := plain.Read(x)
		if err != nil {
			t.Fatal(err)
		}
		out[x.Name] = plain.Tensor{DType: x.DType, Shape: x.Shape, Bytes: raw}
	}
	return out
}

// placeOptions are the options that words of the command stand for.
func placeOptions(t *testing.T, words []string) (o quant.Options) {
	t.Helper()
	for i := 0; i+1 < len(words); i += 2 {
		field := map[string]*string{
			"--for": &o.Target, "--to": &o.Container, "--dtype": &o.Global.DType, "--scheme": &o.Global.Scheme,
			"--granularity": &o.Global.Granularity, "--group-size": &o.Global.GroupSize,
		}[words[i]]
		if field == nil {
			t.Fatalf("no option %s", words[i])
		}
		*field = words[i+1]
	}
	return o
}

// Folders have the quantization_config and the tensors of those that Transformers loaded with the logits of what the
// codes stand for (testkit/oracle, consumers.py goldens).
func TestFoldersThatTransformersLoaded(t *testing.T) {
	var goldens struct {
		Cases []struct {
			Source, Name string
			Words        []string
			Config       json.RawMessage
			Quantization any `json:"quantization_config"`
			Tensors      map[string]string
		}
	}
	text, err := os.ReadFile(filepath.Join(consumers, "ct.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &goldens); err != nil {
		t.Fatal(err)
	}
	if len(goldens.Cases) != 44 {
		t.Fatalf("%d goldens, want 44", len(goldens.Cases))
	}
	for _, c := range goldens.Cases {
		t.Run(c.Source+"/"+c.Name, func(t *testing.T) {
			o := placeOptions(t, c.Words)
			if string(c.Config) != "null" {
				o.Config = c.Config
			}
			out := convertFolder(t, folderFiles(t, filepath.Join(consumers, c.Source, "src")), o)
			var config map[string]any
			if err := json.Unmarshal(out["config.json"], &config); err != nil {
				t.Fatal(err)
			}
			if got := config["quantization_config"]; !reflect.DeepEqual(got, c.Quantization) {
				t.Errorf("quantization_config is\n%v, want\n%v", got, c.Quantization)
			}
			got := tensorsOf(t, out["model.safetensors"])
			if len(got) != len(c.Tensors) {
				t.Errorf("%d tensors, want %d", len(got), len(c.Tensors))
			}
			for name, want := range c.Tensors {
				sum := sha256.Sum256(got[name].Bytes)
				if digest := hex.EncodeToString(sum[:8]); digest != want {
					t.Errorf("%s has the digest %s, want %s", name, digest, want)
				}
			}
		})
	}
}

// Folders have the tensors of mlx_lm.convert -q, byte for byte, and say of them what it says.
func TestFoldersEqualMLX(t *testing.T) {
	for _, name := range []string{"llama-bf16-g32", "qwen2-f32-tied-g32"} {
		t.Run(name, func(t *testing.T) {
			source := folderFiles(t, filepath.Join(consumers, name, "src"))
			o := quant.Options{Target: "mlx", Global: quant.Words{GroupSize: "32"}}
			out := convertFolder(t, source, o)
			golden := map[string][]byte{}
			for _, f := range folderFiles(t, filepath.Join(consumers, name, "out")) {
				golden[filepath.Base(f.Name)], _ = io.ReadAll(io.NewSectionReader(f.R, 0, f.Size))
			}
			want, got := tensorsOf(t, golden["model.safetensors"]), tensorsOf(t, out["model.safetensors"])
			if len(want) < 20 || len(got) != len(want) {
				t.Fatalf("%d tensors, want %d", len(got), len(want))
			}
			for name, x := range want {
				y := got[name]
				if y.DType != x.DType || !slices.Equal(y.Shape, x.Shape) || !bytes.Equal(y.Bytes, x.Bytes) {
					t.Errorf("%s is %s %v, want %s %v, or has other bytes", name, y.DType, y.Shape, x.DType, x.Shape)
				}
			}
			var said, says map[string]any
			if json.Unmarshal(golden["config.json"], &said) != nil || json.Unmarshal(out["config.json"], &says) != nil {
				t.Fatal("a config.json is no JSON")
			}
			for _, key := range []string{"quantization", "quantization_config", "tie_word_embeddings"} {
				if !reflect.DeepEqual(said[key], says[key]) {
					t.Errorf("%s is %v, want %v", key, says[key], said[key])
				}
			}
		})
	}
}
