// Command write makes every broken file in a folder of its own, and index.json, which says
// what to open in each and what the core says of it. The page's tests run it.
//
//	go run ./quant/testkit/broken/write FOLDER
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"nibble/quant"
	"nibble/quant/tensor"
	"nibble/quant/testkit/broken"
)

// row is one case of index.json.
type row struct {
	Name    string   `json:"name"`
	Folder  string   `json:"folder"` // of the case
	Files   []string `json:"files"`  // in it
	Message string   `json:"message"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "write takes a folder")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(folder string) error {
	var index []row
	for i, c := range broken.All() {
		r := row{Name: c.Name, Folder: fmt.Sprintf("%03d", i)}
		var files []*tensor.File
		for _, p := range append([]broken.Part{{Name: c.File, Make: c.Make}}, c.Also...) {
			b := p.Make()
			path := filepath.Join(folder, r.Folder, p.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				return err
			}
			r.Files = append(r.Files, p.Name)
			files = append(files, &tensor.File{Name: p.Name, Size: int64(len(b)), R: bytes.NewReader(b)})
		}
		_, err := quant.Open(files, quant.Options{})
		if err == nil {
			return fmt.Errorf("%s opens", c.Name)
		}
		r.Message = err.Error()
		index = append(index, r)
	}
	text, err := json.MarshalIndent(index, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "index.json"), text, 0o644)
}
