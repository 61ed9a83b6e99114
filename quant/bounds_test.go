package quant_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/kernel"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// Weights whose blocks, rows or scales are larger than a tile are quantized in bounded
// memory, to the same bytes as all at once.
func TestWeightsLargerThanTiles(t *testing.T) {
	const long = (2<<20)/4 + 320*1001 // columns of a row that is more than a tile
	for _, c := range []struct {
		rows, cols int64
		config     string
		passes     string // what it is about
	}{
		{3, long, `{"global_config":{"weight_dtype":"int4","granularity":"per_channel"}}`, "one block is a long row"},
		{2, long, `{"global_config":{"weight_dtype":"uint8","granularity":"per_tensor","quantization_scheme":"affine"}}`,
			"one block is all"},
		{2, long, `{"global_config":{"weight_dtype":"uint4","granularity":"per_block","block_size":32,` +
			`"quantization_scheme":"affine"}}`, "short blocks in long rows"},
		{4, long, `{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":[2,` + fmt.Sprint(long/8) +
			`]}}`, "blocks of rows that tiles cut"},
		{4096, 1024, `{"global_config":{"weight_dtype":"uint4","granularity":"per_block","block_size":[2048,64],` +
			`"quantization_scheme":"affine"}}`, "tall blocks"},
		{1025, 4098, `{"global_config":{"weight_dtype":"uint8","granularity":"per_block","block_size":1,` +
			`"quantization_scheme":"affine"}}`, "more scales than are held"},
		{1025, 4098, `{"global_config":{"weight_dtype":"uint4","granularity":"per_block","block_size":1,` +
			`"quantization_scheme":"affine"}}`, "more packed zero points than are held"},
	} {
		t.Run(c.passes, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			values := make([]float32, c.rows*c.cols)
			for i := range values {
				values[i] = float32(random.NormFloat64())
			}
			in := testkit.Safetensors(testkit.Weight{Name: "a.weight", DType: tensor.F32, Shape: []int64{c.rows, c.cols},
				Values: tensor.Bytes(values)})
			out, first, err := convert(t, in, c.config, container.Options{To: "int8"}, 3)
			if err != nil {
				t.Fatal(err)
			}
			alone, _, err := convert(t, in, c.config, container.Options{To: "int8"}, 1)
			if err != nil || !bytes.Equal(out, alone) {
				t.Errorf("one worker gives another file (%v)", err)
			}
			codes, scale, zp := atOnce(t, values, parse(t, c.config), c.rows, c.cols)
			tensors, err := open("out", out)
			if err != nil {
				t.Fatal(err)
			}
			for i := range tensors {
				x := &tensors[i]
				want := map[string][]byte{"a.weight": codes, "a.weight_scale": tensor.Bytes(scale),
					"a.weight_zero_point": zp}[x.Name]
				if got := out[x.Storage.Start:x.Storage.End]; !bytes.Equal(got, want) {
					t.Errorf("%s differs from what all at once gives", x.Name)
				}
			}
			for _, to := range []string{"packed", "coremltools"} {
				made, r, err := convert(t, in, c.config, container.Options{To: to}, 2)
				if err != nil {
					t.Fatal(err)
				}
				if *r.Totals.RMSE != *first.Totals.RMSE {
					t.Errorf("%s gives another error", to)
				}
				v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", made)},
					[]*tensor.File{testkit.File("in", in)},
					quant.Options{})

				if err != nil || !v.OK {
					t.Errorf("%s: %+v, %v", to, v, err)
				}
			}
		})
	}
}

// atOnce quantizes a matrix whole, block by block, with the kernels alone.
func atOnce(t *testing.T, values []float32, r *coremltools.Recipe, rows, cols int64) (codes []byte, scale []float32,
	zp []byte) {
	entry, _, err := r.Rule("a", "Linear")
	if err != nil {
		t.Fatal(err)
	}
	g, why := coremltools.Blocks(*entry.Scheme, []int64{rows, cols}, false)
	if why.Code != "" {
		t.Fatal(why)
	}
	a := kernel.NewArith(*entry.Scheme, false)
	codes = make([]byte, len(values))
	block := make([]float32, g.BlockRows*g.BlockCols)
	for down := range g.Down() {
		for across := range g.Across() {
			place := func(i int64) int64 {
				return (down*g.BlockRows+i/g.BlockCols)*cols + across*g.BlockCols + i%g.BlockCols
			}
			for i := range block {
				block[i] = values[place(int64(i))]
			}
			lo, hi, s, z, c := make([]float32, 1), make([]float32, 1), make([]float32, 1), make([]byte, 1), make([]byte,
				len(block))
			kernel.Reset(lo, hi)
			kernel.Range(block, len(block), lo, hi)
			if !entry.Scheme.HasZeroPoint() {
				z = nil
			}
			kernel.Params(a, lo, hi, s, z)
			kernel.NoZeroScale(a, s)
			kernel.Quantize(a, block, len(block), s, z, c, &kernel.Errors{})
			for i := range c {
				codes[place(int64(i))] = c[i]
			}
			scale, zp = append(scale, s...), append(zp, z...)
		}
	}
	return codes, scale, zp
}
