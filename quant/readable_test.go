package quant_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"nibble/quant/container"
	"nibble/quant/format/torch"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
)

// One weight under many names, in a checkpoint that held more than the model: the output is so much
// smaller than what it describes that no reader would believe it, so it is refused at the plan.
func TestManyNamesForOneWeight(t *testing.T) {
	for names, refused := range map[int]bool{40: false, 50: true} {
		var items []torch.Item
		for i := range names {
			items = append(items, torch.Item{Name: fmt.Sprintf("l%d.weight", i), DType: tensor.F32, Shape: []int64{1024, 2048}, Key: 0})
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
			part, err := z.Storage()
			if err != nil {
				t.Fatal(err)
			}
			part.Write(make([]byte, size))
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		out, _, err := convert(t, in.Bytes(), recipe.Default, container.Options{To: "coremltools"}, 2)
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "one weight has so many names (tied)") {
			t.Errorf("%d names: %v", names, err)
		}
		if err == nil {
			if _, err := open("out", out); err != nil {
				t.Error(err)
			}
		}
	}
}
