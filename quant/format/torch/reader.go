package torch

import (
	"nibble/quant/format/pickle"
	"nibble/quant/tensor"
)

// reader is one file being read: a machine that runs its pickles with torch's allow-list (classes.go), and what they
// rebuild. What a persistent id means differs from format to format; tensors are rebuilt in the same way in all of
// them.
type reader struct {
	pickle.Machine
	file     *tensor.File
	storages map[string]*storage
	dense    float64 // bytes of all views so far, were each laid out densely
	views    map[viewed]bool
	holds    map[holdsKey]bool
	walked   int // work done in walks through modules
	sizes    int // of all shapes
	tally    tensor.Tally
}

func newReader(f *tensor.File) *reader {
	r := &reader{file: f, storages: map[string]*storage{}, holds: map[holdsKey]bool{}, views: map[viewed]bool{}}
	r.Machine = pickle.Machine{File: f.Name, R: f.R, FindClass: r.find,
		Remedy: "save the state dict with torch.save(model.state_dict(), ...)"}
	return r
}
