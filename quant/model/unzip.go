package model

import (
	"io"
	"strings"

	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

// Unzipped is what lies in a zip of shards, as a page without folders saves them: each
// file where it is stored. Any other file is itself.
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
	index := false
	for i := range entries {
		e := &entries[i]
		at, err := e.Place(f)
		if err != nil || !e.Stored() {
			return itself
		}
		index = index || strings.HasSuffix(e.Name, indexEnding)
		files = append(files, &tensor.File{Name: e.Name, Size: e.Size, R: io.NewSectionReader(f.R, at, e.Size)})
	}
	if !index {
		return itself
	}
	return files
}
