package python_test

import (
	"os"
	"strings"
	"testing"

	"nibble/quant/container"
	"nibble/quant/python"
)

// The document shows the very lines, with the names of its own examples.
func TestTheDocumentHoldsTheLines(t *testing.T) {
	text, err := os.ReadFile("../../docs/coreml.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	for to, name := range map[string]string{
		"coremltools": "model-int4.pt", "int8": "model-int8.safetensors", "packed": "model-int4.safetensors",
	} {
		folder, _, _ := strings.Cut(rowOf(t, to).Python(true), "\n\n\ndef ") // the tail is shown once
		folder = strings.TrimSpace(strings.ReplaceAll(folder, "MODEL_FILE", `"model-int4"`))
		if !strings.Contains(document, folder) {
			t.Errorf("docs/coreml.md lacks the lines for a folder of %s:\n%s", to, folder)
		}
		head, tail, _ := strings.Cut(linesOf(t, to, name, false), "\nfor key, value in state.items():")
		if !strings.Contains(document, head) {
			t.Errorf("docs/coreml.md lacks the lines for %s:\n%s", to, head)
		}
		if to == "coremltools" && !strings.Contains(document, tail) {
			t.Errorf("docs/coreml.md lacks\n%s", tail)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"a b/c.pt":       `torch.load("a b/c.pt",`,
		`q"\x.pt`:        `torch.load("q\"\\x.pt",`,
		"line\nbreak.pt": `torch.load("line?break.pt",`,
	} {
		lines := linesOf(t, "coremltools", name, false)
		if !strings.Contains(lines, want) || strings.Contains(lines, "MODEL_") {
			t.Errorf("%q: %s", name, lines)
		}
	}
	lines := linesOf(t, "packed", "dir/model.v2.safetensors", false)
	if !strings.Contains(lines, `package.save("model.v2.mlpackage")`) {
		t.Errorf("got %s", lines)
	}
	lines = linesOf(t, "packed", "out/model.v2-int4/", true)
	if !strings.Contains(lines, `pathlib.Path("out/model.v2-int4").glob("*.safetensors")`) ||
		!strings.Contains(lines, `package.save("model.v2-int4.mlpackage")`) {
		t.Errorf("got %s", lines)
	}
}

// linesOf are the lines for a container's output.
func linesOf(t *testing.T, to, name string, folder bool) string {
	t.Helper()
	return python.Lines(rowOf(t, to).Python(folder), name, folder)
}

func rowOf(t *testing.T, to string) *container.Row {
	t.Helper()
	row, err := container.Find(container.Options{To: to})
	if err != nil {
		t.Fatal(err)
	}
	return row
}
