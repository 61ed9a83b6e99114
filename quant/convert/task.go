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

// Task is work on some consecutive tiles of one tensor. It says all that is needed: whoever
// has the files can do it, in this process or in another.
type Task struct {
	Step   Step
	Tensor *tensor.Tensor // what the tiles are cut from: kept dense tensors are flat
	Tiles  []tile.Tile    // that fit into a batch, or one

	// for weights that are quantized
	Codes   []pack.Spec // of the pieces that are to be made, for Quantize; zero for literals
	Scheme  scheme.Scheme
	Grid    scheme.Grid
	Split   *Split // the blocks that the tiles are part of; nil when the tiles hold whole blocks
	Counted bool   // weights are counted in a histogram
	Every   int64  // every so many-th of them, when Counted
}

// Split says which blocks of a row of blocks a task's tiles are part of, where the row fits no
// tile.
type Split struct {
	Block, Blocks int64   // the first of these blocks in its row, and how many
	Params        *Params // their scales; nil when the task is to measure the blocks itself
	Whole         bool    // the tiles are all of these blocks: only then can the task measure them
	Leads         bool    // the first tile is the first of these blocks, with which scales are written
}

// Step is what is done with the tiles of a task.
type Step uint8

const (
	Copy     Step = iota // their bytes
	Quantize             // all parts, errors and histogram
	Measure              // the ranges of the blocks that they are part of
	Check                // whether they can be quantized
)

// Params are the parameters of some blocks of a row, as bytes: float32 or float64 values and zero points.
type Params struct{ Scale, ZeroPoint, Offset []byte }

// Result is what a task made.
type Result struct {
	Parts     [][]byte        // one for each code of the task, nil for literals; of Copy one
	Errors    []kernel.Errors // one for each tile, of Quantize with a code that carries weights
	Histogram *kernel.Histogram
	Low, High []byte       // of Measure: float32 or float64 values, as bytes
	Unfit     kernel.Unfit // why the weights cannot be quantized, of Measure never

	Lent [][]byte // buffers that parts lie in, for Release
}

// buffers for parts: they are large, and many are made one after the other.
var buffers = sync.Pool{}

// Buffer is n bytes to put parts into, which hold anything, until the result that has it in
// Lent is released.
func Buffer(n int) []byte {
	if b, _ := buffers.Get().(*[]byte); b != nil && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]byte, n)
}

// Release gives up the parts; they are used again.
func (r *Result) Release() {
	for _, b := range r.Lent {
		buffers.Put(&b)
	}
	r.Parts, r.Lent = nil, nil
}

// bytes is how many bytes of source a task reads at least.
func (t *Task) bytes() (n int64) {
	for _, x := range t.Tiles {
		n += x.Size(t.Tensor)
	}
	return n
}

// weight is how much of a batch a task takes.
func (t *Task) weight() int64 { return t.weigh(t.bytes()) }

// weigh is how much of a batch such a task takes with n bytes of source: what it reads, or what it
// makes where that is more than half as much.
func (t *Task) weigh(n int64) int64 {
	switch {
	case t.Step == Copy:
		return 2 * n
	case len(t.Codes) == 0:
		return n
	}
	return max(n, 2*t.Codes[0].Bytes(n/t.Tensor.DType.Size()))
}

// Span is the bytes of the tensor's file between which its tiles lie, the views of which may
// be sparse; from == to when there are none.
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

// Hand does tasks, a few at a time and in order. Several are used at once, each by one
// goroutine. Whoever gets the results releases them.
type Hand interface {
	Do(ctx context.Context, tasks []*Task) ([]*Result, error)
}
