package convert

import (
	"context"
	"sync"

	"nibble/quant/kernel"
	"nibble/quant/pack"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Task is work on some consecutive tiles of one tensor. It says all that is needed, so that whoever has the source
// files can do it, in this process or in another.
type Task struct {
	Step   Step
	Tensor *tensor.Tensor // that the tiles are cut from; a kept dense tensor is flat
	Tiles  []tile.Tile    // as many as fit a batch, or one

	// What follows is set for weights that are quantized.
	Codes   []pack.Spec // of each piece to be made, for Quantize; the zero Spec for a literal
	Scheme  scheme.Scheme
	Grid    scheme.Grid
	Split   *Split // the groups that the tiles belong to; nil when each tile holds whole groups
	Counted bool   // a histogram of the weights is counted
	Every   int64  // the step in which weights are counted, when Counted
}

// Split says which groups of a row of blocks the tiles of a task belong to, where such a row does not fit one tile.
// Blocks are numbered along axis 1, from 0 in each row of blocks.
type Split struct {
	Block, Blocks int64   // the first of the blocks, and how many they are
	Params        *Params // their parameters; nil when the task measures the blocks itself
	Whole         bool    // the tiles are all of the blocks: only then can the task measure them
	WritesParams  bool    // the first tile is the first of the blocks: their parameters are written with it
}

// Step is what is done with the tiles of a task.
type Step uint8

const (
	Copy     Step = iota // takes their bytes as they are
	Quantize             // makes all pieces, sums the errors and counts the histogram
	Measure              // finds the ranges of the groups that they belong to
	Check                // finds whether they can be quantized
)

// Params are the parameters of some groups of a row of blocks, as little-endian bytes: float32 or float64 values, as
// the arithmetic has them, and zero points of one byte.
type Params struct{ Scale, ZeroPoint, Offset []byte }

// Result is what one task made.
type Result struct {
	Pieces    [][]byte        // bytes of each piece of the task, nil for a literal; one for Copy
	Errors    []kernel.Errors // of each tile, for Quantize with a piece of codes or values
	Histogram *kernel.Histogram
	Low, High []byte       // ranges, for Measure: float32 or float64 values, as bytes
	Unfit     kernel.Unfit // why the weights cannot be quantized; never for Measure

	Buffers [][]byte // that the pieces lie in, for Release
}

// buffers hold the bytes of pieces. They are used again, since they are large and one follows the other.
var buffers = sync.Pool{}

// Buffer returns n bytes of any content for a piece. They are free again once the result that lists them in Buffers
// is released.
func Buffer(n int) []byte {
	if b, _ := buffers.Get().(*[]byte); b != nil && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]byte, n)
}

// Release gives the buffers of the result back, to be used again.
func (r *Result) Release() {
	for _, b := range r.Buffers {
		buffers.Put(&b)
	}
	r.Pieces, r.Buffers = nil, nil
}

// bytes is how many bytes of source the task reads at least.
func (t *Task) bytes() (n int64) {
	for _, x := range t.Tiles {
		n += x.Size(t.Tensor)
	}
	return n
}

// weight is how much of a batch the task takes, in bytes.
func (t *Task) weight() int64 { return t.weigh(t.bytes()) }

// weigh is how much of a batch such a task takes with n bytes of source: what it reads, or what it makes where that
// is more than half as much. Both lie in memory at once.
func (t *Task) weigh(n int64) int64 {
	switch {
	case t.Step == Copy:
		return 2 * n
	case len(t.Codes) == 0:
		return n
	}
	return max(n, 2*t.Codes[0].Bytes(n/t.Tensor.DType.Size()))
}

// Span is the range of the tensor's file in which the tiles lie; a strided view leaves gaps in it. from equals to
// when there are no tiles.
func (t *Task) Span() (from, to int64) {
	for i, x := range t.Tiles {
		a, b := x.Span(t.Tensor)
		if i == 0 || a < from {
			from = a
		}
		to = max(to, b)
	}
	return from, to
}

// Worker does tasks, a few at a time and in order. Several workers are used at once, each by one goroutine. Whoever
// takes the results releases them.
type Worker interface {
	Do(ctx context.Context, tasks []*Task) ([]*Result, error)
}
