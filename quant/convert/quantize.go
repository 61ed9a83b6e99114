package convert

import (
	"context"
	"fmt"

	"nibble/quant/kernel"
	"nibble/quant/method"
	"nibble/quant/pack"
	"nibble/quant/plane"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// quantized is one tile on its way through a weight's method, to the codes of its pieces.
type quantized[T kernel.Float] struct {
	task   *Task
	method method.Method[T]
	spread method.Spread[T] // the same, where groups may lie apart; else nil
	forms  []pack.Code[T]   // of each piece; nil for literals
	worker *Worker
	buffer *values[T]
	result *Result

	tile   tile.Tile
	leads  bool            // it is the first of its task's split blocks
	params plane.Params[T] // of the blocks of the tile, or of the task's split blocks
	codes  []byte
	out    []T // what the codes stand for, where that is a piece
	rounds bool
}

func newQuantized[T kernel.Float](w *Worker, b *values[T], t *Task, r *Result) (*quantized[T], error) {
	q := &quantized[T]{task: t, worker: w, buffer: b, result: r, forms: make([]pack.Code[T], len(t.Codes))}
	var err error
	if q.method, err = method.Of[T](t.Scheme, t.Tensor.DType); err != nil {
		return nil, err
	}
	q.spread, _ = q.method.(method.Spread[T])
	if q.spread == nil && (t.Split != nil || t.Grid.BlockRows > 1) {
		return nil, errSpread
	}
	for i, c := range t.Codes {
		if c.Form == "" {
			continue
		}
		if q.forms[i], err = pack.Of[T](c); err != nil {
			return nil, err
		}
		q.rounds = q.rounds || c.Plane == plane.Values && c.DType == tensor.BF16
	}
	return q, nil
}

// do does the steps Quantize, Measure and Check.
func (q *quantized[T]) do(ctx context.Context) error {
	t, r, b := q.task, q.result, q.buffer
	if t.Split != nil && t.Split.Params == nil {
		if err := q.measure(ctx); err != nil {
			return err
		}
		if t.Step == Measure {
			r.Low, r.High = clone(b.stats.Low), clone(b.stats.High)
			return nil
		}
		b.params = b.params.Make(q.method.Has(), len(b.stats.Low))
		if r.Unfit = q.spread.Settle(b.stats, b.params); r.Unfit != "" || t.Step == Check {
			return nil
		}
	}
	if p := t.Split; p != nil {
		q.params = b.params
		if p.Params != nil {
			q.params = received[T](p.Params)
		}
	}
	for i, x := range t.Tiles {
		if err := q.worker.read(ctx, t, x); err != nil {
			return err
		}
		q.tile, q.leads = x, t.Split != nil && t.Split.Leads && i == 0
		if r.Unfit = q.run(); r.Unfit != "" {
			return nil
		}
		if t.Step != Check {
			q.lay(i == 0)
		}
	}
	return nil
}

// lay adds the tile's share of each piece. The first tile's tells how much room they all need: later tiles are no larger.
func (q *quantized[T]) lay(first bool) {
	w, r := q.worker, q.result
	for k, c := range q.forms {
		if !first {
			r.Parts[k] = q.append(r.Parts[k], q.task.Codes[k], c)
			continue
		}
		if w.made = q.append(w.made[:0], q.task.Codes[k], c); len(w.made) > 0 {
			room := Buffer(len(w.made) * len(q.task.Tiles))
			r.Parts[k], r.Lent = append(room[:0], w.made...), append(r.Lent, room)
		}
	}
}

// measure finds the numbers of the blocks that the tiles are part of.
func (q *quantized[T]) measure(ctx context.Context) error {
	t, b, w := q.task, q.buffer, q.worker
	if err := t.measurable(); err != nil {
		return err
	}
	first, blocks := int(t.Split.Block), int(t.Split.Blocks)
	b.stats = b.stats.Make(blocks)
	q.spread.Reset(b.stats)
	for _, x := range t.Tiles {
		if err := w.read(ctx, t, x); err != nil {
			return err
		}
		if blocks == 1 {
			for from, to := range chunks(x.Elements(), 1, w.chunk()) {
				q.spread.Range(valuesOf(w, b, t, from, to), to-from, b.stats)
			}
			continue
		}
		for s := range segments(x, valuesOf(w, b, t, 0, x.Elements())) {
			s.blocks(t.Grid, func(part []T, block, count, length int) {
				q.spread.Range(part, length, b.stats.Slice(block-first, block-first+count))
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

// run measures, quantizes and dequantizes the tile, as far as the pieces ask for it.
func (q *quantized[T]) run() (unfit kernel.Unfit) {
	t, w, b, n := q.task, q.worker, q.buffer, q.tile.Elements()
	weights := len(t.Codes) > 0 && t.Codes[0].Weights()
	if weights {
		w.codes = grow(w.codes, n)
		q.codes = w.codes
		if t.Codes[0].Plane == plane.Values {
			b.out = grow(b.out, n)
			q.out = b.out
		}
		q.result.Errors = append(q.result.Errors, kernel.Errors{})
		if t.Counted && q.result.Histogram == nil {
			q.result.Histogram = kernel.NewHistogram(t.Every)
		}
	}
	if t.Split == nil {
		count := n / int(t.Grid.Run()*t.Grid.BlockRows)
		b.params, b.stats = b.params.Make(q.method.Has(), count), b.stats.Make(count)
		q.params = b.params
		if t.Grid.BlockRows == 1 {
			return q.stream(weights)
		}
		if unfit = q.tall(valuesOf(w, b, t, 0, n)); unfit != "" {
			return unfit
		}
	}
	switch {
	case !weights:
	case t.Split != nil && t.Split.Blocks == 1:
		for from, to := range chunks(n, 1, w.chunk()) {
			q.part(valuesOf(w, b, t, from, to), from, to-from, q.params)
		}
	default:
		q.grid(valuesOf(w, b, t, 0, n))
	}
	return ""
}

// stream is for blocks of one row: a chunk at a time is measured and quantized.
func (q *quantized[T]) stream(weights bool) kernel.Unfit {
	t, run := q.task, int(q.task.Grid.Run())
	for from, to := range chunks(q.tile.Elements(), run, q.worker.chunk()) {
		src := valuesOf(q.worker, q.buffer, t, from, to)
		params := q.params.Slice(from/run, to/run)
		if unfit := q.method.Fit(src, run, q.buffer.stats.Slice(from/run, to/run), params); unfit != "" {
			return unfit
		}
		if weights {
			q.part(src, from, run, params)
		}
	}
	return ""
}

// tall measures blocks of several rows, which the tile holds whole.
func (q *quantized[T]) tall(src []T) kernel.Unfit {
	g, stats := q.task.Grid, q.buffer.stats
	row, across := int(g.Row()), int(g.Across())
	q.spread.Reset(stats)
	for r := range len(src) / row {
		at := r / int(g.BlockRows) * across
		q.spread.Range(src[r*row:(r+1)*row], int(g.Run()), stats.Slice(at, at+across))
	}
	return q.spread.Settle(stats, q.params)
}

// grid quantizes row by row.
func (q *quantized[T]) grid(src []T) {
	g := q.task.Grid
	for s := range segments(q.tile, src) {
		params := q.blocks(s.row)
		at, first := s.at, q.firstBlock()
		s.blocks(g, func(values []T, block, count, length int) {
			block -= first
			q.part(values, at, length, params.Slice(block, block+count))
			at += len(values)
		})
	}
}

// blocks are the parameters of row r of the tile, from firstBlock on.
func (q *quantized[T]) blocks(r int) plane.Params[T] {
	if q.task.Split != nil {
		return q.params
	}
	across := int(q.task.Grid.Across())
	at := r / int(q.task.Grid.BlockRows) * across
	return q.params.Slice(at, at+across)
}

// firstBlock is which block of the row the parameters begin with.
func (q *quantized[T]) firstBlock() int {
	if q.task.Split != nil {
		return int(q.task.Split.Block)
	}
	return 0
}
