package verify

import (
	"context"

	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// rows reads stretches of the rows of a tensor, most of them one after the other or twice. It loads many short rows
// at a time, and a stretch of a long row alone.
type rows struct {
	ctx    context.Context
	tensor *tensor.Tensor
	limits tile.Limits
	size   int64     // bytes of a value
	row    int64     // bytes of one row
	loaded tile.Tile // what bytes holds; no rows at first
	bytes  []byte
}

// newRows reads a tensor of two axes or more by its first one.
func newRows(ctx context.Context, t *tensor.Tensor, l tile.Limits) *rows {
	return &rows{ctx: ctx, tensor: t, limits: l, size: t.DType.Size(), row: t.Bytes() / t.Shape[0]}
}

// read returns n bytes of a row from a byte on, both multiples of a value's size. They are aligned, and valid until
// the next call.
func (r *rows) read(row, from, n int64) ([]byte, error) {
	if r.row > r.limits.Tile {
		err := r.load(tile.Tile{Row: row, Rows: 1, Col: from / r.size, Cols: n / r.size})
		return r.bytes, err
	}
	if row < r.loaded.Row || row >= r.loaded.Row+r.loaded.Rows {
		many := max(r.limits.Tile/max(r.row, 1), 1)
		if err := r.load(tile.Whole(r.tensor, row, min(many, r.tensor.Shape[0]-row))); err != nil {
			return nil, err
		}
	}
	from += (row - r.loaded.Row) * r.row
	return r.bytes[from : from+n], nil
}

// load reads a tile, unless it is the one that was loaded last.
func (r *rows) load(x tile.Tile) error {
	if x == r.loaded {
		return nil
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	r.loaded, r.bytes = tile.Tile{}, tensor.Buffer(r.bytes, int(x.Size(r.tensor)))
	if err := x.Read(r.tensor, r.bytes, r.limits); err != nil {
		return err
	}
	r.loaded = x
	return nil
}
