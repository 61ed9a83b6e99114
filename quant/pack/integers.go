package pack

import (
	"encoding/binary"
	"slices"

	"nibble/quant/kernel"
	"nibble/quant/plane"
)

// integers is the plane of codes or of zero points, as the Spec names it.
func integers[T kernel.Float](s Spec, t *plane.Tile[T]) []byte {
	if s.Plane == plane.ZeroPoint {
		return t.ZeroPoint
	}
	return t.Codes
}

// oneByte lays codes and zero points as they are, one a byte.
type oneByte[T kernel.Float] struct{ Spec }

// newBytes is the row's Single and Double.
func newBytes[T kernel.Float](s Spec) Code[T] { return oneByte[T]{s} }

// Append implements Code.
func (c oneByte[T]) Append(dst []byte, t *plane.Tile[T]) []byte {
	return append(dst, integers(c.Spec, t)...)
}

// Read implements Code.
func (c oneByte[T]) Read(src []byte, t *plane.Tile[T]) bool {
	copy(integers(c.Spec, t), src)
	return true
}

// nibbles lays one 4-bit code a byte, whose high 4 bits are zero.
type nibbles[T kernel.Float] struct{ Spec }

// newNibbles is the row's Single and Double.
func newNibbles[T kernel.Float](s Spec) Code[T] { return nibbles[T]{s} }

// Append implements Code.
func (c nibbles[T]) Append(dst []byte, t *plane.Tile[T]) []byte {
	codes := integers(c.Spec, t)
	dst, out := extend(dst, len(codes))
	kernel.Low4(codes, out)
	return dst
}

// Read implements Code.
func (c nibbles[T]) Read(src []byte, t *plane.Tile[T]) bool {
	codes, clean := integers(c.Spec, t), true
	for i := range codes {
		clean = clean && src[i] < 16
		codes[i] = signed(src[i]&15, c.Spec)
	}
	return clean
}

// words lays codes in 32-bit words, two or one a byte, the first in the lowest bits and unsigned: two's complement
// codes are moved up by half their range. A row, and a stretch of one, ends with a word, which zeros fill.
type words[T kernel.Float] struct{ Spec }

// newWords is the row's Single and Double.
func newWords[T kernel.Float](s Spec) Code[T] { return words[T]{s} }

// Append implements Code.
func (c words[T]) Append(dst []byte, t *plane.Tile[T]) []byte {
	rows, row := t.Rows, t.Row()
	width := int(c.Bytes(int64(row)))
	dst, out := extend(dst, rows*width)
	if row*c.Bits/8 == width { // the rows fill their words, and so are packed as one
		rows, row, width = 1, len(t.Codes), len(out)
	}
	for r := range rows {
		codes, to := t.Codes[r*row:(r+1)*row], out[r*width:(r+1)*width]
		if c.Bits == 4 {
			kernel.Pack4(codes, c.Signed, to)
		} else {
			kernel.Pack8(codes, c.Signed, to)
		}
	}
	return dst
}

// Read implements Code.
func (c words[T]) Read(src []byte, t *plane.Tile[T]) bool {
	row, clean := t.Row(), true
	width := int(c.Bytes(int64(row)))
	for r := range t.Rows {
		codes, from := t.Codes[r*row:(r+1)*row], src[r*width:(r+1)*width]
		if c.Bits == 4 {
			kernel.Unpack4(from, c.Signed, codes)
			if row%2 == 1 {
				clean = clean && from[row/2] < 16
			}
		} else {
			kernel.Pack8(from[:row], c.Signed, codes)
		}
		for _, b := range from[(row*c.Bits+7)/8:] {
			clean = clean && b == 0
		}
	}
	return clean
}

// columns lays zero points in 32-bit words down the rows of a weight: those of 8 rows, or of 4, lie in a word, row 0 in
// its lowest bits, unsigned as words are. The words of a last few rows are filled with zeros.
type columns[T kernel.Float] struct{ Spec }

// newColumns is the row's Single and Double.
func newColumns[T kernel.Float](s Spec) Code[T] { return columns[T]{s} }

// bits are the flip and the mask that turn a zero point into its bits.
func (c columns[T]) bits() (flip, mask uint32) {
	mask = 1<<c.Bits - 1
	if c.Signed {
		flip = (mask + 1) / 2
	}
	return flip, mask
}

// Append makes one a byte; PackRows lays them.
func (c columns[T]) Append(dst []byte, t *plane.Tile[T]) []byte { return append(dst, t.ZeroPoint...) }

// PackRows implements RowPacker.
func (c columns[T]) PackRows(dst, raw []byte, across, from, n int) []byte {
	flip, mask := c.bits()
	dst, out := extend(dst, 4*n)
	clear(out)
	for row := range len(raw) / across {
		for i, z := range raw[row*across+from:][:n] {
			word := out[4*i:]
			binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)|(uint32(z)&mask^flip)<<(row*c.Bits))
		}
	}
	return dst
}

// Read takes the zero points of the tile's one row out of the words that it shares with others.
func (c columns[T]) Read(src []byte, t *plane.Tile[T]) bool {
	flip, mask := c.bits()
	at, clean := int(t.First%int64(32/c.Bits))*c.Bits, true
	for i := range t.ZeroPoint {
		rest := uint64(binary.LittleEndian.Uint32(src[4*i:]) >> at)
		t.ZeroPoint[i] = signed(byte(uint32(rest)&mask^flip), c.Spec)
		clean = clean && !(t.Last && rest>>c.Bits != 0)
	}
	return clean
}

// signed spreads the sign of a 4-bit code in two's complement over its byte.
func signed(b byte, s Spec) byte {
	if s.Signed && s.Bits == 4 {
		return byte(int8(b<<4) >> 4)
	}
	return b
}

// extend makes dst n bytes longer; out are these bytes.
func extend(dst []byte, n int) (longer, out []byte) {
	at := len(dst)
	longer = slices.Grow(dst, n)[:at+n]
	return longer, longer[at:]
}
