package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// manyWeights writes n weights of one row into files of a folder, with an index where there are several.
// Their names begin alike.
func manyWeights(t *testing.T, prefix string, n, files int) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var index bytes.Buffer
	for f := range files {
		name := "model.safetensors"
		if files > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", f+1, files)
		}
		var weights []testkit.Weight
		for i := f * n / files; i < (f+1)*n/files; i++ {
			w := testkit.F32(fmt.Sprintf("%s.%06d.weight", prefix, i), []int64{1, 64}, 0.5, -1, 0.25)
			weights = append(weights, w)
			fmt.Fprintf(&index, ",%q:%q\n", w.Name, name)
		}
		put(t, filepath.Join(folder, name), testkit.Safetensors(weights...))
	}
	if files > 1 {
		put(t, filepath.Join(folder, "model.safetensors.index.json"), []byte(`{"weight_map":{`+index.String()[1:]+`}}`))
	}
	return folder
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// ran runs the command in this process and returns its two outputs.
func ran(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	if got := run(args, &out, &errors); got != code {
		t.Fatalf("%v exits with %d: %s", args, got, errors.String())
	}
	return out.String(), errors.String()
}

// What convert writes, inspect, verify and python open, however many weights: as many as a model may
// have, in shards, and as many as one header holds.
func TestManyWeights(t *testing.T) {
	for _, c := range []struct {
		weights, files int
		to             string
	}{{tensor.MaxWeights, 5, "packed"}, {tensor.MaxWeights, 1, "int8"}, {20_000, 1, "coremltools"},
		{30_000, 3, "coremltools"}} {
		from, out := manyWeights(t, "m", c.weights, c.files), filepath.Join(t.TempDir(), "out")
		ran(t, 0, "convert", from, "--to", c.to, "-o", out)
		if said, _ := ran(t, 0, "inspect", out); !strings.Contains(said, fmt.Sprintf("m.%06d.", c.weights-1)) {
			t.Errorf("%+v: inspect does not show the last weight", c)
		}
		all := fmt.Sprintf("%d quantized tensors recomputed with the same numbers, 0 kept byte for byte, 0 wrong", c.weights)
		if said, _ := ran(t, 0, "verify", out, "--against", from); !strings.Contains(said, all) {
			t.Errorf("%+v: verify says %s", c, said)
		}
		if said, _ := ran(t, 0, "python", out); !strings.Contains(said, "ct.convert(") {
			t.Errorf("%+v: python says %s", c, said)
		}
	}
}

// What nothing could open again is refused at the plan, with the way out.
func TestTooManyWeights(t *testing.T) {
	for _, c := range []struct {
		weights, files int
		to, says       string
	}{
		{tensor.MaxWeights, 1, "packed", "its header would take"},
		{tensor.MaxWeights, 1, "packed", "more than the 100000000 that safetensors allows; save the model in shards, or " +
			"choose int8, which has fewer tensors for each weight"},
		{40_000, 1, "coremltools", "the output could not be opened again: its pickle would be larger, or take more " +
			"memory, than a reader of unknown files allows; save the model in shards, or choose packed or int8"},
		{tensor.MaxWeights + 1, 1, "int8", "more than 262144 tensors"},
		{tensor.MaxWeights + 1, 3, "int8", "more than 262144 tensors"},
	} {
		from := manyWeights(t, "model.language_model.layers", c.weights, c.files)
		for _, args := range [][]string{{"plan"}, {"convert", "-o", filepath.Join(t.TempDir(), "out")}} {
			if _, said := ran(t, 1, append(args, from, "--to", c.to)...); !strings.Contains(said, c.says) {
				t.Errorf("%+v: %s says %s", c, args[0], said)
			}
		}
	}
}
