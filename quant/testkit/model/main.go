// Command model writes a checkpoint of a given size for benches: the weights of a language
// model, as shards of safetensors with an index, or as one file of torch.save. Values are
// the same for everyone.
//
//	go run ./quant/testkit/model -bytes 1e9 -dtype f32 -o FOLDER      (shards of 1 GB)
//	go run ./quant/testkit/model -bytes 1e9 -dtype bf16 -o FILE.pt
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"nibble/quant/format/safetensors"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

func main() {
	size := flag.Float64("bytes", 1e9, "about how many bytes")
	dtype := flag.String("dtype", "f32", "f32, bf16 or f16")
	width := flag.Int64("width", 0, "columns of a matrix; 0 is what the size calls for")
	out := flag.String("o", "", "a folder for shards, or a .pt file")
	flag.Parse()
	d, ok := tensor.ParseType(strings.ToUpper(*dtype))
	if !ok || *out == "" || !d.Weight() {
		flag.Usage()
		os.Exit(2)
	}
	items := weights(int64(*size), d, *width)
	write := writeShards
	if strings.HasSuffix(*out, ".pt") {
		write = writeTorch
	}
	if err := write(*out, items); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// weights are an embedding and layers of two matrices and a norm.
func weights(size int64, d tensor.Type, width int64) (items []safetensors.Item) {
	if width == 0 {
		width = 4096
		for width > 64 && width*width*8*d.Size() > size {
			width /= 2
		}
	}
	left := size
	add := func(name string, shape ...int64) {
		n, _ := tensor.Elements(shape)
		left -= n * d.Size()
		items = append(items, safetensors.Item{Name: name, DType: d, Shape: shape})
	}
	add("model.embed_tokens.weight", 4*width, width)
	for layer := 0; left > 0; layer++ {
		rows := min(4*width, max(left/(width*d.Size()), 64))
		add(fmt.Sprintf("model.layers.%d.mlp.up_proj.weight", layer), rows, width)
		add(fmt.Sprintf("model.layers.%d.norm.weight", layer), width)
	}
	return items
}

// values is an endless stream of weights of about the size that models have.
type values struct {
	pattern []byte
	at      int
}

func newValues(d tensor.Type) *values {
	f := make([]float32, 1<<22+4099)
	x := uint64(1)
	for i := range f {
		sum := 0.0 // of uniform numbers: almost normal
		for range 4 {
			x = x*6364136223846793005 + 1442695040888963407
			sum += float64(x>>40)/(1<<24) - 0.5
		}
		f[i] = float32(sum * 0.04)
	}
	v := &values{}
	switch d {
	case tensor.F32:
		v.pattern = tensor.Bytes(f)
	default:
		half := make([]uint16, len(f))
		for i, w := range f {
			if half[i] = tensor.F32ToBF16(w); d == tensor.F16 {
				half[i] = tensor.F32ToF16(w)
			}
		}
		v.pattern = tensor.Bytes(half)
	}
	return v
}

func (v *values) write(w io.Writer, n int64) error {
	for n > 0 {
		values := v.pattern[v.at:min(int64(len(v.pattern)), int64(v.at)+n)]
		if _, err := w.Write(values); err != nil {
			return err
		}
		n -= int64(len(values))
		v.at = (v.at + len(values)) % len(v.pattern)
	}
	return nil
}

func bytesOf(it safetensors.Item) int64 {
	n, _ := tensor.Elements(it.Shape)
	return n * it.DType.Size()
}

// writeShards cuts where a shard has a gigabyte.
func writeShards(folder string, items []safetensors.Item) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var shards [][]safetensors.Item
	size := int64(math.MaxInt64)
	for _, it := range items {
		if n := bytesOf(it); size+n > 1e9 || size == math.MaxInt64 {
			shards, size = append(shards, nil), 0
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], it)
		size += bytesOf(it)
	}
	where, v := map[string]string{}, newValues(items[0].DType)
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		err := create(filepath.Join(folder, name), func(w io.Writer) error {
			if _, err := w.Write(safetensors.Header(shard, map[string]string{"format": "pt"})); err != nil {
				return err
			}
			for _, it := range shard {
				where[it.Name] = name
				if err := v.write(w, bytesOf(it)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": where})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte("{}"), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "model.safetensors.index.json"), text, 0o644)
}

func writeTorch(path string, items []safetensors.Item) error {
	var saved []torch.Item
	var sizes []int64
	for i, it := range items {
		saved = append(saved, torch.Item{Name: it.Name, DType: it.DType, Shape: it.Shape, Key: i})
		sizes = append(sizes, bytesOf(it))
	}
	pickle, err := torch.Pickle(saved, nil)
	if err != nil {
		return err
	}
	v := newValues(items[0].DType)
	return create(path, func(w io.Writer) error {
		z, err := torch.LayArchive(pickle, sizes).Start(w)
		if err != nil {
			return err
		}
		for _, n := range sizes {
			storage, err := z.Storage()
			if err != nil {
				return err
			}
			if err := v.write(storage, n); err != nil {
				return err
			}
		}
		return z.Close()
	})
}

func create(path string, write func(w io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, 1<<20)
	if err := write(b); err != nil {
		f.Close()
		return err
	}
	if err := b.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
