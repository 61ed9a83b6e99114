// Command readers prints what Nibble reads of files: for each path on standard input one line of JSON with
// the tensors' names, types, shapes and the sha256 of their values laid out densely, or with the error.
// `./build.sh oracle readers` holds it against torch and safetensors.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/model"
	"nibble/quant/tensor"
	"nibble/quant/testkit/plain"
)

// result is one line.
type result struct {
	Tensors [][]any `json:"tensors"` // name, type, shape, sha256
	Error   string  `json:"error"`
	Kind    string  `json:"kind"` // "" where the error is no fault
	Seconds float64 `json:"seconds"`
}

func main() {
	paths, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for paths.Scan() {
		began := time.Now()
		r := read(paths.Text())
		r.Seconds = time.Since(began).Seconds()
		if err := out.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func read(path string) result {
	f, err := os.Open(path)
	if err != nil {
		return result{Error: err.Error()}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return result{Error: err.Error()}
	}
	c, err := quant.Inspect([]*tensor.File{{Name: path, Size: info.Size(), R: f}})
	if err != nil {
		return result{Error: err.Error(), Kind: string(fault.KindOf(err))}
	}
	return values(c)
}

// mostElements bounds the tensors that are laid out, for one of a file that says little.
const mostElements = 1 << 24

func values(c *model.Model) result {
	r := result{Tensors: [][]any{}}
	for i := range c.State.Tensors {
		t := &c.State.Tensors[i]
		if t.Elements() > mostElements {
			return result{Error: fmt.Sprintf("%s has %d elements", t.Name, t.Elements())}
		}
		b, err := plain.Read(t)
		if err != nil {
			return result{Error: err.Error()}
		}
		sum := sha256.Sum256(b)
		r.Tensors = append(r.Tensors, []any{t.Name, t.DType.String(), append([]int64{}, t.Shape...), hex.EncodeToString(sum[:])})
	}
	return r
}
