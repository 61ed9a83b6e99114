// Package tile cuts a tensor into row bands and reads them.
//
// A tile names rows of a tensor; it holds no bytes. Whoever runs a tile calls Read,
// so peak memory is the size of a tile times the number of workers, whatever the
// size of the model. Where tiles are cut depends on the tensor and its blocks alone,
// never on the machine, so that sums over tiles are the same everywhere.
package tile

import (
	"fmt"
	"io"
	"sort"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Bytes is the size a tile aims at. One block of rows is never cut, so a tile can be
// larger when a single one is.
const Bytes = 4 << 20

// Tile is the rows [Row, Row+Rows) of axis 0.
type Tile struct{ Row, Rows int64 }

// Cut divides a tensor into tiles of whole blocks of blockRows rows. A scalar is one
// row; an empty tensor has no tiles.
func Cut(t *tensor.Tensor, blockRows int64) []Tile {
	total := t.Elements()
	if total == 0 {
		return nil
	}
	rows := int64(1)
	if len(t.Shape) > 0 {
		rows = t.Shape[0]
	}
	per := Bytes / (total / rows * t.DType.Size())
	per = max(per/blockRows, 1) * blockRows
	var tiles []Tile
	for r := int64(0); r < rows; r += per {
		tiles = append(tiles, Tile{r, min(per, rows-r)})
	}
	return tiles
}

// Size is how many bytes the rows of a tile take, densely.
func (x Tile) Size(t *tensor.Tensor) int64 {
	if len(t.Shape) == 0 {
		return t.DType.Size()
	}
	if t.Shape[0] == 0 {
		return 0
	}
	return t.Bytes() / t.Shape[0] * x.Rows
}

// Read fills dst, of Size bytes, with the tile's values in row-major order.
func (x Tile) Read(t *tensor.Tensor, dst []byte) error {
	base := t.Storage.Start + t.Offset
	if t.Contiguous() {
		return readAt(t, dst, base+x.Row*x.Size(t)/max(x.Rows, 1))
	}
	return x.gather(t, dst, base)
}

func readAt(t *tensor.Tensor, dst []byte, at int64) error {
	n, err := t.Storage.File.R.ReadAt(dst, at)
	if n == len(dst) {
		return nil
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fault.Bad(t.Storage.File.Name, "the file ended while its values were read").In(t.Name).At(at + int64(n)).
			Hint("the file changed or is cut short")
	}
	return fmt.Errorf("%s: reading tensor %q: %w", t.Storage.File.Name, t.Name, err)
}

// window is how much of a storage gather holds at a time.
const window = 1 << 20

// gather reads a strided view. It walks the view's axes from the largest stride to
// the smallest, so that the storage is passed over almost in order, through a sliding
// window. The window is as wide as the innermost axes that lie close together: where
// an outer axis jumps far, only what is wanted is read.
func (x Tile) gather(t *tensor.Tensor, dst []byte, base int64) error {
	size := t.DType.Size()
	shape := append([]int64{x.Rows}, t.Shape[1:]...)
	dense := tensor.DenseStrides(shape)
	axes := make([]int, len(shape))
	for i := range axes {
		axes[i] = i
	}
	sort.SliceStable(axes, func(i, j int) bool { return t.Strides[axes[i]] > t.Strides[axes[j]] })
	first := base + x.Row*t.Strides[0]*size
	extent, _ := tensor.Extent(shape, t.Strides)
	end := first + extent*size
	reach := size
	inner, strides := []int64{}, []int64{}
	for k := len(axes) - 1; k >= 0; k-- {
		inner, strides = append(inner, shape[axes[k]]), append(strides, t.Strides[axes[k]])
		if n, _ := tensor.Extent(inner, strides); n*size <= window {
			reach = n * size
			continue
		}
		if t.Strides[axes[k]]*size <= 2*reach { // the next axis is dense enough to read through
			reach = window
		}
		break
	}

	var buf []byte
	from, until := int64(0), int64(0) // what buf covers
	at := func(off int64) ([]byte, error) {
		if off < from || off+size > until {
			n := min(reach, end-off)
			buf = tensor.Buffer(buf, int(n))
			if err := readAt(t, buf, off); err != nil {
				return nil, err
			}
			from, until = off, off+n
		}
		return buf[off-from : off-from+size], nil
	}
	index := make([]int64, len(shape))
	src, out := first, int64(0)
	for {
		v, err := at(src)
		if err != nil {
			return err
		}
		copy(dst[out:], v)
		k := len(axes) - 1
		for ; k >= 0; k-- {
			a := axes[k]
			index[a]++
			src += t.Strides[a] * size
			out += dense[a] * size
			if index[a] < shape[a] {
				break
			}
			src -= index[a] * t.Strides[a] * size
			out -= index[a] * dense[a] * size
			index[a] = 0
		}
		if k < 0 {
			return nil
		}
	}
}
