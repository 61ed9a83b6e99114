package model

import (
	"io"
	"slices"
	"strings"

	"nibble/quant/format/huggingface"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

// Unzipped is what lies in a zip of a model's folder, as a page without folders saves it: each file where it is stored.
// Any other file is itself.
func Unzipped(f *tensor.File) []*tensor.File {
	itself := []*tensor.File{f}
	head, err := headOf(f)
	if err != nil || !torch.Match(head, f.Size) {
		return itself
	}
	entries, err := torch.Directory(f)
	if err != nil {
		return itself
	}
	var files []*tensor.File
	folder := false
	for i := range entries {
		e := &entries[i]
		at, err := e.Place(f)
		if err != nil || !e.Stored() {
			return itself
		}
		folder = folder || strings.HasSuffix(e.Name, indexEnding) || slices.Contains(homes, e.Name) ||
			e.Name == huggingface.ConfigName
		files = append(files, &tensor.File{Name: e.Name, Size: e.Size, R: io.NewSectionReader(f.R, at, e.Size)})
	}
	if !folder {
		return itself
	}
	return files
}
