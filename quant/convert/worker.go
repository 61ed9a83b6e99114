package convert

import (
	"context"
	"fmt"

	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Local is the Worker of this process. It uses its buffers again for each tile, so it belongs to one goroutine.
type Local struct {
	Limits tile.Limits // at which it reads and computes

	source []byte
	single values[float32]
	double values[float64]
	codes  []byte
	made   []byte // the first tile's share of a piece
}

// values are the buffers for weights of one type of arithmetic.
type values[T kernel.Float] struct {
	wide    []T // float16 and bfloat16 weights, widened
	out     []T // what the codes stand for
	stats   plane.Stats[T]
	params  plane.Params[T]
	samples samples[T]
}

// Do implements Worker.
func (w *Local) Do(ctx context.Context, tasks []*Task) (results []*Result, err error) {
	defer recoverAsError(&err)
	for _, t := range tasks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := w.doTask(ctx, t)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// recoverAsError turns a panic into an error: one in a goroutine would end the whole process.
func recoverAsError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("internal error: %v; please report it", p)
	}
}

// doTask does one task.
func (w *Local) doTask(ctx context.Context, t *Task) (*Result, error) {
	r := &Result{Pieces: make([][]byte, max(len(t.Codes), 1))}
	switch {
	case t.Step == Copy:
		return r, w.copy(ctx, t, r)
	case t.Tensor.DType == tensor.F64:
		return r, quantizeTask(ctx, w, &w.double, t, r)
	}
	return r, quantizeTask(ctx, w, &w.single, t, r)
}

// quantizeTask does the steps Quantize, Measure and Check in the arithmetic T.
func quantizeTask[T kernel.Float](ctx context.Context, w *Local, b *values[T], t *Task, r *Result) error {
	q, err := newTileQuantizer(w, b, t, r)
	if err != nil {
		return err
	}
	return q.do(ctx)
}

// copy reads the tiles of a kept tensor, one after the other, as they are.
func (w *Local) copy(ctx context.Context, t *Task, r *Result) error {
	if len(t.Tiles) == 0 {
		return nil
	}
	all := Buffer(int(t.bytes()))
	r.Pieces[0], r.Buffers = all, append(r.Buffers, all)
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
func (w *Local) read(ctx context.Context, t *Task, x tile.Tile) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.source = tensor.Buffer(w.source, int(x.Size(t.Tensor)))
	return x.Read(t.Tensor, w.source, w.Limits)
}

// chunk is how many weights go through the kernels at a time.
func (w *Local) chunk() int { return w.Limits.Filled().Chunk }

// grow returns n items of any content, in s where it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// values are the weights [from, to) of the tile that was read, as the arithmetic holds them.
func (w *Local) values(b any, t *Task, from, to int) any {
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

// valuesOf is Local.values as T, which is the arithmetic of the task's tensor.
func valuesOf[T kernel.Float](w *Local, b *values[T], t *Task, from, to int) []T {
	return w.values(b, t, from, to).([]T)
}
