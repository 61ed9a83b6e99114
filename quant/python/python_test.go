package python

import (
	"os"
	"strings"
	"testing"

	"nibble/quant/fault"
)

// The README shows the very lines, with the names of its own examples.
func TestREADMEHoldsTheLines(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for container, name := range map[string]string{"coremltools": "model-int4.pt", "int8": "model-int8.safetensors", "packed": "model-int4.safetensors"} {
		lines, err := Lines(container, name, false)
		if err != nil {
			t.Fatal(err)
		}
		// The tail is shown once.
		if folder, _, _ := strings.Cut(heads[container][1], "\n\n\ndef "); !strings.Contains(string(readme), strings.TrimSpace(strings.ReplaceAll(folder, "MODEL_FILE", `"model-int4"`))) {
			t.Errorf("the README lacks the lines for a folder of %s:\n%s", container, folder)
		}
		head, tail, _ := strings.Cut(lines, "\nfor key, value in state.items():")
		if !strings.Contains(string(readme), head) {
			t.Errorf("the README lacks the lines for %s:\n%s", container, head)
		}
		if container == "coremltools" && !strings.Contains(string(readme), tail) {
			t.Errorf("the README lacks\n%s", tail)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"a b/c.pt":       `torch.load("a b/c.pt",`,
		`q"\x.pt`:        `torch.load("q\"\\x.pt",`,
		"line\nbreak.pt": `torch.load("line?break.pt",`,
	} {
		lines, err := Lines("coremltools", name, false)
		if err != nil || !strings.Contains(lines, want) || strings.Contains(lines, "MODEL_") {
			t.Errorf("%q: %v\n%s", name, err, lines)
		}
	}
	if lines, _ := Lines("packed", "dir/model.v2.safetensors", false); !strings.Contains(lines, `package.save("model.v2.mlpackage")`) {
		t.Errorf("got %s", lines)
	}
	lines, err := Lines("packed", "out/model.v2-int4/", true)
	if err != nil || !strings.Contains(lines, `pathlib.Path("out/model.v2-int4").glob("*.safetensors")`) || !strings.Contains(lines, `package.save("model.v2-int4.mlpackage")`) {
		t.Errorf("%v\n%s", err, lines)
	}
	if _, err := Lines("zip", "a", false); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("error %v", err)
	}
}
