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

// tileQuantizer takes the tiles of one task through the weight's method to the codes of its pieces.
type tileQuantizer[T kernel.Float] struct {
	task   *Task
	method method.Method[T]
	spread method.Spread[T] // the same method, where its groups may lie apart; else nil
	forms  []pack.Code[T]   // of each piece; nil for a literal
	worker *Local
	buffer *values[T]
	result *Result

	tile         tile.Tile
	writesParams bool            // parameters of the task's split are written with it
	params       plane.Params[T] // of the groups of the tile, or of the task's split
	codes        []byte
	out          []T  // what the codes stand for, where a piece holds that
	rounds       bool // a piece holds the values rounded to bfloat16
}

// newTileQuantizer finds the method and the codes that the task names.
func newTileQuantizer[T kernel.Float](w *Local, b *values[T], t *Task, r *Result) (*tileQuantizer[T], error) {
	q := &tileQuantizer[T]{task: t, worker: w, buffer: b, result: r, forms: make([]pack.Code[T], len(t.Codes))}
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
func (q *tileQuantizer[T]) do(ctx context.Context) error {
	t, r, b := q.task, q.result, q.buffer
	if t.Split != nil && t.Split.Params == nil {
		if err := q.measure(ctx); err != nil {
			return err
		}
		if t.Step == Measure {
			r.Low, r.High = bytesOf(b.stats.Low), bytesOf(b.stats.High)
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
			q.params = decodeParams[T](p.Params)
		}
	}
	for i, x := range t.Tiles {
		if err := q.worker.read(ctx, t, x); err != nil {
			return err
		}
		q.tile, q.writesParams = x, t.Split != nil && t.Split.WritesParams && i == 0
		if r.Unfit = q.quantize(); r.Unfit != "" {
			return nil
		}
		if t.Step != Check {
			q.appendPieces(i == 0)
		}
	}
	return nil
}

// appendPieces adds the tile's share of each piece. The first tile shows how much room all of them need, since later
// tiles are no larger.
func (q *tileQuantizer[T]) appendPieces(first bool) {
	w, r := q.worker, q.result
	for k, c := range q.forms {
		if !first {
			r.Pieces[k] = q.append(r.Pieces[k], q.task.Codes[k], c)
			continue
		}
		if w.made = q.append(w.made[:0], q.task.Codes[k], c); len(w.made) > 0 {
			room := Buffer(len(w.made) * len(q.task.Tiles))
			r.Pieces[k], r.Buffers = append(room[:0], w.made...), append(r.Buffers, room)
		}
	}
}

// measure finds the ranges of the groups that the tiles belong to.
func (q *tileQuantizer[T]) measure(ctx context.Context) error {
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
			s.blocks(t.Grid, func(values []T, block, count, length int) {
				q.spread.Range(values, length, b.stats.Slice(block-first, block-first+count))
			})
		}
	}
	return nil
}

// measurable refuses a task that would make scales from a part of its groups. No such task is given, and the wrong
// numbers would look like right ones.
func (t *Task) measurable() error {
	covered := t.bytes() / t.Tensor.DType.Size()
	all := t.Split.Blocks * t.Grid.GroupWidth() * t.Grid.BlockRows
	if t.Step != Measure && (!t.Split.Whole || covered != all) {
		return fmt.Errorf("internal error: tensor %q would be measured over %d of %d weights; please report it",
			t.Tensor.Name, covered, all)
	}
	return nil
}

// quantize measures, quantizes and dequantizes the tile, as far as the pieces ask for it.
func (q *tileQuantizer[T]) quantize() (unfit kernel.Unfit) {
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
		count := n / int(t.Grid.GroupWidth()*t.Grid.BlockRows)
		b.params, b.stats = b.params.Make(q.method.Has(), count), b.stats.Make(count)
		q.params = b.params
		if t.Grid.BlockRows == 1 {
			return q.byChunk(weights)
		}
		if unfit = q.measureRows(valuesOf(w, b, t, 0, n)); unfit != "" {
			return unfit
		}
	}
	switch {
	case !weights:
	case t.Split != nil && t.Split.Blocks == 1:
		for from, to := range chunks(n, 1, w.chunk()) {
			q.encode(valuesOf(w, b, t, from, to), from, to-from, q.params)
		}
	default:
		q.byRow(valuesOf(w, b, t, 0, n))
	}
	return ""
}

// byChunk is for groups of one row: it measures and quantizes a chunk at a time, while that lies in the nearest
// cache.
func (q *tileQuantizer[T]) byChunk(weights bool) kernel.Unfit {
	t, width := q.task, int(q.task.Grid.GroupWidth())
	for from, to := range chunks(q.tile.Elements(), width, q.worker.chunk()) {
		src := valuesOf(q.worker, q.buffer, t, from, to)
		params := q.params.Slice(from/width, to/width)
		if unfit := q.method.Fit(src, width, q.buffer.stats.Slice(from/width, to/width), params); unfit != "" {
			return unfit
		}
		if weights {
			q.encode(src, from, width, params)
		}
	}
	return ""
}

// measureRows makes the parameters of groups of several rows, which the tile holds whole.
func (q *tileQuantizer[T]) measureRows(src []T) kernel.Unfit {
	g, stats := q.task.Grid, q.buffer.stats
	row, across := int(g.Row()), int(g.Across())
	q.spread.Reset(stats)
	for r := range len(src) / row {
		at := r / int(g.BlockRows) * across
		q.spread.Range(src[r*row:(r+1)*row], int(g.GroupWidth()), stats.Slice(at, at+across))
	}
	return q.spread.Settle(stats, q.params)
}

// byRow quantizes a tile row by row, with parameters that are known.
func (q *tileQuantizer[T]) byRow(src []T) {
	g := q.task.Grid
	for s := range segments(q.tile, src) {
		params := q.blocks(s.row)
		at, first := s.at, q.firstBlock()
		s.blocks(g, func(values []T, block, count, length int) {
			block -= first
			q.encode(values, at, length, params.Slice(block, block+count))
			at += len(values)
		})
	}
}

// blocks are the parameters for row r of the tile, from firstBlock on.
func (q *tileQuantizer[T]) blocks(r int) plane.Params[T] {
	if q.task.Split != nil {
		return q.params
	}
	across := int(q.task.Grid.Across())
	at := r / int(q.task.Grid.BlockRows) * across
	return q.params.Slice(at, at+across)
}

// firstBlock is the number, in its row, of the block that the parameters begin with.
func (q *tileQuantizer[T]) firstBlock() int {
	if q.task.Split != nil {
		return int(q.task.Split.Block)
	}
	return 0
}
