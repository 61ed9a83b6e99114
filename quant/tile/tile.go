// Package tile cuts a tensor into tiles and reads them.
//
// A tile names rows of a tensor, or columns of one row; it holds no bytes. Whoever works on a tile calls Read, so
// peak memory is the size of a tile times the number of workers, whatever the size of the model. Where tiles are cut
// depends on the tensor, its groups and the Limits alone, never on the machine, so that sums over tiles are the same
// everywhere. Only package quant is stable.
package tile

import (
	"fmt"
	"io"
	"sort"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Word is the number that the first column of a tile is a multiple of: eight codes of 4 bits fill the 32-bit word
// that packed codes lie in, so that each tile begins with a whole word.
const Word = 8

// Tile is the rows [Row, Row+Rows) of axis 0 in their columns [Col, Col+Cols), with the other axes seen as one. It
// has all columns, unless a single row is larger than a tile; then it is a stretch of that row.
type Tile struct{ Row, Rows, Col, Cols int64 }

// Whole is the tile of so many whole rows, from row on.
func Whole(t *tensor.Tensor, row, rows int64) Tile {
	_, cols := rowsOf(t)
	return Tile{Row: row, Rows: rows, Cols: cols}
}

// rowsOf is how many rows a tensor has, and how many values one holds. A scalar is one row.
func rowsOf(t *tensor.Tensor) (rows, row int64) {
	if len(t.Shape) == 0 {
		return 1, 1
	}
	rows = t.Shape[0]
	if rows == 0 {
		return 0, 0
	}
	return rows, t.Elements() / rows
}

// Cut divides a tensor into tiles of whole groups of blockRows rows, of at most limit bytes. An empty tensor has no
// tiles.
func Cut(t *tensor.Tensor, blockRows, limit int64) []Tile {
	rows, _ := rowsOf(t)
	return Rows(t, 0, rows, blockRows, limit)
}

// Rows is Cut for the rows [from, to). A group that is larger than the limit is a tile all the same; where groups
// have one row, a row that is larger is cut into columns.
func Rows(t *tensor.Tensor, from, to, blockRows, limit int64) []Tile {
	_, row := rowsOf(t)
	if row == 0 {
		return nil
	}
	var tiles []Tile
	size := t.DType.Size()
	if row*size > limit && blockRows == 1 {
		for r := from; r < to; r++ {
			tiles = append(tiles, Columns(t, r, 0, row, Word, limit)...)
		}
		return tiles
	}
	per := max(limit/(row*size)/blockRows, 1) * blockRows
	for r := from; r < to; r += per {
		tiles = append(tiles, Tile{Row: r, Rows: min(per, to-r), Cols: row})
	}
	return tiles
}

// Columns divides the columns [from, to) of one row into tiles of at most limit bytes, or of one step, that begin at
// multiples of step from the first one. The other axes are seen as one.
func Columns(t *tensor.Tensor, row, from, to, step, limit int64) (tiles []Tile) {
	cols := max(limit/t.DType.Size()/step, 1) * step
	for c := from; c < to; c += cols {
		tiles = append(tiles, Tile{Row: row, Rows: 1, Col: c, Cols: min(cols, to-c)})
	}
	return tiles
}

// Size is how many bytes a tile takes, densely.
func (x Tile) Size(t *tensor.Tensor) int64 {
	return x.Rows * x.Cols * t.DType.Size()
}

// Elements is how many values a tile holds.
func (x Tile) Elements() int { return int(x.Rows * x.Cols) }

// Span is the bytes of the file between which a tile's values lie.
func (x Tile) Span(t *tensor.Tensor) (from, to int64) {
	base, size := t.Storage.Start+t.Offset, t.DType.Size()
	if t.Contiguous() {
		_, row := rowsOf(t)
		from = base + (x.Row*row+x.Col)*size
		return from, from + x.Size(t)
	}
	shape := append([]int64{x.Rows}, t.Shape[1:]...)
	extent, _ := tensor.Extent(shape, t.Strides)
	from = base + x.Row*t.Strides[0]*size
	return from, from + extent*size
}

// Read fills dst, of Size bytes, with the tile's values in row-major order. A strided view is read
// through the limits' window of its storage.
func (x Tile) Read(t *tensor.Tensor, dst []byte, l Limits) error {
	l = l.Filled()
	base := t.Storage.Start + t.Offset
	_, row := rowsOf(t)
	if t.Contiguous() {
		return readAt(t, dst, base+(x.Row*row+x.Col)*t.DType.Size())
	}
	if x.Cols < row {
		return x.readByValue(t, dst, base, l.Page)
	}
	return x.readStrided(t, dst, base, l.Window)
}

// readAt fills dst from a place of the tensor's file. A file that ends there is an error that says so.
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

// readByValue reads a stretch of one long row of a strided view, value by value in the order of the output, a page at
// a time. It is slow, and rows of megabytes in views are rare.
func (x Tile) readByValue(t *tensor.Tensor, dst []byte, base, page int64) error {
	size := t.DType.Size()
	inner := t.Shape[1:]
	index, rest := make([]int64, len(inner)), x.Col
	src := base + x.Row*t.Strides[0]*size
	for k := len(inner) - 1; k >= 0; k-- {
		index[k] = rest % inner[k]
		rest /= inner[k]
		src += index[k] * t.Strides[k+1] * size
	}
	buf := make([]byte, 0, max(page, size))
	from := int64(0)
	for out := int64(0); out < int64(len(dst)); out += size {
		if src < from || src+size > from+int64(len(buf)) {
			buf = buf[:min(int64(cap(buf)), t.Storage.End-src)]
			if err := readAt(t, buf, src); err != nil {
				return err
			}
			from = src
		}
		copy(dst[out:out+size], buf[src-from:])
		for k := len(inner) - 1; k >= 0; k-- {
			index[k]++
			src += t.Strides[k+1] * size
			if index[k] < inner[k] {
				break
			}
			src -= index[k] * t.Strides[k+1] * size
			index[k] = 0
		}
	}
	return nil
}

// readStrided reads a strided view. It walks the view's axes from the largest stride to the smallest, so that the
// storage is passed over almost in order, through a sliding window.
func (x Tile) readStrided(t *tensor.Tensor, dst []byte, base, size int64) error {
	shape := append([]int64{x.Rows}, t.Shape[1:]...)
	axes := make([]int, len(shape))
	for i := range axes {
		axes[i] = i
	}
	sort.SliceStable(axes, func(i, j int) bool { return t.Strides[axes[i]] > t.Strides[axes[j]] })
	bytes := t.DType.Size()
	src := base + x.Row*t.Strides[0]*bytes
	extent, _ := tensor.Extent(shape, t.Strides)
	w := window{tensor: t, end: src + extent*bytes, reach: reachOf(t, shape, axes, max(size, bytes))}
	dense, index, out := tensor.DenseStrides(shape), make([]int64, len(shape)), int64(0)
	for {
		value, err := w.value(src)
		if err != nil {
			return err
		}
		copy(dst[out:], value)
		k := len(axes) - 1
		for ; k >= 0; k-- {
			a := axes[k]
			index[a]++
			src += t.Strides[a] * bytes
			out += dense[a] * bytes
			if index[a] < shape[a] {
				break
			}
			src -= index[a] * t.Strides[a] * bytes
			out -= index[a] * dense[a] * bytes
			index[a] = 0
		}
		if k < 0 {
			return nil
		}
	}
}

// reachOf is how many bytes a window of at most size bytes loads at a time: as many as the innermost axes span that lie
// close together. Where an outer axis jumps far, only what is wanted is read.
func reachOf(t *tensor.Tensor, shape []int64, axes []int, size int64) int64 {
	bytes := t.DType.Size()
	reach := bytes
	inner, strides := []int64{}, []int64{}
	for k := len(axes) - 1; k >= 0; k-- {
		inner, strides = append(inner, shape[axes[k]]), append(strides, t.Strides[axes[k]])
		if n, _ := tensor.Extent(inner, strides); n*bytes <= size {
			reach = n * bytes
			continue
		}
		if t.Strides[axes[k]]*bytes <= 2*reach { // the next axis is dense enough to read through
			return size
		}
		break
	}
	return reach
}

// window is a stretch of a file that is in memory.
type window struct {
	tensor      *tensor.Tensor
	reach, end  int64 // bytes to load at a time, and where the view ends in the file
	bytes       []byte
	from, until int64 // what bytes holds of the file
}

// value is the value at a place of the file, valid until the next call.
func (w *window) value(at int64) ([]byte, error) {
	size := w.tensor.DType.Size()
	if at < w.from || at+size > w.until {
		n := min(w.reach, w.end-at)
		w.bytes = tensor.Buffer(w.bytes, int(n))
		if err := readAt(w.tensor, w.bytes, at); err != nil {
			return nil, err
		}
		w.from, w.until = at, at+n
	}
	return w.bytes[at-w.from : at-w.from+size], nil
}
