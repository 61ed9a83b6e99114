package quant_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// Each hostile file is refused, for the right reason, or read as PyTorch reads it.
func TestHostileFiles(t *testing.T) {
	says := map[string]string{
		"zip-zip64-unmarked.pt": "two end records that differ",
		"zip-case.pt":           `"archive/data/a" and "archive/data/A", which are one name`,
		"zip-casepkl.pt":        `"archive/data.pkl" and "archive/DATA.PKL"`, "zip-BYTEORDER.pt": `byte order "big"`,
		"pk-two-dtypes.pt":   `storage "0" is of two types`,
		"leg-two-dtypes.pth": `storage "0" is of two types`, "pk-build-tensor.pt": "sets the state of a tensor",
		"pk-V-escape.pt":      "text with escapes",
		"export-two-ways.pt2": "data/weights/model.pt and as data/weights/model_weights_config.json",
		"pk-dict-odd.pt":      "a key without a value",
		"pk-setitems-odd.pt":  "a key without a value", "pk-zero-overflow.pt": "overflows",
		"pk-os-newobj.pt":  "Python would run subprocess.Popen",
		"pk-getattr-os.pt": "Python would run posixpath.os", "pk-map-os.pt": "Python would run os.system",
		"esc-class.pt":  "an object of class __main__.X",
		"esc-osname.pt": "Python would run os.sys", "esc-storagekey.pt": "which is not in the zip",
		"evil-names.safetensors": "", "pk-dictcopy.pt": "",
	}
	entries, err := os.ReadDir("testkit/fixtures/hostile")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		want, known := says[e.Name()]
		if e.Name() == "README.md" {
			continue
		}
		seen++
		_, err := quant.Open([]*tensor.File{testkit.File(e.Name(), testkit.Fixture(t, ".", "hostile/"+e.Name()))},
			quant.Options{})
		switch {
		case !known:
			t.Errorf("%s is not in the table", e.Name())
		case want == "" && err != nil, want != "" && (fault.KindOf(err) == "" || !strings.Contains(fmt.Sprint(err), want)):
			t.Errorf("%s: %v, want %q", e.Name(), err, want)
		case strings.Contains(fmt.Sprint(err), "index out of range"):
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
	if seen != len(says) {
		t.Errorf("%d files, %d in the table", seen, len(says))
	}
}

// dict(d) is a copy: what is set in d afterwards is not in it.
func TestDictIsACopy(t *testing.T) {
	c, err := quant.Open([]*tensor.File{testkit.File("x.pt", testkit.Fixture(t, ".", "hostile/pk-dictcopy.pt"))},
		quant.Options{})
	if err != nil || len(c.State.Tensors) != 1 {
		t.Fatal(c, err)
	}
	if c.State.Tensors[0].Offset != 0 {
		t.Errorf("it is the tensor that was set afterwards, at %d", c.State.Tensors[0].Offset)
	}
}

// manyNames is a checkpoint of one weight of 1 MB under n names.
func manyNames(n int, prefix string) []byte {
	items := "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000" +
		"X\x03\x00\x00\x00cpuJ\x00\x00\x04\x00tQK\x00M\x00\x02M\x00\x02\x86M\x00\x02K\x01\x86\x89NtRq\x01}("
	for i := range n {
		name := fmt.Sprintf("%s%06d.weight", prefix, i)
		items += "X" + string([]byte{byte(len(name)), 0, 0, 0}) + name + "h\x01"
	}
	return testkit.Zip("a/data.pkl", "\x80\x02"+items+"u.", "a/data/0", strings.Repeat("\x00", 1<<20), "a/version", "3\n")
}

// Shards count together: each of two is within the bound, and both are not.
func TestManyNamesInShards(t *testing.T) {
	for shards, refused := range map[int]bool{1: false, 2: true} {
		var files []*tensor.File
		for i := range shards {
			name := fmt.Sprintf("m/pytorch_model-%05d-of-%05d.bin", i+1, shards)
			files = append(files, testkit.File(name, manyNames(1000, string(rune('a'+i)))))
		}
		c, err := quant.Open(files, quant.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = testkit.Plan(c, parse(t, recipes[0]), recipe.Options{}, container.Options{})
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "the same values under many names") {
			t.Errorf("%d shards: %v", shards, err)
		}
	}
}

// One weight under 20,000 names is refused where each would be written, and converted where it is written once.
func TestOneWeightUnderManyNames(t *testing.T) {
	file := testkit.File("x.pt", manyNames(20_000, ""))
	c, err := quant.Open([]*tensor.File{file}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"packed", "int8"} {
		_, err := testkit.Plan(c, parse(t, recipes[0]), recipe.Options{}, container.Options{To: to})
		if fault.KindOf(err) != fault.Unsupported || !strings.Contains(fmt.Sprint(err), "the same values under many names") {
			t.Errorf("%s: %v", to, err)
		}
	}
	j, err := testkit.Plan(c, parse(t, recipes[0]), recipe.Options{}, container.Options{To: "coremltools"})
	if err != nil || j.Output.Bytes > 64<<20 {
		t.Error("coremltools:", err)
	}
}
