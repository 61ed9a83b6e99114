package kernel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"

	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// vector is one case computed by coremltools' own functions; testkit/vectors has
// the note on versions.
type vector struct {
	ID         string
	DType      string
	Shape      []int64
	Input      string `json:"input_le_hex"`
	Bits       int
	Signed     bool
	Mode       string
	BlockSizes []int64 `json:"block_sizes"`
	Q          []int
	ScaleShape []int64 `json:"scale_shape"`
	ScaleDType string  `json:"scale_dtype"`
	Scale      string  `json:"scale_le_hex"`
	ZeroPoint  []int   `json:"zero_point"`
	Dequant    string  `json:"dequant_le_hex"`
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("../testkit/vectors/coremltools_ptq.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 75 {
		t.Fatalf("%d vectors, want 75", len(file.Cases))
	}
	return file.Cases
}

// geometry is the scheme and the grid of a vector; its block sizes are already per axis, 0 = whole.
func (v vector) geometry() (scheme.Scheme, scheme.Grid) {
	s := scheme.Scheme{Mode: scheme.Mode(v.Mode)}
	switch {
	case v.Bits == 4 && v.Signed:
		s.WeightDType = scheme.Int4
	case v.Bits == 4:
		s.WeightDType = scheme.Uint4
	case v.Signed:
		s.WeightDType = scheme.Int8
	default:
		s.WeightDType = scheme.Uint8
	}
	g := scheme.Grid{Rows: v.Shape[0], Cols: v.Shape[1], Inner: 1, BlockRows: v.BlockSizes[0], BlockCols: v.BlockSizes[1]}
	for _, d := range v.Shape[2:] {
		g.Inner *= d
	}
	if g.BlockRows == 0 {
		g.BlockRows = g.Rows
	}
	if g.BlockCols == 0 {
		g.BlockCols = g.Cols
	}
	return s, g
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return append(tensor.Buffer(nil, len(b))[:0], b...)
}

func TestVectorsFromCoremltools(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.ID, func(t *testing.T) {
			switch v.DType {
			case "float32":
				checkVector(t, v, false, tensor.View[float32](unhex(t, v.Input)),
					func(x []float32) []byte { return tensor.Bytes(x) })
			case "float64":
				checkVector(t, v, false, tensor.View[float64](unhex(t, v.Input)),
					func(x []float64) []byte { return tensor.Bytes(x) })
			case "float16":
				half := tensor.View[uint16](unhex(t, v.Input))
				wide := make([]float32, len(half))
				for i, h := range half {
					wide[i] = tensor.F16ToF32(h)
				}
				checkVector(t, v, true, wide, func(x []float32) []byte {
					half := make([]uint16, len(x))
					for i, f := range x {
						half[i] = tensor.F32ToF16(f)
					}
					return tensor.Bytes(half)
				})
			default:
				t.Fatalf("dtype %q", v.DType)
			}
		})
	}
}

func checkVector[T Float](t *testing.T, v vector, half bool, src []T, store func([]T) []byte) {
	s, g := v.geometry()
	a := NewArith(s, half)
	scale, zp, codes, out := quantizeAll(a, g, src)
	for i, q := range v.Q {
		if read(s, codes[i]) != q {
			t.Fatalf("code %d is %v, want %d", i, read(s, codes[i]), q)
		}
	}
	if len(v.Q) != len(codes) {
		t.Fatalf("%d codes, want %d", len(codes), len(v.Q))
	}
	same(t, "scale", v.ScaleDType, store(scale), unhex(t, v.Scale))
	if (v.ZeroPoint == nil) != (zp == nil) || len(v.ZeroPoint) != len(zp) {
		t.Fatalf("%d zero points, want %d", len(zp), len(v.ZeroPoint))
	}
	for i, z := range v.ZeroPoint {
		if read(s, zp[i]) != z {
			t.Fatalf("zero point %d is %v, want %d", i, read(s, zp[i]), z)
		}
	}
	same(t, "dequantized", v.DType, store(out), unhex(t, v.Dequant))
}

// read reads a code or a zero point.
func read(s scheme.Scheme, b byte) int {
	if s.Signed() {
		return int(int8(b))
	}
	return int(b)
}

// quantizeAll runs the four kernels over a whole weight, row by row.
func quantizeAll[T Float](a Arith, g scheme.Grid, src []T) (scale []T, zp, codes []byte, out []T) {
	across, row := int(g.Across()), int(g.Row())
	n := int(g.Scales())
	lo, hi := make([]T, n), make([]T, n)
	Reset(lo, hi)
	for r := range int(g.Rows) {
		b := r / int(g.BlockRows) * across
		Range(src[r*row:(r+1)*row], int(g.GroupWidth()), lo[b:b+across], hi[b:b+across])
	}
	scale = make([]T, n)
	if a.HasZero {
		zp = make([]byte, n)
	}
	Params(a, lo, hi, scale, zp)
	codes, out = make([]byte, len(src)), make([]T, len(src))
	for r := range int(g.Rows) {
		b := r / int(g.BlockRows) * across
		var z []byte
		if zp != nil {
			z = zp[b : b+across]
		}
		c := codes[r*row : (r+1)*row]
		var e Errors
		Quantize(a, src[r*row:(r+1)*row], int(g.GroupWidth()), scale[b:b+across], z, c, &e)
		Dequantize(a, c, int(g.GroupWidth()), scale[b:b+across], z, out[r*row:(r+1)*row])
	}
	return scale, zp, codes, out
}

// same compares values bit for bit, except that any NaN equals any NaN: payload and
// sign of a NaN are not significant in the vectors.
func same(t *testing.T, what, dtype string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	size := map[string]int{"float16": 2, "float32": 4, "float64": 8}[dtype]
	if size == 0 || len(got) != len(want) {
		t.Fatalf("%s: %d bytes of %q, want %d", what, len(got), dtype, len(want))
	}
	for i := 0; i < len(got); i += size {
		g, w := got[i:i+size], want[i:i+size]
		if !bytes.Equal(g, w) && !(isNaN(g) && isNaN(w)) {
			t.Fatalf("%s %d is %x, want %x", what, i/size, g, w)
		}
	}
}

func isNaN(b []byte) bool {
	b = append(tensor.Buffer(nil, len(b))[:0], b...)
	switch len(b) {
	case 2:
		f := tensor.F16ToF32(tensor.View[uint16](b)[0])
		return f != f
	case 4:
		f := tensor.View[float32](b)[0]
		return f != f
	}
	return math.IsNaN(tensor.View[float64](b)[0])
}
