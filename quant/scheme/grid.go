package scheme

// Grid is the geometry of one quantized weight. The weight is seen as Rows x Cols x Inner (axis 0, axis 1, the
// product of the kernel axes). A group covers BlockRows x BlockCols x Inner of it and has one scale; kernel axes are
// never split.
type Grid struct {
	Rows, Cols, Inner    int64
	BlockRows, BlockCols int64
}

// GroupWidth is how many consecutive weights of a row belong to one group.
func (g Grid) GroupWidth() int64 { return g.BlockCols * g.Inner }

// Row is how many weights one row holds.
func (g Grid) Row() int64 { return g.Cols * g.Inner }

// Down is the number of groups on axis 0.
func (g Grid) Down() int64 { return g.Rows / g.BlockRows }

// Across is the number of groups on axis 1.
func (g Grid) Across() int64 { return g.Cols / g.BlockCols }

// Scales is how many scales the weight has.
func (g Grid) Scales() int64 { return g.Down() * g.Across() }

// ScaleShape has the weight's rank: the number of blocks on each axis.
func (g Grid) ScaleShape(rank int) []int64 {
	shape := make([]int64, rank)
	for i := range shape {
		shape[i] = 1
	}
	shape[0], shape[1] = g.Down(), g.Across()
	return shape
}

// Whole is one group over all of a weight of the given shape (rank 2 or more, no empty axis).
func Whole(shape []int64) Grid {
	g := Grid{Rows: shape[0], Cols: shape[1], Inner: 1}
	for _, d := range shape[2:] {
		g.Inner *= d
	}
	g.BlockRows, g.BlockCols = g.Rows, g.Cols
	return g
}

// Fits reports whether groups divide the weight.
func (g Grid) Fits() bool { return g.Rows%g.BlockRows == 0 && g.Cols%g.BlockCols == 0 }
