package layout

import (
	"fmt"
	"slices"

	"nibble/quant/method"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Opener finds how an output holds a tensor of the source: nil where it is kept as it is. find looks a tensor of the
// output up. Containers make openers, verify calls them.
type Opener func(src *tensor.Tensor, find func(name string) *tensor.Tensor) (*Stored, error)

// Stored is a weight as an output holds it, that is quantized, or kept elsewhere than under its own name.
type Stored struct {
	Problem string          // why it is none; "" when nothing is wrong so far
	Schemes []scheme.Scheme // that may have made it: the one that the output names, or all that its pieces allow
	Grid    scheme.Grid
	Pieces  []Piece // that it must have
	Kept    bool    // it is kept, in its one piece, or in none where others say it
}

// Wrong is a weight that cannot be looked at.
func Wrong(format string, args ...any) *Stored { return &Stored{Problem: fmt.Sprintf(format, args...)} }

// Claim is a weight of the source that an output says was quantized by one of some schemes, in so many blocks on each
// axis. What cannot be true of the source is its Problem.
func Claim(src *tensor.Tensor, blocks []int64, schemes ...scheme.Scheme) *Stored {
	if s := schemes[0]; !s.Known() {
		return Wrong("it was made by %q %q, which Nibble does not know", s.WeightDType, s.Mode)
	}
	if len(src.Shape) < 2 || src.Elements() == 0 || !src.DType.Weight() {
		return Wrong("was quantized although it is no matrix of weights")
	}
	if len(blocks) != len(src.Shape) || slices.ContainsFunc(blocks[2:], func(n int64) bool { return n != 1 }) ||
		blocks[0] <= 0 || blocks[1] <= 0 || src.Shape[0]%blocks[0] != 0 || src.Shape[1]%blocks[1] != 0 {
		return Wrong("scales of shape %v do not divide a weight of shape %v", blocks, src.Shape)
	}
	rows, cols := src.Shape[0], src.Shape[1]
	g := scheme.Grid{Rows: rows, Cols: cols, Inner: src.Elements() / rows / cols, BlockRows: rows / blocks[0],
		BlockCols: cols / blocks[1]}
	if why := method.Takes(schemes[0], src.DType, g); why != nil {
		return Wrong("%s", why.What)
	}
	return &Stored{Schemes: schemes, Grid: g}
}
