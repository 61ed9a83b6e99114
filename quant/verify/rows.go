package verify

import (
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// rows reads parts of the rows of a tensor, most of them one after the other or twice. Short rows are
// read many at a time, a part of a long one alone.
type rows struct {
	tensor *tensor.Tensor
	limits tile.Limits
	size   int64     // bytes of a value
	row    int64     // bytes of one row
	held   tile.Tile // what bytes holds; no rows at first
	bytes  []byte
}

// newRows reads a tensor of two axes or more by its first one.
func newRows(t *tensor.Tensor, l tile.Limits) *rows {
	return &rows{tensor: t, limits: l, size: t.DType.Size(), row: t.Bytes() / t.Shape[0]}
}

// part is n bytes of a row from a byte on, both multiples of a value's. It is aligned, and valid until the next call.
func (r *rows) part(row, from, n int64) ([]byte, error) {
	if r.row > r.limits.Tile {
		err := r.hold(tile.Tile{Row: row, Rows: 1, Col: from / r.size, Cols: n / r.size})
		return r.bytes, err
	}
	if row < r.held.Row || row >= r.held.Row+r.held.Rows {
		many := max(r.limits.Tile/max(r.row, 1), 1)
		if err := r.hold(tile.Whole(r.tensor, row, min(many, r.tensor.Shape[0]-row))); err != nil {
			return nil, err
		}
	}
	from += (row - r.held.Row) * r.row
	return r.bytes[from : from+n], nil
}

// hold reads a tile, unless it is the one that is held.
func (r *rows) hold(x tile.Tile) error {
	if x == r.held {
		return nil
	}
	r.held, r.bytes = tile.Tile{}, tensor.Buffer(r.bytes, int(x.Size(r.tensor)))
	if err := x.Read(r.tensor, r.bytes, r.limits); err != nil {
		return err
	}
	r.held = x
	return nil
}
