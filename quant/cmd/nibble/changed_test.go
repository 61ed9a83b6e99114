package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nibble/quant/testkit"
)

// A source that is written to, touched, cut or replaced while it is converted: the output is discarded,
// and that is said. Files that are only read are no concern.
func TestSourceThatChanges(t *testing.T) {
	model := testkit.Safetensors(testkit.F32("a.weight", []int64{64, 64}, 1, 2, 3),
		testkit.F32("b.weight", []int64{64, 64}, 4, 5))
	later := time.Now().Add(time.Hour)
	for what, c := range map[string]struct {
		change  func(path string) error
		refused bool
	}{
		"read":     {func(path string) error { _, err := os.ReadFile(path); return err }, false},
		"touched":  {func(path string) error { return os.Chtimes(path, later, later) }, true},
		"longer":   {func(path string) error { return os.WriteFile(path, append(bytes.Clone(model), 0), 0o644) }, true},
		"replaced": {func(path string) error { return replaced(path, model) }, true},
		"cut":      {func(path string) error { return os.Truncate(path, int64(len(model))-1) }, true},
		"gone":     {os.Remove, true},
	} {
		folder, made := t.TempDir(), t.TempDir()
		source := filepath.Join(folder, "model.safetensors")
		put(t, source, model)
		put(t, filepath.Join(folder, "training.log"), []byte("1\n"))
		changes := 0
		call := &call{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
		call.watch = func(int64, int64) {
			if changes++; changes > 1 {
				return
			}
			put(t, filepath.Join(folder, "training.log"), []byte("1\n2\n"))
			if err := c.change(source); err != nil {
				t.Error(err)
			}
		}
		if err := call.parse("convert", []string{folder, "-o", filepath.Join(made, "out"), "--report",
			filepath.Join(made, "report.json")}); err != nil {
			t.Fatal(err)
		}
		err := convertCommand(context.Background(), call)
		call.close()
		if changes == 0 {
			t.Fatalf("%s: nothing was changed", what)
		}
		left, err2 := os.ReadDir(made)
		if err2 != nil {
			t.Fatal(err2)
		}
		switch {
		case !c.refused && (err != nil || len(left) != 2):
			t.Errorf("%s: %v, %v is left", what, err, left)
		case what == "cut" && err != nil && len(left) == 0: // what is missing may be read before it is looked for
		case c.refused && (err == nil || !strings.Contains(err.Error(),
			"model.safetensors changed while it was read, so what was made of it is discarded")):
			t.Errorf("%s: %v", what, err)
		case c.refused && len(left) > 0:
			t.Errorf("%s: %v is left", what, left)
		}
	}
}

// Each shard counts, and each small file that is copied.
func TestShardThatChanges(t *testing.T) {
	for _, changed := range []string{"model-00002-of-00002.safetensors", "tokenizer.json", ""} {
		folder, made := t.TempDir(), t.TempDir()
		from := filepath.Join("..", "..", "testkit", "fixtures", "shards")
		if err := os.CopyFS(folder, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		call := &call{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
		call.watch = func(int64, int64) {
			later := time.Now().Add(time.Hour)
			if changed == "" {
				changed = "model.safetensors.index.json" // it is read before, and nothing is copied from it
			}
			if err := os.Chtimes(filepath.Join(folder, changed), later, later); err != nil {
				t.Error(err)
			}
		}
		if err := call.parse("convert", []string{folder, "-o", filepath.Join(made, "out")}); err != nil {
			t.Fatal(err)
		}
		err := convertCommand(context.Background(), call)
		call.close()
		left, err2 := os.ReadDir(made)
		if err2 != nil {
			t.Fatal(err2)
		}
		if refused := !strings.HasSuffix(changed, "index.json"); (err != nil) != refused || (len(left) == 0) != refused {
			t.Errorf("%s changes: %v, %v is left", changed, err, left)
		}
	}
}

// replaced puts another file of the same size and time in the place of one.
func replaced(path string, b []byte) error {
	was, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	if err := os.Chtimes(path+".new", was.ModTime(), was.ModTime()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
