package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// outside is a program of somebody else's, which knows package quant alone.
const outside = `package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"nibble/quant"
)

func main() {
	f, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		log.Fatal(err)
	}
	model, err := quant.Open([]*quant.File{{Name: f.Name(), Size: info.Size(), R: f}}, quant.Options{})
	if err != nil {
		log.Fatal(err)
	}
	options := quant.Options{Config: []byte("global_config: {weight_dtype: int4}"), Container: "int8", Workers: 2}
	job, err := quant.Plan(model, options)
	if err != nil {
		log.Fatal(err)
	}
	out, err := os.Create(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	report, err := quant.Convert(context.Background(), job, out, options)
	if err != nil {
		log.Fatal(err)
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Totals.Quantized, "quantized")
}
`

// Another program depends on the module as README.md says, and makes the command's very bytes, with and without SIMD.
func TestAnotherProgram(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?s)```\n(require nibble [^\n]+\nreplace nibble => )[^\n]+\n```").FindSubmatch(readme)
	if lines == nil {
		t.Fatal("README.md has no require and replace lines")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module outside\n\ngo 1.27.0\n\n" + string(lines[1]) + root + "\n", "go.sum": string(sums),
		"main.go": outside,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	source, want := filepath.Join(root, "quant/testkit/fixtures/ptq-in.pt"), filepath.Join(dir, "want")
	if said, _ := ran(t, 0, "convert", source, "--dtype", "int4", "--granularity", "per_channel", "--to", "int8", "-o",
		want); !strings.Contains(said, "quantized") {
		t.Fatal(said)
	}
	wanted, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, experiment := range []string{"simd", "nosimd"} {
		out := filepath.Join(dir, experiment)
		run := exec.Command("go", "run", "-mod=mod", ".", source, out)
		run.Dir, run.Env = dir, append(os.Environ(), "GOEXPERIMENT="+experiment, "GOPROXY=off", "GOFLAGS=")
		if said, err := run.CombinedOutput(); err != nil || !strings.Contains(string(said), "quantized") {
			t.Fatalf("%s: %v\n%s", experiment, err, said)
		}
		made, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if string(made) != string(wanted) {
			t.Errorf("%s: it makes other bytes than the command", experiment)
		}
	}
}
