package quant_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/tile"
)

// halves is a weight whose first half is in -1..1 and whose second half is a hundredth of that.
func halves(name string, d tensor.Type, shape ...int64) testkit.Weight {
	n, _ := tensor.Elements(shape)
	raw := make([]byte, 0, n*d.Size())
	for i := range n {
		v := math.Sin(float64(i))
		if i >= n/2 {
			v /= 100
		}
		switch d {
		case tensor.F64:
			raw = append(raw, tensor.Bytes([]float64{v})...)
		case tensor.F32:
			raw = append(raw, tensor.Bytes([]float32{float32(v)})...)
		case tensor.F16:
			raw = append(raw, tensor.Bytes([]uint16{tensor.F32ToF16(float32(v))})...)
		case tensor.BF16:
			raw = append(raw, tensor.Bytes([]uint16{tensor.F32ToBF16(float32(v))})...)
		}
	}
	return testkit.Weight{Name: name, DType: d, Shape: shape, Values: raw}
}

// A row of blocks of 16 to 32 MiB, by the limits that everybody has, is measured whole: its quiet half
// has one step, which is 0, as coremltools makes it. It once had a scale of its own, for the task was
// cut by the bytes of its output and measured by those of its source.
func TestOneScaleForARowOfBlocks(t *testing.T) {
	for _, d := range []tensor.Type{tensor.F32, tensor.F64, tensor.F16, tensor.BF16} {
		n := 1152 * 4 / d.Size()
		for _, c := range []struct {
			weight testkit.Weight
			config string
		}{
			{halves("conv.weight", d, n, 4096), `{"global_config":{"weight_dtype":"int4","granularity":"per_tensor"}}`},
			{halves("deconv.weight", d, n, 4, 1024), `{"global_config":{"weight_dtype":"int4","granularity":"per_channel"}}`},
		} {
			in := testkit.Safetensors(c.weight)
			for _, o := range []quant.Options{{Workers: 1}, {Workers: 3}, {Workers: 2, Limits: tile.Limits{Batch: 9 << 20}}} {
				out, _, err := convertIn(t, in, c.config, container.Options{To: "coremltools"}, o)
				if err != nil {
					t.Fatal(err)
				}
				x := values(t, out)[c.weight.Name]
				for i := len(x.raw) / 2; i < len(x.raw); i++ {
					if x.raw[i]&0x7f != 0 { // -0 is 0
						t.Fatalf("%s %s, %+v: the quiet half is not 0 at byte %d", c.weight.Name, d, o, i)
					}
				}
				v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)},
					[]*tensor.File{testkit.File("in", in)},
					quant.Options{})

				if err != nil || !v.OK {
					t.Errorf("%s %s, %+v: verify says %+v, %v", c.weight.Name, d, o, v, err)
				}
			}
		}
	}
}

// endless is a file of a beginning and then of numbers that never repeat: a stretch of bfloat16 again and
// again, each time with another sign or size.
type endless struct{ head, again []byte }

func (e endless) ReadAt(b []byte, at int64) (n int, err error) {
	if at < int64(len(e.head)) {
		n = copy(b, e.head[at:])
	}
	for n < len(b) {
		place := at + int64(n) - int64(len(e.head))
		round, from := place/int64(len(e.again)), place%int64(len(e.again))
		got := b[n : n+copy(b[n:], e.again[from:])]
		// The low byte of each number is another one in each round, so that no two are alike.
		for i := from & 1; i < int64(len(got)); i += 64 {
			got[i] ^= byte(round>>3) | 1
		}
		n += len(got)
	}
	return n, nil
}

// A row of more than 2^31 weights converts, in blocks and as one block, and verify, which goes another
// way, finds every number of it right. What is counted in places, in codes or in blocks needs more than
// 32 bits, and no stretch of the row is like another.
func TestRowOfMoreThan32Bits(t *testing.T) {
	const cols = 1<<31 + 1024
	for _, config := range []string{
		`{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":32}}`,
		`{"global_config":{"weight_dtype":"uint8","granularity":"per_channel","quantization_scheme":"affine"}}`,
	} {
		header := fmt.Sprintf(`{"a.weight":{"dtype":"BF16","shape":[1,%d],"data_offsets":[0,%d]}}`, int64(cols),
			int64(cols)*2)
		head := testkit.RawSafetensors(header, 0)
		again := halves("", tensor.BF16, 1<<19-32).Values // its length divides no power of two
		source := []*tensor.File{{Name: "long", Size: int64(len(head)) + cols*2, R: endless{head, again}}}
		c, err := quant.Open(source, quant.Options{})
		if err != nil {
			t.Fatal(err)
		}
		j, err := testkit.Plan(c, parse(t, config), recipe.Options{}, container.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		r, err := quant.Convert(context.Background(), j, out, quant.Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		info, err := out.Stat()
		if err != nil || info.Size() != j.Output.Bytes || r.Totals.Quantized != 1 {
			t.Errorf("%s: %d bytes of %d, %v", config, info.Size(), j.Output.Bytes, err)
		}
		v, err := quant.Verify(t.Context(), []*tensor.File{{Name: "out", Size: info.Size(), R: out}}, source, quant.Options{})
		if err != nil || !v.OK {
			t.Errorf("%s: verify says %+v, %v", config, v, err)
		}
	}
}
