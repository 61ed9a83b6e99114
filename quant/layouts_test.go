package quant_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// Every way in which PyTorch writes a model gives the tensors that torch finds in it. The
// files are torch's own (testkit/fixtures/layouts.py); ./build.sh oracle has more of them.
func TestLayouts(t *testing.T) {
	var index struct{ Files map[string][]testkit.Row }
	if err := json.Unmarshal(testkit.Fixture(t, ".", "layouts.json"), &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Files) < 24 {
		t.Errorf("only %d layouts", len(index.Files))
	}
	for name, want := range index.Files {
		c, err := quant.Open([]*tensor.File{testkit.File(name, testkit.Fixture(t, ".", "layouts/"+name))}, quant.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := testkit.Rows(t, c.State.Tensors)
		if name == "exported.pt2" { // which lists tied weights together
			for _, rows := range [][]testkit.Row{got, want} {
				slices.SortFunc(rows, func(a, b testkit.Row) int { return strings.Compare(a.Name, b.Name) })
			}
		}
		if !slices.EqualFunc(got, want, func(a, b testkit.Row) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s:\n%v\nwant\n%v", name, got, want)
		}
	}
}

// What the files say of the layers' types, and what they hold beside the weights.
func TestNotesOfLayouts(t *testing.T) {
	for name, want := range map[string]struct {
		format  string
		classes map[string]string
		note    string
	}{
		"scripted.pt": {"TorchScript", map[string]string{"up": "ConvTranspose1d", "emb": "Embedding",
			"blocks.0": "Linear"}, "the file holds a TorchScript program; its code, constants and settings are left out"},
		"traced.pt":  {"TorchScript", map[string]string{"up": "ConvTranspose1d", "norm": "BatchNorm2d"}, ""},
		"module.pth": {"PyTorch before 1.6", map[string]string{"1": "Conv1d", "2.a": "MultiheadAttention"}, ""},
		"exported28.pt2": {"torch.export", map[string]string{"conv": "Conv2d", "norm": "BatchNorm2d", "up": "ConvTranspose1d",
			"emb": "Embedding", "blocks.0": "Linear"}, ""},
		"exported.pt2": {"torch.export", map[string]string{"fc": "Linear"},
			"the file holds a program of torch.export; of its graph only the classes of its layers are read; constants and " +
				"example inputs are left out"},
		"old.tar": {"PyTorch 0.1 tar", nil, ""},
		"lightning.ckpt": {"PyTorch zip", nil,
			"hyper_parameters (a Attributes of 3) is not part of the state dict and is left out"},
		"deepspeed.pt": {"PyTorch zip", nil, "global_samples (a NumPy number) is not part of the state dict and is left out"},
		"trainer.bin":  {"PyTorch zip", nil, "best (a NumPy array) is not part of the state dict and is left out"},
	} {
		c, err := quant.Open([]*tensor.File{testkit.File(name, testkit.Fixture(t, ".", "layouts/"+name))}, quant.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Format != want.format {
			t.Errorf("%s is %s", name, c.Format)
		}
		for module, class := range want.classes {
			if c.State.Classes[module] != class {
				t.Errorf("%s: %s is %s", name, module, c.State.Classes[module])
			}
		}
		if want.note != "" && !slices.Contains(c.State.Notes, want.note) {
			t.Errorf("%s: notes %q", name, c.State.Notes)
		}
	}
}
