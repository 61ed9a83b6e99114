package convert

import (
	"iter"

	"nibble/quant/kernel"
	"nibble/quant/scheme"
	"nibble/quant/tile"
)

// segment is a row of a tile, or the part of a long one that the tile has.
type segment[T kernel.Float] struct {
	values []T
	at     int // of the first value in the tile
	row    int // in the tile
	col    int64
}

// segments are the rows of a tile.
func segments[T kernel.Float](t tile.Tile, values []T) iter.Seq[segment[T]] {
	width := int(t.Cols)
	return func(yield func(segment[T]) bool) {
		for r := range int(t.Rows) {
			if !yield(segment[T]{values[r*width : (r+1)*width], r * width, r, t.Col}) {
				return
			}
		}
	}
}

// blocks parts a segment into whole blocks, which come together, and the first and the last
// one, which a long row may have cut: count blocks from block on, length values each.
func (s segment[T]) blocks(g scheme.Grid, each func(part []T, block, count, length int)) {
	run := int(g.Run())
	for at := 0; at < len(s.values); {
		block := (int(s.col) + at) / run
		inside, left := (int(s.col)+at)%run, len(s.values)-at
		if inside > 0 || left < run {
			n := min(run-inside, left)
			each(s.values[at:at+n], block, 1, n)
			at += n
			continue
		}
		each(s.values[at:at+left/run*run], block, left/run, run)
		at += left / run * run
	}
}
