package model

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"nibble/quant/format/huggingface"
	"nibble/quant/tensor"
)

// What lies beside a model in its folder.

// maxBeside bounds a small file that is copied beside shards, in bytes.
const maxBeside = 64 << 20

// homes are the names that Transformers gives the one checkpoint of a folder.
var homes = []string{"model.safetensors", "pytorch_model.bin"}

// isHome reports whether the one checkpoint of a folder is at home in it, so that the folder is the model: it has the
// name that Transformers gives it, or there is a config of a model beside it. A recipe may have a config's name, too.
func (f *folder) isHome(one *tensor.File) bool {
	return slices.Contains(homes, path.Base(one.Name)) || slices.ContainsFunc(f.rest, func(x *tensor.File) bool {
		if path.Base(x.Name) != huggingface.ConfigName {
			return false
		}
		config, err := huggingface.Read(x)
		return err == nil && (config.ModelType != "" || config.Architecture() != "")
	})
}

// modelName is what a model is called by its folder.
func (f *folder) modelName() string { return orModel(f.name) }

// orModel is the name of a folder, or "model" where it has none.
func orModel(folder string) string {
	if folder == "." || folder == "" || folder == "/" {
		return "model"
	}
	return folder
}

// Home is the folder that a model is, or else its file.
func (c *Model) Home() string {
	if c.Folder && !c.Sharded {
		return orModel(path.Dir(c.Name))
	}
	return c.Name
}

// takeAlong gives a model the small files of its folder, and the config among them. One that cannot be read is
// copied, and said; where a config is wanted, that is an error.
func (f *folder) takeAlong(c *Model) {
	var notes []string
	c.Beside, notes = f.beside()
	c.State.Notes = append(c.State.Notes, notes...)
	for _, x := range c.Beside {
		if path.Base(x.Name) != huggingface.ConfigName {
			continue
		}
		if c.Config, c.NoConfig = huggingface.Read(x); c.NoConfig != nil {
			c.State.Notes = append(c.State.Notes, c.NoConfig.Error()+"; it is copied as it is")
		}
	}
	c.packed = c.findPacked()
}

// others are notes on the checkpoints of the folder that are not part of the model.
func (f *folder) others(used []*tensor.File) (notes []string) {
	for _, x := range f.weights {
		if !slices.Contains(used, x) {
			notes = append(notes, fmt.Sprintf("%s is no part of this model and is left out", path.Base(x.Name)))
		}
	}
	return notes
}

// notCopied are the endings of models in formats that are not copied along, and of logs.
var notCopied = []string{".log", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".onnx_data", ".gguf", ".h5",
	".msgpack", ".tflite", ".pb", ".npz", ".ot", ".mlmodel", indexEnding}

// beside are the small files that are copied along, and notes on those that are not.
func (f *folder) beside() (files []*tensor.File, notes []string) {
	if f.deeper > 0 {
		notes = append(notes, fmt.Sprintf("%d files in folders below are left out", f.deeper))
	}
	for _, x := range f.rest {
		base := path.Base(x.Name)
		switch {
		case strings.HasPrefix(base, "."):
		case strings.Contains(base, ".index.") && strings.HasSuffix(base, ".json"):
			notes = append(notes, base+" is left out")
		case slices.ContainsFunc(notCopied,
			func(ending string) bool { return strings.HasSuffix(base, ending) }), x.Size > maxBeside:
			notes = append(notes, base+" is left out")
		default:
			files = append(files, x)
		}
	}
	return files, notes
}
