// Package checkpoint is the front door in: it recognises what a file is by its
// content, never by its name, and opens it to a StateDict. It is the only room that
// reads headers and pickles, and it reads no weights.
//
// A new format is one row of the table below and a package under format/. Files
// that Nibble knows but does not read are named, so that the user learns what was
// dropped.
package checkpoint

import (
	"bytes"
	"io"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
)

// Checkpoint is an opened input.
type Checkpoint struct {
	File     *tensor.File
	Format   string // for people: "PyTorch zip", "safetensors"
	State    tensor.StateDict
	Metadata map[string]string // safetensors' __metadata__
}

// TorchZip is the Format of torch.save's zips.
const TorchZip = "PyTorch zip"

// formats is the literal table of what can be read. match looks at the first bytes
// and must not read more.
var formats = []struct {
	name  string
	match func(head []byte, size int64) bool
	open  func(f *tensor.File) (*Checkpoint, error)
}{
	{TorchZip, torch.Match, openTorch},
	{"safetensors", safetensors.Match, openSafetensors},
}

// foreign is the literal table of what is recognised and refused.
var foreign = []struct{ magic, what, do string }{
	{"GGUF", "a GGUF model", "Nibble reads PyTorch and safetensors checkpoints: convert the original one"},
	{"\x89HDF", "an HDF5 file (Keras)", "Nibble reads PyTorch and safetensors checkpoints: export one of those"},
	{"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file in the format used before version 1.6", "load it in a newer PyTorch and save it again"},
	{"version https://git-lfs", "a Git LFS pointer, not the model itself", "fetch the real file with git lfs pull, or download it from the model's page"},
	{"<!DOCTYPE", "a web page, not a model", "the download went wrong: sign in or copy the direct link"},
	{"<html", "a web page, not a model", "the download went wrong: sign in or copy the direct link"},
	{"\x80", "a Python pickle that is not a PyTorch zip", "save the weights with torch.save(model.state_dict(), ...)"},
	{"PK\x05\x06", "an empty zip file", "drop the checkpoint itself"},
}

// Open recognises and opens one file.
func Open(f *tensor.File) (*Checkpoint, error) {
	if f.Size == 0 {
		return nil, fault.Bad(f.Name, "the file is empty").Hint("copy or download it again")
	}
	head := make([]byte, min(f.Size, 64))
	if _, err := io.ReadFull(io.NewSectionReader(f.R, 0, f.Size), head); err != nil {
		return nil, err
	}
	for _, row := range formats {
		if row.match(head, f.Size) {
			c, err := row.open(f)
			if err != nil {
				return nil, err
			}
			if len(c.State.Tensors) == 0 {
				return nil, fault.Not(f.Name, "the file holds no tensors").Hint("there is nothing in it to convert")
			}
			c.File, c.Format = f, row.name
			if isShard(f.Name) {
				c.State.Notes = append(c.State.Notes, "the name says that this is one part of a model; the other parts are not in it")
			}
			return c, nil
		}
	}
	for _, row := range foreign {
		if bytes.HasPrefix(head, []byte(row.magic)) {
			return nil, fault.Not(f.Name, "this is %s", row.what).Hint("%s", row.do)
		}
	}
	return nil, fault.Not(f.Name, "this is not a model file that Nibble knows").
		Hint("drop a PyTorch checkpoint (.pt, .pth, .bin, .ckpt) or a .safetensors file")
}

func openTorch(f *tensor.File) (*Checkpoint, error) {
	state, err := torch.Read(f)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{State: *state}, nil
}

func openSafetensors(f *tensor.File) (*Checkpoint, error) {
	c, err := safetensors.Read(f)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{State: tensor.StateDict{Tensors: c.Tensors}, Metadata: c.Metadata}, nil
}
