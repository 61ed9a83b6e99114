package torch_test

import (
	"os"
	"path/filepath"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/format/torch"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/testkit/broken"
)

// seed adds files of torch's own and broken ones, by the ends of their names.
func seed(f *testing.F, fixtures []string, file string) {
	for _, name := range fixtures {
		b, err := os.ReadFile(filepath.Join("../../testkit/fixtures/layouts", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, c := range broken.All() {
		if c.File == file {
			if b := c.Make(); len(b) < 1<<14 {
				f.Add(b)
			}
		}
	}
}

// sound checks what a reader of any bytes gave: a fault, or tensors that lie in the file.
func sound(t *testing.T, b []byte, read func(f *tensor.File) (*tensor.StateDict, error)) {
	if len(b) > 1<<16 {
		return
	}
	file := testkit.File("x", b)
	state, err := read(file)
	if err != nil {
		if fault.KindOf(err) == "" {
			t.Errorf("error is no fault: %v", err)
		}
		return
	}
	for i := range state.Tensors {
		x := &state.Tensors[i]
		if x.Elements() > 0 && (x.Storage.Start < 0 || x.Storage.End > x.Storage.File.Size ||
			x.Offset > x.Storage.End-x.Storage.Start) {
			t.Errorf("%s lies at %d in %v", x.Name, x.Offset, x.Storage)
		}
		if x.Bytes() < 1<<20 {
			testkit.Rows(t, state.Tensors[i:i+1])
		}
	}
}

func readZip(f *tensor.File) (*tensor.StateDict, error) {
	state, _, err := torch.Read(f, nil)
	return state, err
}

func readLegacy(f *tensor.File) (*tensor.StateDict, error) { return torch.ReadLegacy(f, nil) }

func readTar(f *tensor.File) (*tensor.StateDict, error) {
	state, _, err := torch.ReadTar(f, nil)
	return state, err
}

// FuzzLegacy reads any bytes as a file of torch.save before 1.6.
func FuzzLegacy(f *testing.F) {
	seed(f, []string{"legacy2.pth", "legacy-views.pth", "storage-views.pth", "python2.pth"}, "x.pth")
	f.Fuzz(func(t *testing.T, b []byte) { sound(t, b, readLegacy) })
}

// FuzzTar reads any bytes as a tar of 2016.
func FuzzTar(f *testing.F) {
	seed(f, []string{"old.tar", "old-views.tar"}, "x.tar")
	f.Fuzz(func(t *testing.T, b []byte) { sound(t, b, readTar) })
}

// FuzzZip reads any bytes as a zip of torch.save, torch.jit.save or torch.export.save.
func FuzzZip(f *testing.F) {
	seed(f, []string{"zip4.pt", "scripted.pt", "exported.pt2", "exported28.pt2", "deflated.pt"}, "x.pt")
	f.Fuzz(func(t *testing.T, b []byte) {
		sound(t, b, readZip)
	})
}

// FuzzScript reads any source as that of a TorchScript archive's class, and any pickle as
// its tree.
func FuzzScript(f *testing.F) {
	f.Add("c__torch__\nM\n)\x81}X\x01\x00\x00\x00wNsb.",
		"class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n")
	f.Fuzz(func(t *testing.T, tree, source string) {
		sound(t, testkit.Zip("m/data.pkl", "\x80\x02"+tree, "m/constants.pkl", "", "m/code/__torch__.py", source, "m/data/0",
			string(make([]byte, 16))), readZip)
	})
}

// FuzzExport reads any text as the config of torch.export's weights.
func FuzzExport(f *testing.F) {
	f.Add(`{"config":{"w":{"path_name":"weight_0","use_pickle":false,"tensor_meta":{"dtype":7,"sizes":[{"as_int":2}],` +
		`"strides":[{"as_int":1}],"storage_offset":{"as_int":0},"layout":7}}}}`)
	f.Fuzz(func(t *testing.T, config string) {
		sound(t, testkit.Zip("p/archive_format", "pt2", "p/data/weights/model_weights_config.json", config,
			"p/data/weights/weight_0", string(make([]byte, 16))), readZip)
	})
}
