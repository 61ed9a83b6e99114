package scheme

import "fmt"

// Grid is the geometry of one quantized weight. The weight is seen as
// Rows x Cols x Inner (axis 0, axis 1, the product of the kernel axes); a block
// covers BlockRows x BlockCols x Inner of it and has one scale. Kernel axes are
// never split.
type Grid struct {
	Rows, Cols, Inner    int64
	BlockRows, BlockCols int64
}

// Run is how many consecutive weights of a row share a scale.
func (g Grid) Run() int64 { return g.BlockCols * g.Inner }

// Row is how many weights one row holds.
func (g Grid) Row() int64 { return g.Cols * g.Inner }

// Down and Across count the blocks on axis 0 and axis 1.
func (g Grid) Down() int64   { return g.Rows / g.BlockRows }
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

// Blocks lays the scheme's blocks over a weight of the given shape (rank 2 or more,
// no empty axis) as coremltools does. transposed says that the layer is a
// ConvTranspose, whose output channels lie on axis 1. The second result is empty, or
// says in plain words why coremltools would leave the weight alone.
//
// per_block follows coremltools' sanitize_block_size step by step. It tests the
// block against axis 0 as output and axis 1 as input even for a ConvTranspose and
// swaps the two only afterwards, so a ConvTranspose can be left alone although its
// true axis would fit. TrueBlocks is the remedy.
func (s Scheme) Blocks(shape []int64, transposed bool) (Grid, string) {
	g := whole(shape)
	switch s.Granularity {
	case PerTensor:
	case PerChannel:
		if transposed {
			g.BlockCols = 1
		} else {
			g.BlockRows = 1
		}
	case PerBlock:
		out, in, why := s.sanitize(shape)
		if why != "" {
			return Grid{}, why
		}
		return g.cut(out, in, transposed)
	}
	return g, ""
}

// TrueBlocks is Blocks for weights that coremltools skips although they can be cut:
// the axes are the layer's own, and a block that is not smaller than the input
// channels is the whole row, one scale per output channel.
func (s Scheme) TrueBlocks(shape []int64, transposed bool) (Grid, string) {
	if s.Granularity != PerBlock {
		return s.Blocks(shape, transposed)
	}
	if why := s.kernelAxes(shape); why != "" {
		return Grid{}, why
	}
	channelsOut, channelsIn := shape[0], shape[1]
	if transposed {
		channelsOut, channelsIn = channelsIn, channelsOut
	}
	out, in := s.entries()
	blockOut := 0 < out && out < channelsOut
	if !blockOut && in > 0 {
		out, blockOut = 1, true
	}
	switch {
	case !blockOut:
		return Grid{}, fmt.Sprintf("block_size %v cuts no axis", s.BlockSize)
	case in >= channelsIn:
		in = 0
	case in > 0 && channelsIn%in != 0:
		return Grid{}, fmt.Sprintf("its %d input channels cannot be cut into blocks of %d", channelsIn, in)
	}
	if channelsOut%out != 0 {
		return Grid{}, fmt.Sprintf("its %d output channels cannot be cut into blocks of %d", channelsOut, out)
	}
	return whole(shape).cut(out, max(in, 0), transposed)
}

// whole is one block over all of a weight.
func whole(shape []int64) Grid {
	g := Grid{Rows: shape[0], Cols: shape[1], Inner: 1}
	for _, d := range shape[2:] {
		g.Inner *= d
	}
	g.BlockRows, g.BlockCols = g.Rows, g.Cols
	return g
}

// cut sets the block on the output and the input axis; 0 is the whole axis.
func (g Grid) cut(out, in int64, transposed bool) (Grid, string) {
	if transposed {
		out, in = in, out
	}
	if out != 0 {
		g.BlockRows = out
	}
	if in != 0 {
		g.BlockCols = in
	}
	if g.Rows%g.BlockRows != 0 || g.Cols%g.BlockCols != 0 {
		return Grid{}, fmt.Sprintf("blocks of %d x %d do not fit its %d x %d channels", g.BlockRows, g.BlockCols, g.Rows, g.Cols)
	}
	return g, ""
}

// entries are the block sizes on the output and the input axis, as given.
func (s Scheme) entries() (out, in int64) {
	if len(s.BlockSize) == 1 {
		return 0, s.BlockSize[0]
	}
	return s.BlockSize[0], s.BlockSize[1]
}

// kernelAxes refuses a block size that would cut a kernel axis.
func (s Scheme) kernelAxes(shape []int64) string {
	b := s.BlockSize
	if len(b) > len(shape) {
		return fmt.Sprintf("block_size has %d entries, the weight only %d axes", len(b), len(shape))
	}
	for i := 2; i < len(b); i++ {
		if b[i] != 0 && b[i] != shape[i] {
			return fmt.Sprintf("block_size entry %d is %d: kernel axes are never split, so it must be 0 or %d", i, b[i], shape[i])
		}
	}
	return ""
}

// sanitize returns the block on the output and on the input axis; 0 is the whole axis.
func (s Scheme) sanitize(shape []int64) (out, in int64, why string) {
	if why := s.kernelAxes(shape); why != "" {
		return 0, 0, why
	}
	out, in = s.entries()
	blockOut := 0 < out && out < shape[0]
	blockIn := 0 < in && in < shape[1]
	if blockIn && !blockOut {
		out, blockOut = 1, true
	}
	if !blockOut && !blockIn {
		if in <= 0 {
			return 0, 0, fmt.Sprintf("block_size %v cuts no axis", s.BlockSize)
		}
		return 0, 0, fmt.Sprintf("a block of %d is not smaller than its %d input channels", in, shape[1])
	}
	if shape[0]%out != 0 {
		return 0, 0, fmt.Sprintf("its %d output channels cannot be cut into blocks of %d", shape[0], out)
	}
	if blockIn && shape[1]%in != 0 {
		return 0, 0, fmt.Sprintf("its %d input channels cannot be cut into blocks of %d", shape[1], in)
	}
	// An input block that is not smaller than the axis passes here; Blocks tests it.
	return out, max(in, 0), ""
}
