package checkpoint

import (
	"archive/zip"
	"io"

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
	r, err := torch.Bounded(f)
	if err != nil {
		return itself
	}
	z, err := zip.NewReader(r, f.Size)
	if err != nil {
		return itself
	}
	var files []*tensor.File
	index := false
	for _, e := range z.File {
		at, err := e.DataOffset()
		size := int64(e.UncompressedSize64)
		if err != nil || e.Method != zip.Store || size < 0 || at > f.Size-size {
			return itself
		}
		index = index || len(e.Name) > len(indexEnding) && e.Name[len(e.Name)-len(indexEnding):] == indexEnding
		files = append(files, &tensor.File{Name: e.Name, Size: size, R: io.NewSectionReader(f.R, at, size)})
	}
	if !index {
		return itself
	}
	return files
}
