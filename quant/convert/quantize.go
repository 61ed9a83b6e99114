package convert

import (
	"context"
	"fmt"
	"iter"

	"nibble/quant/container"
	"nibble/quant/kernel"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// quantize does the steps Quantize, Measure and Check.
func quantize[T kernel.Float](ctx context.Context, w *Worker, b *values[T], t *Task, r *Result) error {
	a := arith(t)
	if t.Split != nil && t.Split.Params == nil {
		if err := measure(ctx, w, b, t); err != nil {
			return err
		}
		if t.Step == Measure {
			r.Low, r.High = clone(b.low), clone(b.high)
			return nil
		}
		scales(t, w, b, len(b.low))
		if r.Unfit = kernel.Fit(a, b.low, b.high, b.scale, w.zeroPoints); r.Unfit != "" || t.Step == Check {
			return nil
		}
	}
	q := quantized[T]{task: t, arith: a}
	if p := t.Split; p != nil {
		q.scale, q.zp = b.scale, w.zeroPoints
		if p.Params != nil {
			q.scale, q.zp = viewOf[T](p.Params.Scale), p.Params.ZeroPoint
		}
	}
	for i, x := range t.Tiles {
		if err := w.read(ctx, t, x); err != nil {
			return err
		}
		q.tile, q.leads = x, t.Split != nil && t.Split.Leads && i == 0
		if r.Unfit = q.run(w, b, r); r.Unfit != "" {
			return nil
		}
		if t.Step == Check {
			continue
		}
		for k, p := range t.Parts {
			made := q.encode(p)
			if i == 0 && made != nil {
				room := Buffer(len(made) * len(t.Tiles)) // later tiles are no larger
				r.Parts[k], r.Lent = room[:0], append(r.Lent, room)
			}
			r.Parts[k] = append(r.Parts[k], made...)
		}
	}
	return nil
}

// measure finds the ranges of the blocks that the tiles are part of.
func measure[T kernel.Float](ctx context.Context, w *Worker, b *values[T], t *Task) error {
	if err := t.measurable(); err != nil {
		return err
	}
	first, blocks := int(t.Split.Block), int(t.Split.Blocks)
	b.low, b.high = grow(b.low, blocks), grow(b.high, blocks)
	kernel.Reset(b.low, b.high)
	for _, x := range t.Tiles {
		if err := w.read(ctx, t, x); err != nil {
			return err
		}
		if blocks == 1 {
			for from, to := range chunks(x.Elements(t.Tensor), 1, w.chunk()) {
				kernel.Range(valuesOf(w, b, t, from, to), to-from, b.low, b.high)
			}
			continue
		}
		for s := range segments(t.Grid, x, valuesOf(w, b, t, 0, x.Elements(t.Tensor))) {
			s.blocks(t.Grid, func(part []T, block, count, length int) {
				at := block - first
				kernel.Range(part, length, b.low[at:at+count], b.high[at:at+count])
			})
		}
	}
	return nil
}

// measurable refuses scales that would be made of a part of their blocks: no such task is given, and
// the wrong numbers would look like right ones.
func (t *Task) measurable() error {
	covered := t.bytes() / t.Tensor.DType.Size()
	if all := t.Split.Blocks * t.Grid.Run() * t.Grid.BlockRows; t.Step != Measure && (!t.Split.Whole || covered != all) {
		return fmt.Errorf("internal error: tensor %q would be measured over %d of %d weights; please report it", t.Tensor.Name, covered, all)
	}
	return nil
}

// scales makes room for n scales, and for zero points where there are any.
func scales[T kernel.Float](t *Task, w *Worker, b *values[T], n int) {
	b.scale = grow(b.scale, n)
	w.zeroPoints = nil
	if t.Scheme.HasZeroPoint() {
		w.zeroPoints = make([]byte, n)
	}
}

// chunks cuts n values into parts of about size, each a multiple of step. What is left of a
// multiple of 8 comes last, for the kernels to be quick with all before it.
func chunks(n, step, size int) iter.Seq2[int, int] {
	size = max(size/step, 1) * step
	return func(yield func(from, to int) bool) {
		for from := 0; from < n; {
			to := min(from+size, n)
			if rest := (to - from) % 8; step == 1 && rest > 0 && to-from > rest {
				to -= rest
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// quantized is one tile after the kernels.
type quantized[T kernel.Float] struct {
	task  *Task
	arith kernel.Arith
	tile  tile.Tile
	leads bool // it is the first of its task's split blocks
	scale []T  // of the blocks of the tile, or of the task's split blocks
	zp    []byte
	codes []byte
	out   []T // dequantized, where that is a part
}

// run measures, quantizes and dequantizes the tile, as far as the parts ask for it.
func (q *quantized[T]) run(w *Worker, b *values[T], r *Result) (unfit string) {
	t, n := q.task, q.tile.Elements(q.task.Tensor)
	weights := len(t.Parts) > 0 && t.Parts[0].Content.Weights()
	if weights {
		w.codes = grow(w.codes, n)
		q.codes = w.codes
		if t.Parts[0].Content == container.Dequantized {
			b.out = grow(b.out, n)
			q.out = b.out
		}
		r.Errors = append(r.Errors, kernel.Errors{})
		if t.Histogram > 0 && r.Histogram == nil {
			r.Histogram = kernel.NewHistogram(t.Histogram)
		}
	}
	if t.Split == nil {
		count := n / int(t.Grid.Run()*t.Grid.BlockRows)
		scales(t, w, b, count)
		b.low, b.high = grow(b.low, count), grow(b.high, count)
		kernel.Reset(b.low, b.high)
		q.scale, q.zp = b.scale, w.zeroPoints
		if t.Grid.BlockRows == 1 {
			return q.stream(w, b, r, weights)
		}
		if unfit = q.tall(valuesOf(w, b, t, 0, n), b); unfit != "" {
			return unfit
		}
	}
	switch {
	case !weights:
	case t.Split != nil && t.Split.Blocks == 1:
		for from, to := range chunks(n, 1, w.chunk()) {
			q.part(b, r, valuesOf(w, b, t, from, to), from, to-from, q.scale, q.zp)
		}
	default:
		q.grid(b, r, valuesOf(w, b, t, 0, n))
	}
	return ""
}

// stream is for blocks of one row: a chunk at a time is measured and quantized.
func (q *quantized[T]) stream(w *Worker, b *values[T], r *Result, weights bool) string {
	t, run := q.task, int(q.task.Grid.Run())
	for from, to := range chunks(q.tile.Elements(t.Tensor), run, w.chunk()) {
		src := valuesOf(w, b, t, from, to)
		i, k := from/run, to/run
		zp := part(q.zp, i, k)
		kernel.Range(src, run, b.low[i:k], b.high[i:k])
		if unfit := kernel.Fit(q.arith, b.low[i:k], b.high[i:k], q.scale[i:k], zp); unfit != "" {
			return unfit
		}
		if weights {
			q.part(b, r, src, from, run, q.scale[i:k], zp)
		}
	}
	return ""
}

// tall measures blocks of several rows, which the tile holds whole.
func (q *quantized[T]) tall(src []T, b *values[T]) string {
	g := q.task.Grid
	row, across := int(g.Row()), int(g.Across())
	for r := range len(src) / row {
		at := r / int(g.BlockRows) * across
		kernel.Range(src[r*row:(r+1)*row], int(g.Run()), b.low[at:at+across], b.high[at:at+across])
	}
	return kernel.Fit(q.arith, b.low, b.high, q.scale, q.zp)
}

// grid quantizes row by row.
func (q *quantized[T]) grid(b *values[T], r *Result, src []T) {
	g := q.task.Grid
	for s := range segments(g, q.tile, src) {
		scale, zp := q.blocks(s.row)
		at, first := s.at, q.firstBlock()
		s.blocks(g, func(values []T, block, count, length int) {
			block -= first
			q.part(b, r, values, at, length, scale[block:block+count], part(zp, block, block+count))
			at += len(values)
		})
	}
}

// part quantizes some runs of the tile, which begin at a place in it.
func (q *quantized[T]) part(b *values[T], r *Result, src []T, at, run int, scale []T, zp []byte) {
	a, codes := q.arith, q.codes[at:at+len(src)]
	errors := &r.Errors[len(r.Errors)-1]
	if q.out == nil {
		kernel.Quantize(a, src, run, scale, zp, codes, errors)
	} else {
		q.preview(a, src, run, scale, zp, codes, q.out[at:at+len(src)], errors)
	}
	if r.Histogram != nil {
		kernel.Count(r.Histogram, a, q.tile.Row*q.task.Grid.Row()+q.tile.Col+int64(at), src, run, scale, zp, codes)
	}
}

// preview is for dequantized weights. Those of bfloat16 are stored in bfloat16, so that is
// what is measured.
func (q *quantized[T]) preview(a kernel.Arith, src []T, run int, scale []T, zp, codes []byte, out []T, e *kernel.Errors) {
	if q.task.Tensor.DType != tensor.BF16 {
		kernel.Quantize(a, src, run, scale, zp, codes, e)
		kernel.Dequantize(a, codes, run, scale, zp, out)
		return
	}
	var before kernel.Errors
	kernel.Quantize(a, src, run, scale, zp, codes, &before)
	kernel.Dequantize(a, codes, run, scale, zp, out)
	rounded := any(out).([]float32)
	half := make([]uint16, len(rounded))
	kernel.Narrow(half, rounded, false)
	kernel.Widen(rounded, half, false)
	kernel.Measure(a, any(src).([]float32), rounded, run, any(scale).([]float32), e)
}

// blocks are the scales and zero points of row r of the tile, from firstBlock on.
func (q *quantized[T]) blocks(r int) ([]T, []byte) {
	if q.task.Split != nil {
		return q.scale, q.zp
	}
	across := int(q.task.Grid.Across())
	at := r / int(q.task.Grid.BlockRows) * across
	return q.scale[at : at+across], part(q.zp, at, at+across)
}

// firstBlock is which block of the row the scales begin with.
func (q *quantized[T]) firstBlock() int {
	if q.task.Split != nil {
		return int(q.task.Split.Block)
	}
	return 0
}

// part is zp[from:to] where there are zero points.
func part(zp []byte, from, to int) []byte {
	if zp == nil {
		return nil
	}
	return zp[from:to]
}
