package quant_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// wide has tensors of several tiles, so that workers share them.
func wide() []byte {
	values := make([]float32, 1013)
	for i := range values {
		values[i] = float32(math.Sin(float64(i*i))) / 7
	}
	return testkit.Torch(
		testkit.F32("a.weight", []int64{3000, 512}, values...),
		testkit.F32("deconv.weight", []int64{64, 96, 9, 33}, values...),
		testkit.F32("a.bias", []int64{3000}, values...),
		testkit.F32("odd.weight", []int64{3, 35}, values...),
	)
}

var recipes = []string{
	coremltools.Default,
	`{"global_config":{"weight_dtype":"uint4","quantization_scheme":"affine","granularity":"per_channel"}}`,
	`{"global_config":{"weight_dtype":"int8","granularity":"per_tensor"}}`,
	`{"global_config":{"weight_dtype":"uint8","granularity":"per_block","block_size":[2,32]}}`,
}

var outputs = []container.Options{
	{To: "packed"}, {To: "int8"}, {To: "int8", HighNibble: "zero"}, {To: "coremltools"},
}

// Same bytes and the same report for any number of workers, and verify agrees.
func TestSameForAnyNumberOfWorkers(t *testing.T) {
	in := wide()
	for _, config := range recipes {
		for _, o := range outputs {
			one, report1, err := convert(t, in, config, o, 1)
			if err != nil {
				t.Fatal(err)
			}
			four, report4, err := convert(t, in, config, o, 4)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(one, four) || !reflect.DeepEqual(report1, report4) {
				t.Errorf("%s %+v: one worker and four differ", config, o)
			}
			if report1.Totals.Quantized == 0 {
				t.Errorf("%s: nothing was quantized", config)
			}
			v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", one)}, []*tensor.File{testkit.File("in", in)},
				quant.Options{})

			if err != nil {
				t.Fatal(err)
			}
			if !v.OK || len(v.Tensors) != 4 {
				t.Errorf("%s %+v: verify says %+v", config, o, v)
			}
		}
	}
}

// A cancelled context ends a conversion with its error.
func TestCancel(t *testing.T) {
	c, err := quant.Open([]*tensor.File{testkit.File("in", wide())}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{}, container.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = quant.Convert(ctx, j, &bytes.Buffer{}, quant.Options{Workers: 2, Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A cancelled context ends a verification with its error, too.
func TestCancelVerify(t *testing.T) {
	in := wide()
	out, _, err := convert(t, in, coremltools.Default, container.Options{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	files := []*tensor.File{testkit.File("out", out)}
	_, err = quant.Verify(ctx, files, []*tensor.File{testkit.File("in", in)}, quant.Options{
		Progress: func(done, total int64) { cancel() },
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
