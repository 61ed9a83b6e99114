package convert

import (
	"context"
	"fmt"

	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Worker is the Hand of this process. Its buffers are reused from tile to tile; a worker
// belongs to one goroutine.
type Worker struct {
	Limits tile.Limits // of reading and computing

	source []byte
	single values[float32]
	double values[float64]
	codes  []byte
	made   []byte // of a piece, of the first tile
}

// values are the buffers of one type of values.
type values[T kernel.Float] struct {
	wide    []T // float16 and bfloat16 weights as float32
	out     []T // dequantized
	stats   plane.Stats[T]
	params  plane.Params[T]
	samples samples[T]
}

// Do implements Hand.
func (w *Worker) Do(ctx context.Context, tasks []*Task) (results []*Result, err error) {
	defer caught(&err)
	for _, t := range tasks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := w.one(ctx, t)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// caught turns a panic into an error: one in a goroutine would end the whole process.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("internal error: %v; please report it", p)
	}
}

func (w *Worker) one(ctx context.Context, t *Task) (*Result, error) {
	r := &Result{Parts: make([][]byte, max(len(t.Codes), 1))}
	switch {
	case t.Step == Copy:
		return r, w.copy(ctx, t, r)
	case t.Tensor.DType == tensor.F64:
		return r, quantize(ctx, w, &w.double, t, r)
	}
	return r, quantize(ctx, w, &w.single, t, r)
}

func quantize[T kernel.Float](ctx context.Context, w *Worker, b *values[T], t *Task, r *Result) error {
	q, err := newQuantized(w, b, t, r)
	if err != nil {
		return err
	}
	return q.do(ctx)
}

// copy reads the tiles into the one part.
func (w *Worker) copy(ctx context.Context, t *Task, r *Result) error {
	if len(t.Tiles) == 0 {
		return nil
	}
	all := Buffer(int(t.bytes()))
	r.Parts[0], r.Lent = all, append(r.Lent, all)
	for _, x := range t.Tiles {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := x.Size(t.Tensor)
		if err := x.Read(t.Tensor, all[:n], w.Limits); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// read fills the worker's source with a tile.
func (w *Worker) read(ctx context.Context, t *Task, x tile.Tile) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.source = tensor.Buffer(w.source, int(x.Size(t.Tensor)))
	return x.Read(t.Tensor, w.source, w.Limits)
}

func (w *Worker) chunk() int { return w.Limits.Filled().Chunk }

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// values are those of the tile in source from one on, as what the arithmetic is done in.
func (w *Worker) values(b any, t *Task, from, to int) any {
	switch t.Tensor.DType {
	case tensor.F64:
		return tensor.View[float64](w.source)[from:to]
	case tensor.F32:
		return tensor.View[float32](w.source)[from:to]
	}
	wide := b.(*values[float32])
	wide.wide = grow(wide.wide, to-from)
	kernel.Widen(wide.wide, tensor.View[uint16](w.source)[from:to], t.Tensor.DType == tensor.F16)
	return wide.wide
}

// valuesOf is values of type T, which is that of the task's tensor.
func valuesOf[T kernel.Float](w *Worker, b *values[T], t *Task, from, to int) []T {
	return w.values(b, t, from, to).([]T)
}
