package torch

import (
	"strings"

	"nibble/quant/fault"
	"nibble/quant/format/pickle"
	"nibble/quant/tensor"
)

// What a zip or a tar turns out to be.
const (
	Saved    = "PyTorch zip"  // torch.save
	Scripted = "TorchScript"  // torch.jit.save
	Exported = "torch.export" // torch.export.save
	Tar      = "PyTorch 0.1 tar"
	Nemo     = "NeMo" // a tar with a checkpoint in it
)

// Read opens a zip that PyTorch wrote and returns its state dict and what kind of zip it
// is. It reads the directory, the pickles and the small headers of the storages, no values.
func Read(f *tensor.File, want []string) (*tensor.StateDict, string, error) {
	a, err := open(f)
	if err != nil {
		return nil, "", err
	}
	kind, read := Saved, func(a *archive) (*tensor.StateDict, error) { return readSaved(a, want) }
	switch {
	case len(a.programs()) > 0:
		kind, read = Exported, readExported
	case !a.saved:
		return nil, "", a.foreign()
	case a.script:
		kind, read = Scripted, readScripted
	}
	if kind != Exported { // whose candidates come first
		if err := a.records(); err != nil {
			return nil, "", err
		}
	}
	state, err := read(a)
	return state, kind, err
}

// readSaved reads what torch.save wrote.
func readSaved(a *archive, want []string) (*tensor.StateDict, error) {
	r, root, err := a.pickle("data.pkl", "data/")
	if err != nil {
		return nil, err
	}
	if err := r.refuseSharedStorage(); err != nil {
		return nil, err
	}
	state, err := r.stateDict(root, want)
	if err == nil && a.mismatch {
		state.Notes = append(state.Notes, "the checksum of data.pkl is not that of its content; PyTorch does not "+
			"check it either")
	}
	return state, err
}

// pickle runs an entry whose persistent ids are entries of a folder.
func (a *archive) pickle(name, folder string) (*reader, any, error) {
	text, err := a.content(name, pickle.MaxBytes)
	if err != nil {
		return nil, nil, err
	}
	base, err := a.entry(name).Place(a.file)
	if err != nil {
		return nil, nil, fault.Bad(a.file.Name, "%s has a broken zip header (%v)", name, err)
	}
	r := newReader(a.file)
	r.Persistent = a.load(r, folder)
	root, err := r.Run(text, base)
	return r, root, err
}

// foreign says what a zip is that holds no checkpoint.
func (a *archive) foreign() error {
	has := func(part string) bool {
		for name := range a.entries {
			if name == part || strings.HasSuffix(name, "/"+part) {
				return true
			}
		}
		return false
	}
	ends := func(suffix string) bool {
		for name := range a.entries {
			if strings.HasSuffix(name, suffix) {
				return true
			}
		}
		return false
	}
	name := a.file.Name
	switch {
	case has("data.pkl"):
		return fault.Bad(name, "the zip's data.pkl does not lie in the folder of its first file, where PyTorch looks for it").
			Hint("save the checkpoint again with torch.save")
	case has(".data/extern_modules"):
		return fault.Not(name, "this is a torch.package archive").
			Hint("load the model from it and save its weights with torch.save(model.state_dict(), ...)")
	case has("model.weights.h5"):
		return fault.Not(name, "this is a Keras model").
			Hint("Nibble reads PyTorch and safetensors checkpoints: export one of those")
	case has("coremldata.bin") || has("model.mlmodel"):
		return fault.Not(name, "this is a zipped Core ML model").Hint("Nibble reads the checkpoint it was made from")
	case ends(".npy"):
		return fault.Not(name, "this is a NumPy archive (.npz)").
			Hint("put the arrays in a state dict and save it with safetensors or torch.save")
	case ends(".safetensors") || ends(".pt") || ends(".pth") || ends(".bin") || ends(".ckpt"):
		return fault.Not(name, "this is a zip file with model files in it").Hint("unpack it and drop what is inside")
	}
	return fault.Not(name, "this is a zip file without a PyTorch checkpoint in it (no data.pkl)").
		Hint("unpack it and drop the checkpoint inside")
}
