// Package testkit opens the project's fixtures and vectors for tests, and builds
// checkpoints in memory. Missing data fails a test and never skips it.
//
//	vectors/   numbers computed by coremltools' own functions
//	fixtures/  small checkpoints made by torch, safetensors and coremltools
//	           (fixtures/make.py is the script, index.json what they hold)
//	oracle/    the comparison with the real tools, ./build.sh oracle
//	sample/    the page's sample checkpoint
package testkit

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"nibble/quant/format/safetensors"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Row is one tensor as index.json has it.
type Row struct {
	Name   string
	DType  string
	Shape  []int64
	SHA256 string
}

// Index is fixtures/index.json.
type Index struct {
	Files map[string][]Row
	PTQ   []struct {
		Config  json.RawMessage
		Tensors []Row
	}
	// Digests are over the lines "name dtype shape sha256" of what PostTrainingQuantizer
	// made of a file.
	Digests []struct {
		File    string
		Types   []string // what --module-type has to say
		Config  json.RawMessage
		Tensors int
		SHA256  string
	}
}

// ReadIndex reads it; root is the path from the test's folder to quant/.
func ReadIndex(t testing.TB, root string) Index {
	t.Helper()
	var x Index
	if err := json.Unmarshal(Fixture(t, root, "index.json"), &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// Fixture reads a file of fixtures/ whole.
func Fixture(t testing.TB, root, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "testkit", "fixtures", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// File makes an input of bytes in memory.
func File(name string, b []byte) *tensor.File {
	return &tensor.File{Name: name, Size: int64(len(b)), R: bytes.NewReader(b)}
}

// Rows reads every tensor through its tiles and describes it as index.json would.
func Rows(t testing.TB, tensors []tensor.Tensor) []Row {
	t.Helper()
	var rows []Row
	for i := range tensors {
		x := &tensors[i]
		h := sha256.New()
		for _, cut := range tile.Cut(x, 1, 1<<20) {
			b := make([]byte, cut.Size(x))
			if err := cut.Read(x, b, tile.Limits{}); err != nil {
				t.Fatal(err)
			}
			h.Write(b)
		}
		rows = append(rows, Row{x.Name, x.DType.String(), x.Shape, hex.EncodeToString(h.Sum(nil))})
	}
	return rows
}

// Weight is one tensor to be put in a checkpoint.
type Weight struct {
	Name   string
	DType  tensor.Type
	Shape  []int64
	Values []byte
}

// F32 makes a float32 weight; the values are repeated to fill the shape.
func F32(name string, shape []int64, values ...float32) Weight {
	n, _ := tensor.Elements(shape)
	all := make([]float32, n)
	for i := range all {
		all[i] = values[i%len(values)]
	}
	return Weight{name, tensor.F32, shape, tensor.Bytes(all)}
}

// Safetensors makes a file of weights.
func Safetensors(weights ...Weight) []byte { return SafetensorsWith(nil, weights...) }

// SafetensorsWith makes one with __metadata__.
func SafetensorsWith(metadata map[string]string, weights ...Weight) []byte {
	var items []safetensors.Item
	for _, w := range weights {
		items = append(items, safetensors.Item{Name: w.Name, DType: w.DType, Shape: w.Shape})
	}
	b := safetensors.Header(items, metadata)
	for _, w := range weights {
		b = append(b, w.Values...)
	}
	return b
}

// RawSafetensors makes a file of a header given as text and some bytes of data.
func RawSafetensors(header string, data int) []byte {
	b := []byte{byte(len(header)), byte(len(header) >> 8), byte(len(header) >> 16), 0, 0, 0, 0, 0}
	return append(append(b, header...), make([]byte, data)...)
}

// Zip makes a zip of stored entries, in the order of pairs of name and content.
func Zip(pairs ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: zip.Store})
		if err != nil {
			panic(err)
		}
		w.Write([]byte(pairs[i+1]))
	}
	z.Close()
	return b.Bytes()
}

// Torch makes a torch.save file of weights. Those of the same values, not equal ones, are one storage.
func Torch(weights ...Weight) []byte {
	var items []torch.Item
	var sizes []int64
	var storages [][]byte
	for _, w := range weights {
		key := slices.IndexFunc(storages, func(s []byte) bool {
			return len(s) > 0 && len(s) == len(w.Values) && &s[0] == &w.Values[0]
		})
		if key < 0 {
			key, storages = len(storages), append(storages, w.Values)
			sizes = append(sizes, int64(len(w.Values)))
		}
		items = append(items, torch.Item{Name: w.Name, DType: w.DType, Shape: w.Shape, Key: key})
	}
	pickle, err := torch.Pickle(items, nil)
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	z, err := torch.LayArchive(pickle, sizes).Start(&b)
	if err != nil {
		panic(err)
	}
	for _, values := range storages {
		storage, err := z.Storage()
		if err != nil {
			panic(err)
		}
		storage.Write(values)
	}
	z.Close()
	return b.Bytes()
}
