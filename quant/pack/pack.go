// Package pack is how planes lie in bytes, and back. A code lays the planes of a tile one after the other, and reads
// them; it knows no arithmetic and no names of tensors. Everything is little-endian.
//
// A Spec says which plane lies in which form. It is plain data, so that it travels with a task. Containers make
// Specs; the executor and verify follow them. A new form is a file beside this one, or a package of its own, and a
// row of the table. Only package quant is stable.
package pack

import (
	"fmt"

	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/tensor"
)

// Spec is one way to lay a plane. The zero Spec stands for bytes that are known without the weight.
type Spec struct {
	Form   string      // row of the table
	Plane  plane.Kind  // that it lays; of a form that lays several, Codes
	DType  tensor.Type // of floats
	Bits   int         // of codes and zero points
	Signed bool        // these are two's complement
	PerRow bool        // of what groups share: each row of the weight has its own, repeated where groups have several rows
	Group  int         // weights of a group, where a form lays groups whole
}

// Code lays planes of a tile in bytes.
type Code[T kernel.Float] interface {
	// Append lays what the tile has.
	Append(dst []byte, t *plane.Tile[T]) []byte
	// Read is the inverse: it fills as many items as the tile has room for. src is aligned to its elements. clean is
	// false where bits are set that hold nothing.
	Read(src []byte, t *plane.Tile[T]) (clean bool)
}

// RowPacker is a Code whose bytes are shared by several rows. Its Append makes items one a byte, which wait until
// PackRows lays those of all rows that share bytes.
type RowPacker interface {
	// PackRows lays the items [from, from+n) of each row. raw is whole rows of across items: all rows that share bytes,
	// or the fewer rows at the end of a weight.
	PackRows(dst, raw []byte, across, from, n int) []byte
}

// Row is one form.
type Row struct {
	Name   string
	Whole  bool                        // it lays groups whole: codes and parameters lie together
	Bytes  func(s Spec, n int64) int64 // of n items of a row, from its beginning or a cut on
	Rows   func(s Spec) int64          // how many rows share bytes, for a RowPacker; nil for others
	Single func(s Spec) Code[float32]  // of arithmetic in float32
	Double func(s Spec) Code[float64]  // of arithmetic in float64; nil where there is none
}

// Forms of the table.
const (
	Floats  = "floats"  // values, scales or offsets in a dtype
	Bytes   = "bytes"   // one code or zero point a byte
	Nibbles = "nibbles" // one 4-bit code a byte, high 4 bits zero
	Words   = "words"   // codes in 32-bit words, the first in the lowest bits, unsigned; each row ends with a word
	Columns = "columns" // zero points of a column in 32-bit words, the first row in the lowest bits, unsigned
)

// Table is the forms by name.
var Table = []Row{
	{Floats, false, func(s Spec, n int64) int64 { return n * s.DType.Size() }, nil, newFloats[float32],
		newFloats[float64]},
	{Bytes, false, func(_ Spec, n int64) int64 { return n }, nil, newBytes[float32], newBytes[float64]},
	{Nibbles, false, func(_ Spec, n int64) int64 { return n }, nil, newNibbles[float32], newNibbles[float64]},
	{Words, false, func(s Spec, n int64) int64 { return (n*int64(s.Bits) + 31) / 32 * 4 }, nil, newWords[float32],
		newWords[float64]},
	{Columns, false, func(_ Spec, n int64) int64 { return 4 * n }, func(s Spec) int64 { return int64(32 / s.Bits) },
		newColumns[float32], newColumns[float64]},
}

// Find is the row of a Spec's form; nil where there is none.
func Find(s Spec) *Row {
	for i := range Table {
		if Table[i].Name == s.Form {
			return &Table[i]
		}
	}
	return nil
}

// Weights reports whether it lays something of each weight, so that it takes as long as the weight itself.
func (s Spec) Weights() bool { return s.Plane == plane.Values || s.Plane == plane.Codes }

// Bytes is how many bytes n items of a row take.
func (s Spec) Bytes(n int64) int64 {
	if row := Find(s); row != nil {
		return row.Bytes(s, n)
	}
	return 0
}

// Rows is how many rows share bytes: 1, but for a RowPacker.
func (s Spec) Rows() int64 {
	if row := Find(s); row != nil && row.Rows != nil {
		return row.Rows(s)
	}
	return 1
}

// Whole reports whether it lays groups whole.
func (s Spec) Whole() bool {
	row := Find(s)
	return row != nil && row.Whole
}

// Of is the code of a Spec for planes held as T.
func Of[T kernel.Float](s Spec) (Code[T], error) {
	row := Find(s)
	if row == nil {
		return nil, fmt.Errorf("internal error: there is no form %q; please report it", s.Form)
	}
	var zero T
	var c any
	if _, single := any(zero).(float32); single {
		c = row.Single(s)
	} else if row.Double != nil {
		c = row.Double(s)
	}
	if of, ok := c.(Code[T]); ok {
		return of, nil
	}
	return nil, fmt.Errorf("internal error: the form %q takes no float64; please report it", s.Form)
}
