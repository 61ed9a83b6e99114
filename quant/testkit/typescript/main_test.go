package main

import (
	"bytes"
	"os"
	"testing"
)

// The page's types are those of the core.
func TestGeneratedTypes(t *testing.T) {
	const path = "../../../site/src/shared/protocol.ts"
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	write(&want)
	if !bytes.Equal(got, want.Bytes()) {
		t.Error(path + " is not what the Go types make: run ./build.sh generate")
	}
	for _, line := range []string{
		"export const PROTOCOL = ", "\nexport interface TensorRow extends Figures {\n", "  reason_args: ReasonArg[]\n",
		"  scheme: Scheme | null\n",
		"  block_size: number[] | null\n", "  | 'packed' | 'int8' | 'coremltools' | 'mlx'\n", "  module_types: string[]\n",
	} {
		if !bytes.Contains(want.Bytes(), []byte(line)) {
			t.Errorf("the types lack %q", line)
		}
	}
}
