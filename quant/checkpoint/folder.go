package checkpoint

import (
	"io"
	"regexp"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

var shardName = regexp.MustCompile(`-\d{5}-of-(\d{5})\.`)

// isShard reports whether a name says that it is one part of several.
func isShard(name string) bool {
	m := shardName.FindStringSubmatch(name)
	return m != nil && m[1] != "00001"
}

// OpenOne opens the one checkpoint among several files, such as a dropped folder.
// Sharded models are not read yet and say so.
func OpenOne(files []*tensor.File) (*Checkpoint, error) {
	if len(files) == 1 {
		return Open(files[0])
	}
	var models []*tensor.File
	for _, f := range files {
		head := make([]byte, min(f.Size, 64))
		if _, err := io.ReadFull(io.NewSectionReader(f.R, 0, f.Size), head); err != nil {
			return nil, err
		}
		for _, row := range formats {
			if row.match(head, f.Size) {
				models = append(models, f)
				break
			}
		}
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".index.json") || len(models) > 0 && isShard(f.Name) {
			return nil, fault.Not(f.Name, "this is a model in several files (shards), which Nibble does not read yet").
				Hint("merge the shards into one file first")
		}
	}
	switch len(models) {
	case 0:
		return nil, fault.Not("", "none of these %d files is a model that Nibble reads", len(files)).
			Hint("choose a PyTorch checkpoint (.pt, .pth, .bin, .ckpt) or a .safetensors file")
	case 1:
		return Open(models[0])
	}
	var names []string
	for _, m := range models {
		names = append(names, m.Name)
	}
	if len(names) > 4 {
		names = append(names[:4], "...")
	}
	return nil, fault.Not("", "%d model files were given (%s) and Nibble converts one at a time", len(models), strings.Join(names, ", ")).
		Hint("choose one of them")
}
