package quant_test

import (
	"bytes"
	"fmt"
	"testing"

	"nibble/quant/container"
	"nibble/quant/format/torch"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
)

// One weight under many names, in a checkpoint that held more than the model: coremltools' container writes it
// once, so that what its tensors would take apart is far more than the file, and opens again.
func TestManyNamesForOneWeight(t *testing.T) {
	for _, names := range []int{40, 50, 400} {
		var items []torch.Item
		for i := range names {
			items = append(items, torch.Item{Name: fmt.Sprintf("l%d.weight", i), DType: tensor.F32, Shape: []int64{1024, 2048},
				Key: 0})
		}
		pickle, err := torch.Pickle(items, nil)
		if err != nil {
			t.Fatal(err)
		}
		var in bytes.Buffer
		sizes := []int64{1024 * 2048 * 4, 20 << 20} // the second one is no part of the model
		z, err := torch.LayArchive(pickle, sizes).Start(&in)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range sizes {
			storage, err := z.Storage()
			if err != nil {
				t.Fatal(err)
			}
			storage.Write(make([]byte, size))
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		out, _, err := convert(t, in.Bytes(), coremltools.Default, container.Options{To: "coremltools"}, 2)
		if err != nil {
			t.Fatalf("%d names: %v", names, err)
		}
		state, err := open("out", out)
		if err != nil || len(state) < names {
			t.Errorf("%d names: %v", names, err)
		}
	}
}
