package convert

import (
	"iter"

	"nibble/quant/kernel"
	"nibble/quant/scheme"
	"nibble/quant/tile"
)

// segment is the values of one row of a tile, which may be a stretch of a longer row of the weight.
type segment[T kernel.Float] struct {
	values []T
	at     int   // index of the first value in the tile
	row    int   // of the tile
	col    int64 // of the weight's row
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

// blocks calls each for the groups of the segment: count groups from number block of the row on, of length values
// each. Whole groups come together; the first and the last, which the ends of the tile may have cut, come alone.
func (s segment[T]) blocks(g scheme.Grid, each func(values []T, block, count, length int)) {
	width := int(g.GroupWidth())
	for at := 0; at < len(s.values); {
		block := (int(s.col) + at) / width
		inside, left := (int(s.col)+at)%width, len(s.values)-at
		if inside > 0 || left < width {
			n := min(width-inside, left)
			each(s.values[at:at+n], block, 1, n)
			at += n
			continue
		}
		each(s.values[at:at+left/width*width], block, left/width, width)
		at += left / width * width
	}
}
