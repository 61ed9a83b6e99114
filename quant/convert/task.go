package convert

import (
	"context"
	"sync"

	"nibble/quant/container"
	"nibble/quant/kernel"
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
	Parts  []Part         // what is to be made, for Copy and Quantize

	// for weights that are quantized
	Scheme    scheme.Scheme
	Grid      scheme.Grid
	Split     *Split // the blocks that the tiles are part of; nil when the tiles hold whole blocks
	Histogram int64  // every so many-th weight is counted in a histogram; 0 for none
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

// Part is what a task makes for one piece of the output.
type Part struct {
	Content container.Content
	DType   tensor.DType
	Width   int64 // bytes of a packed row
}

// Params are scales of some blocks of a row: float32 or float64 values and zero points, as bytes.
type Params struct{ Scale, ZeroPoint []byte }

// Result is what a task made.
type Result struct {
	Parts     [][]byte        // one for each part of the task, nil for Literal
	Errors    []kernel.Errors // one for each tile, of Quantize with a part that carries weights
	Histogram *kernel.Histogram
	Low, High []byte // of Measure: float32 or float64 values, as bytes
	Unfit     string // why the weights cannot be quantized, of Measure never

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
	if len(t.Parts) == 0 || t.Tensor == nil {
		return n
	}
	switch size := t.Tensor.DType.Size(); t.Parts[0].Content {
	case container.Kept, container.Dequantized:
		return 2 * n
	case container.Codes, container.NibbleCodes:
		return max(n, 2*n/size)
	}
	return n
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
