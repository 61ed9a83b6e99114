// Package plane holds the nouns between methods, which make planes of numbers, and pack codes, which lay them in
// bytes. A plane is one array that a quantized weight becomes: its codes, one for each weight, and what the weights
// of a group share: a scale, a zero point, an offset.
//
// Planes are held as T, the type of the arithmetic, and as raw bytes where they are integers: two's complement when
// the scheme is signed. The package does no arithmetic and lays no bytes. Only package quant is stable.
package plane

import "nibble/quant/kernel"

// Kind says which plane is meant.
type Kind uint8

const (
	None      Kind = iota
	Values         // what the codes stand for, in the dtype of the arithmetic
	Codes          // one for each weight
	Scale          // step size of a group
	ZeroPoint      // integer in code space: w = scale * (q - zero point)
	Offset         // float in weight space: w = scale * q + offset
)

// Has says which planes a method makes beside codes and scales.
type Has struct{ ZeroPoint, Offset bool }

// Params are the planes that groups share; item k is group k's.
type Params[T kernel.Float] struct {
	Scale     []T
	ZeroPoint []byte // nil where the method makes none
	Offset    []T    // nil where the method makes none
}

// Make makes room for the parameters of n groups, in the arrays of p where these are large enough.
func (p Params[T]) Make(has Has, n int) Params[T] {
	out := Params[T]{Scale: grown(p.Scale, n)}
	if has.ZeroPoint {
		out.ZeroPoint = grown(p.ZeroPoint, n)
	}
	if has.Offset {
		out.Offset = grown(p.Offset, n)
	}
	return out
}

// Slice is the parameters of the groups [from, to).
func (p Params[T]) Slice(from, to int) Params[T] {
	out := Params[T]{Scale: p.Scale[from:to]}
	if p.ZeroPoint != nil {
		out.ZeroPoint = p.ZeroPoint[from:to]
	}
	if p.Offset != nil {
		out.Offset = p.Offset[from:to]
	}
	return out
}

// Emptied has the planes of like without items, in the arrays of p, to append to.
func (p Params[T]) Emptied(like Params[T]) Params[T] {
	out := Params[T]{Scale: p.Scale[:0]}
	if like.ZeroPoint != nil {
		out.ZeroPoint = p.ZeroPoint[:0]
	}
	if like.Offset != nil {
		out.Offset = p.Offset[:0]
	}
	return out
}

// Append adds the parameters of more groups.
func (p Params[T]) Append(more Params[T]) Params[T] {
	return Params[T]{
		Scale: append(p.Scale, more.Scale...), ZeroPoint: append(p.ZeroPoint, more.ZeroPoint...),
		Offset: append(p.Offset, more.Offset...),
	}
}

// Stats are two numbers of each group, which a method finds before it makes parameters; mostly the range of the
// group's weights.
type Stats[T kernel.Float] struct{ Low, High []T }

// Make makes room for the numbers of n groups, in the arrays of s where these are large enough.
func (s Stats[T]) Make(n int) Stats[T] { return Stats[T]{grown(s.Low, n), grown(s.High, n)} }

// Slice is the numbers of the groups [from, to).
func (s Stats[T]) Slice(from, to int) Stats[T] { return Stats[T]{s.Low[from:to], s.High[from:to]} }

// Tile is what a pack code sees of a weight: whole rows, or a stretch of one row. Codes and values lie row by row.
type Tile[T kernel.Float] struct {
	Rows       int   // whole rows, or 1
	First      int64 // row of the weight with which it begins
	Last       bool  // it has the weight's last row
	GroupWidth int   // weights of a row that share parameters
	Codes      []byte
	Values     []T // nil where no code asks for them
	Params[T]
}

// Row is how many codes a row of the tile has.
func (t *Tile[T]) Row() int { return len(t.Codes) / max(t.Rows, 1) }

// grown returns n items of any content, in s where it is large enough.
func grown[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
