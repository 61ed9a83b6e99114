// Command readers prints what Nibble reads of files: for each path on standard input one line of JSON with
// the tensors' names, types, shapes and the sha256 of their values laid out densely, or with the error. Of a file that
// holds several models, of which Nibble asks which is meant, each is read.
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
	Models  [][][]any `json:"models"` // of each model its tensors: name, type, shape, sha256
	Error   string    `json:"error"`
	Kind    string    `json:"kind"` // "" where the error is no fault
	Seconds float64   `json:"seconds"`
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
	files := []*tensor.File{{Name: path, Size: info.Size(), R: f}}
	m, err := quant.Open(files, quant.Options{})
	if err != nil {
		return failed(err)
	}
	meant := []*model.Model{m}
	if len(m.State.Tensors) == 0 && len(m.State.Parts) > 0 {
		meant = nil
		for _, p := range m.State.Parts {
			one, err := quant.Open(files, quant.Options{Parts: []string{p.Name}})
			if err != nil {
				return failed(err)
			}
			meant = append(meant, one)
		}
	}
	var r result
	for _, m := range meant {
		tensors, err := values(m)
		if err != nil {
			return failed(err)
		}
		r.Models = append(r.Models, tensors)
	}
	return r
}

func failed(err error) result { return result{Error: err.Error(), Kind: string(fault.KindOf(err))} }

// mostElements bounds the tensors that are laid out, for one of a file that says little.
const mostElements = 1 << 24

func values(m *model.Model) ([][]any, error) {
	tensors := [][]any{}
	for i := range m.State.Tensors {
		t := &m.State.Tensors[i]
		if t.Elements() > mostElements {
			return nil, fmt.Errorf("%s has %d elements", t.Name, t.Elements())
		}
		b, err := plain.Read(t)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		tensors = append(tensors, []any{t.Name, t.DType.String(), append([]int64{}, t.Shape...), hex.EncodeToString(sum[:])})
	}
	return tensors, nil
}
