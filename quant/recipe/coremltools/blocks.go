package coremltools

import (
	"fmt"

	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// Blocks lays a scheme's blocks over a weight of the given shape (rank 2 or more,
// no empty axis) as coremltools does. transposed says that the layer is a
// ConvTranspose, whose output channels lie on axis 1. The second result is empty, or
// says why coremltools would leave the weight alone.
//
// per_block follows coremltools' sanitize_block_size step by step. It tests the
// block against axis 0 as output and axis 1 as input even for a ConvTranspose and
// swaps the two only afterwards, so a ConvTranspose can be left alone although its
// true axis would fit. trueBlocks is the remedy.
func Blocks(s scheme.Scheme, shape []int64, transposed bool) (scheme.Grid, plan.Reason) {
	g := scheme.Whole(shape)
	switch s.Granularity {
	case scheme.PerTensor:
	case scheme.PerChannel:
		if transposed {
			g.BlockCols = 1
		} else {
			g.BlockRows = 1
		}
	case scheme.PerBlock:
		out, in, why := sanitize(s, shape)
		if why.Code != "" {
			return scheme.Grid{}, why
		}
		return lay(g, out, in, transposed)
	}
	return g, plan.Reason{}
}

// trueBlocks is Blocks for weights that coremltools skips although they can be cut:
// the axes are the layer's own, and a block that is not smaller than the input
// channels is the whole row, one scale per output channel.
func trueBlocks(s scheme.Scheme, shape []int64, transposed bool) (scheme.Grid, plan.Reason) {
	if s.Granularity != scheme.PerBlock {
		return Blocks(s, shape, transposed)
	}
	if why := kernelAxes(s, shape); why.Code != "" {
		return scheme.Grid{}, why
	}
	channelsOut, channelsIn := shape[0], shape[1]
	if transposed {
		channelsOut, channelsIn = channelsIn, channelsOut
	}
	out, in := entries(s)
	blockOut := 0 < out && out < channelsOut
	if !blockOut && in > 0 {
		out, blockOut = 1, true
	}
	switch {
	case !blockOut:
		return scheme.Grid{}, plan.Because(cutsNothing, fmt.Sprint(s.BlockSize))
	case in >= channelsIn:
		in = 0
	case in > 0 && channelsIn%in != 0:
		return scheme.Grid{}, plan.Because(inputs, decimal(channelsIn), decimal(in))
	}
	if channelsOut%out != 0 {
		return scheme.Grid{}, plan.Because(outputs, decimal(channelsOut), decimal(out))
	}
	return lay(scheme.Whole(shape), out, max(in, 0), transposed)
}

// lay sets the block on the output and the input axis; 0 is the whole axis.
func lay(g scheme.Grid, out, in int64, transposed bool) (scheme.Grid, plan.Reason) {
	if transposed {
		out, in = in, out
	}
	if out != 0 {
		g.BlockRows = out
	}
	if in != 0 {
		g.BlockCols = in
	}
	if !g.Fits() {
		return scheme.Grid{}, plan.Because(noFit, decimal(g.BlockRows), decimal(g.BlockCols), decimal(g.Rows),
			decimal(g.Cols))
	}
	return g, plan.Reason{}
}

// entries are the block sizes on the output and the input axis, as given.
func entries(s scheme.Scheme) (out, in int64) {
	if len(s.BlockSize) == 1 {
		return 0, s.BlockSize[0]
	}
	return s.BlockSize[0], s.BlockSize[1]
}

// kernelAxes refuses a block size that would cut a kernel axis.
func kernelAxes(s scheme.Scheme, shape []int64) plan.Reason {
	b := s.BlockSize
	if len(b) > len(shape) {
		return plan.Because(manyAxes, fmt.Sprint(len(b)), fmt.Sprint(len(shape)))
	}
	for i := 2; i < len(b); i++ {
		if b[i] != 0 && b[i] != shape[i] {
			return plan.Because(kernelAxis, fmt.Sprint(i), decimal(b[i]), decimal(shape[i]))
		}
	}
	return plan.Reason{}
}

// sanitize returns the block on the output and on the input axis; 0 is the whole axis.
func sanitize(s scheme.Scheme, shape []int64) (out, in int64, why plan.Reason) {
	if why := kernelAxes(s, shape); why.Code != "" {
		return 0, 0, why
	}
	out, in = entries(s)
	blockOut := 0 < out && out < shape[0]
	blockIn := 0 < in && in < shape[1]
	if blockIn && !blockOut {
		out, blockOut = 1, true
	}
	if !blockOut && !blockIn {
		if in <= 0 {
			return 0, 0, plan.Because(cutsNothing, fmt.Sprint(s.BlockSize))
		}
		return 0, 0, plan.Because(notSmaller, decimal(in), decimal(shape[1]))
	}
	if shape[0]%out != 0 {
		return 0, 0, plan.Because(outputs, decimal(shape[0]), decimal(out))
	}
	if blockIn && shape[1]%in != 0 {
		return 0, 0, plan.Because(inputs, decimal(shape[1]), decimal(in))
	}
	// An input block that is not smaller than the axis passes here; Blocks tests it.
	return out, max(in, 0), plan.Reason{}
}
