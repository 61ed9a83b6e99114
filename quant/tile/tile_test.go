package tile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"nibble/quant/tensor"
)

// naive reads a view value by value.
func naive(t *tensor.Tensor, storage []byte) []byte {
	size := t.DType.Size()
	var out []byte
	index := make([]int64, len(t.Shape))
	for range t.Elements() {
		at := t.Offset
		for a, i := range index {
			at += i * t.Strides[a] * size
		}
		out = append(out, storage[at:at+size]...)
		for a := len(index) - 1; a >= 0; a-- {
			if index[a]++; index[a] < t.Shape[a] {
				break
			}
			index[a] = 0
		}
	}
	return out
}

// Random views: transposed, strided, expanded, with axes of one and of none.
func TestReadEqualsNaive(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	storage := make([]byte, 3<<20) // more than a window
	for i := range storage {
		storage[i] = byte(random.Uint32())
	}
	file := &tensor.File{Name: "x", Size: int64(len(storage)), R: bytes.NewReader(storage)}
	dtypes := []tensor.Type{tensor.U8, tensor.F16, tensor.F32, tensor.F64}
	dense, strided := 0, 0
	for range 400 {
		x := tensor.Tensor{Name: "v", DType: dtypes[random.IntN(4)], Storage: tensor.Storage{File: file, End: file.Size}}
		for range random.IntN(5) {
			x.Shape = append(x.Shape, int64(random.IntN(9)))
		}
		x.Strides = tensor.DenseStrides(x.Shape)
		random.Shuffle(len(x.Shape), func(i, j int) {
			x.Shape[i], x.Shape[j] = x.Shape[j], x.Shape[i]
			x.Strides[i], x.Strides[j] = x.Strides[j], x.Strides[i]
		})
		for a := range x.Strides {
			x.Strides[a] *= []int64{1, 1, 1, 2, 0, 3000}[random.IntN(6)]
		}
		extent, _ := tensor.Extent(x.Shape, x.Strides)
		room := file.Size/x.DType.Size() - extent
		if room < 0 {
			continue
		}
		x.Offset = random.Int64N(room+1) * x.DType.Size()
		if x.Contiguous() {
			dense++
		} else {
			strided++
		}
		var got []byte
		window := []int64{1, 8, 40, 1 << 20}[random.IntN(4)]
		rows := int64(1)
		if len(x.Shape) > 0 {
			rows = x.Shape[0]
		}
		for r := int64(0); r < rows; { // tiles of any height
			cut := Whole(&x, r, min(1+random.Int64N(3), rows-r))
			b := make([]byte, cut.Size(&x))
			if x.Elements() > 0 {
				if err := cut.Read(&x, b, Limits{Window: window, Page: window}); err != nil {
					t.Fatal(err)
				}
			}
			got = append(got, b...)
			r += cut.Rows
		}
		if !bytes.Equal(got, naive(&x, storage)) {
			t.Fatalf("shape %v strides %v offset %d %s differs", x.Shape, x.Strides, x.Offset, x.DType)
		}
	}
	if dense < 30 || strided < 100 {
		t.Errorf("only %d dense and %d strided views were tried", dense, strided)
	}
}

// Tiles cover all rows once, in whole blocks, whatever the sizes.
func TestCutCovers(t *testing.T) {
	for _, c := range []struct {
		shape []int64
		block int64
		tiles int
	}{
		{nil, 1, 1}, {[]int64{0, 5}, 1, 0}, {[]int64{5, 0}, 1, 0}, {[]int64{3}, 1, 1},
		{[]int64{1 << 20, 4}, 1, 8}, {[]int64{1 << 20, 4}, 1 << 19, 2}, {[]int64{2, 1 << 22}, 1, 16},
		{[]int64{7, 1 << 18}, 1, 4},
	} {
		x := tensor.Tensor{DType: tensor.F32, Shape: c.shape, Strides: tensor.DenseStrides(c.shape)}
		tiles := Cut(&x, c.block, 2<<20)
		_, row := rowsOf(&x)
		at, col := int64(0), int64(0)
		for _, cut := range tiles {
			if cut.Row != at || cut.Rows <= 0 || cut.Row%c.block != 0 || cut.Col != col {
				t.Errorf("%v: tile %+v after row %d, column %d", c.shape, cut, at, col)
			}
			if col += cut.Cols; col == row {
				at, col = at+cut.Rows, 0
			}
		}
		want := int64(1)
		if len(c.shape) > 0 {
			want = c.shape[0]
		}
		if len(tiles) != c.tiles || len(tiles) > 0 && at != want {
			t.Errorf("%s: %d tiles to row %d, want %d tiles to row %d", fmt.Sprint(c.shape), len(tiles), at, c.tiles, want)
		}
	}
}

// Rows longer than a tile are read in tiles, dense ones and views.
func TestLongRows(t *testing.T) {
	const limit = 10_000 // a tile of 5,000 values, no multiple of what rows are cut at
	storage := make([]byte, 2*3*(limit/2+5*Word)*2)
	for i := range storage {
		storage[i] = byte(i * 7 >> 3)
	}
	file := memory(storage)
	n := int64(len(storage)) / 12
	for _, x := range []tensor.Tensor{
		{DType: tensor.F16, Shape: []int64{2, 3 * n}, Strides: []int64{3 * n, 1}},
		{DType: tensor.F16, Shape: []int64{2, n, 3}, Strides: []int64{3 * n, 1, n}},
		{DType: tensor.F16, Shape: []int64{3, n, 2}, Strides: []int64{1, 3, 3 * n}},
	} {
		x.Storage = tensor.Storage{File: file, End: file.Size}
		tiles := Cut(&x, 1, limit)
		if len(tiles) < 6 {
			t.Errorf("%v is %d tiles", x.Shape, len(tiles))
		}
		var got []byte
		for _, cut := range tiles {
			b := make([]byte, cut.Size(&x))
			if len(b) > limit {
				t.Errorf("a tile of %d bytes", len(b))
			}
			if err := cut.Read(&x, b, Limits{Window: 64, Page: 64}); err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, naive(&x, storage)) {
			t.Errorf("%v with strides %v differs", x.Shape, x.Strides)
		}
	}
}

func memory(b []byte) *tensor.File {
	return &tensor.File{Name: "long", Size: int64(len(b)), R: bytes.NewReader(b)}
}

// A file that is shorter than its tensor says so.
func TestReadPastTheEnd(t *testing.T) {
	file := &tensor.File{Name: "short", Size: 100, R: bytes.NewReader(make([]byte, 10))}
	for _, strides := range [][]int64{{5, 1}, {1, 5}} {
		x := tensor.Tensor{Name: "w", DType: tensor.F32, Shape: []int64{5, 5}, Strides: strides,
			Storage: tensor.Storage{File: file, End: 100}}
		if err := Whole(&x, 0, 5).Read(&x, make([]byte, 100), Limits{}); err == nil {
			t.Error("it was read without an error")
		}
	}
}
