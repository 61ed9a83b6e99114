package quant_test

import (
	"bytes"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// Types whose elements are narrower than a byte are named, and kept as they are; where a container has no name for
// them, that is said before anything is written.
func TestTypesNarrowerThanAByte(t *testing.T) {
	in := testkit.Safetensors(
		testkit.Weight{Name: "four", DType: tensor.F4, Shape: []int64{3, 2}, Values: []byte{0x12, 0x34, 0x56}},
		testkit.Weight{Name: "six", DType: tensor.F6E3M2, Shape: []int64{2, 4}, Values: []byte{1, 2, 3, 4, 5, 6}},
		testkit.F32("a.weight", []int64{4, 64}, 0.1, -0.2, 0.3))
	for _, to := range []string{"packed", "int8"} {
		out, r, err := convert(t, in, `{"global_config":{"weight_dtype":"int4"}}`, container.Options{To: to}, 2)
		if err != nil {
			t.Fatal(err)
		}
		x := values(t, out)
		if !bytes.Equal(x["four"].raw, []byte{0x12, 0x34, 0x56}) || !bytes.Equal(x["six"].raw, []byte{1, 2, 3, 4, 5, 6}) {
			t.Errorf("%s: %x, %x", to, x["four"].raw, x["six"].raw)
		}
		if r.Tensors[0].DType != "F4" || r.Tensors[0].BytesIn != 3 || r.Tensors[1].DType != "F6_E3M2" ||
			r.Tensors[1].BytesOut != 6 || r.Tensors[0].Parameters != 6 {
			t.Errorf("%s: %+v %+v", to, r.Tensors[0], r.Tensors[1])
		}
		v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)}, []*tensor.File{testkit.File("in", in)},
			quant.Options{})

		if err != nil || !v.OK {
			t.Errorf("%s: %+v, %v", to, v, err)
		}
	}
	c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{AllowNone: true},
		container.Options{To: "coremltools"})

	if err == nil || !strings.Contains(err.Error(), `tensor "four": dtype F4 has no place in a torch file`) {
		t.Errorf("error %v", err)
	}
}
