// Command sample writes the page's sample: a tiny transformer with random weights in
// safetensors, float32. It is synthetic and says so in its metadata; it stands for the
// shapes of a real one: embeddings, attention and feed-forward matrices, norms.
//
//	go run ./quant/testkit/sample FILE
package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"

	"nibble/quant/format/safetensors"
	"nibble/quant/tensor"
)

const (
	width      = 128
	layers     = 4
	vocabulary = 512
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "sample: name one file to write")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

// items are the tensors of a decoder-only transformer.
func items() []safetensors.Item {
	list := []safetensors.Item{matrix("model.embed_tokens.weight", vocabulary, width)}
	for i := range layers {
		at := fmt.Sprintf("model.layers.%d.", i)
		list = append(list, vector(at+"input_layernorm.weight", width))
		for _, name := range []string{"q", "k", "v", "o"} {
			list = append(list, matrix(at+"self_attn."+name+"_proj.weight", width, width))
		}
		list = append(list,
			vector(at+"post_attention_layernorm.weight", width),
			matrix(at+"mlp.gate_proj.weight", 3*width, width),
			matrix(at+"mlp.up_proj.weight", 3*width, width),
			matrix(at+"mlp.down_proj.weight", width, 3*width))
	}
	return append(list, vector("model.norm.weight", width), matrix("lm_head.weight", vocabulary, width))
}

func matrix(name string, rows, columns int64) safetensors.Item {
	return safetensors.Item{Name: name, DType: tensor.F32, Shape: []int64{rows, columns}}
}

func vector(name string, n int64) safetensors.Item {
	return safetensors.Item{Name: name, DType: tensor.F32, Shape: []int64{n}}
}

func write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	list := items()
	w.Write(safetensors.Header(list, map[string]string{"format": "pt",
		"about": "synthetic: random weights, made for trying Nibble"}))
	random := rand.New(rand.NewPCG(4, 8))
	for _, it := range list {
		n, _ := tensor.Elements(it.Shape)
		values := make([]float32, n)
		spread := 0.02 + 0.03*random.Float64()
		for i := range values {
			if len(it.Shape) == 1 {
				values[i] = float32(1 + 0.05*random.NormFloat64())
				continue
			}
			// A few weights of real models lie far out; one in 500 here.
			reach := 1.0
			if random.IntN(500) == 0 {
				reach = 4
			}
			values[i] = float32(random.NormFloat64() * spread * reach)
		}
		w.Write(tensor.Bytes(values))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
