package convert

import (
	"iter"
	"sync/atomic"

	"nibble/quant/container"
	"nibble/quant/kernel"
	"nibble/quant/plan"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// run is a container.Run with its entry.
type run struct {
	*container.Run
	entry *plan.Entry // nil for a run of literals
}

// job is one task of one run.
type job struct {
	run         *run
	task        *Task
	band        *band // whose scales the task waits for; nil for most
	first, last bool  // of its run
}

// unit is jobs that come together: those of a band, or all of a run that has none.
type unit struct {
	jobs []*job
	band *band
}

// sequence makes the jobs of a file, in its order.
type sequence struct {
	plan       *plan.Plan
	step       Step  // Quantize, or Check
	batch      int64 // bytes of source that a hand is given at a time
	histograms bool  // are to be counted
}

// units cut runs into tasks. A run without values is one task without tiles.
func (s *sequence) units(runs []container.Run) iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		for i := range runs {
			r := &run{Run: &runs[i]}
			var units []*unit
			switch {
			case r.Entry < 0:
				units = cut(&Task{Step: Copy, Parts: partsOf(r)}, nil, s.batch)
			case s.plan.Entries[r.Entry].Quantize:
				r.entry = &s.plan.Entries[r.Entry]
				units = s.quantize(r)
			default:
				r.entry = &s.plan.Entries[r.Entry]
				t := r.entry.Tensor
				if t.Contiguous() {
					t = t.Flat()
				}
				units = cut(&Task{Step: Copy, Parts: partsOf(r), Tensor: t}, tile.Cut(t, 1), s.batch)
			}
			units[0].jobs[0].first = true
			last := units[len(units)-1].jobs
			last[len(last)-1].last = true
			for _, u := range units {
				for _, j := range u.jobs {
					j.run = r
				}
				if !yield(u) {
					return
				}
			}
		}
	}
}

// partsOf are the pieces of a run as parts of a task.
func partsOf(r *run) (parts []Part) {
	for _, p := range r.Pieces {
		part := Part{Content: p.Content, DType: p.DType}
		if p.Content == container.Packed {
			part.Width = p.Shape[1] * p.DType.Size()
		}
		parts = append(parts, part)
	}
	return parts
}

// cut gives each task so many tiles that they fit into a batch.
func cut(like *Task, tiles []tile.Tile, limit int64) []*unit {
	u := &unit{}
	for from := 0; from < len(tiles) || from == 0; {
		t := *like
		t.Leads = from == 0
		to := from
		for to < len(tiles) {
			if t.Tiles = tiles[from : to+1]; to > from && t.weight() > limit {
				break
			}
			to++
		}
		t.Tiles = tiles[from:to]
		u.jobs = append(u.jobs, &job{task: &t})
		if from = to; len(tiles) == 0 {
			break
		}
	}
	return []*unit{u}
}

// quantize cuts a weight. Where a row of blocks fits no tile it is a band, which one hand
// measures and quantizes when it fits a batch, and several do when not.
func (s *sequence) quantize(r *run) (units []*unit) {
	e := r.entry
	like := &Task{Step: s.step, Tensor: e.Tensor, Scheme: e.Scheme, Grid: e.Grid}
	if s.step == Quantize {
		like.Parts = partsOf(r)
	}
	if s.histograms {
		like.Histogram = e.Tensor.Elements()
	}
	g, size := e.Grid, e.Tensor.DType.Size()
	if g.BlockRows*g.Row()*size <= tile.Bytes {
		return cut(like, tile.Cut(e.Tensor, g.BlockRows), s.batch)
	}
	like.Banded = true
	for row := int64(0); row < g.Rows; row += g.BlockRows {
		tiles := tile.Rows(e.Tensor, row, row+g.BlockRows, 1)
		if g.BlockRows*g.Row()*size <= s.batch {
			units = append(units, cut(like, tiles, s.batch)...)
			continue
		}
		b := &band{like: *like, ready: make(chan struct{}), tiles: tiles}
		cuts := cut(like, tiles, s.batch)
		if s.step == Check {
			cuts = []*unit{{jobs: []*job{{task: &Task{Step: Check, Tensor: e.Tensor, Banded: true}}}}}
		}
		for _, u := range cuts {
			u.band = b
			for _, j := range u.jobs {
				j.band = b
			}
		}
		units = append(units, cuts...)
	}
	return units
}

// band is a row of blocks that is larger than a batch.
type band struct {
	like  Task
	tiles []tile.Tile
	left  atomic.Int64 // batches that are not measured
	parts []*batch

	ready  chan struct{} // closed when what follows is there
	params Params
	unfit  string
	err    error
}

// measuring are the tasks that find its ranges; nil for no band.
func (b *band) measuring(limit int64) (tasks []*Task) {
	if b == nil {
		return nil
	}
	like := b.like
	like.Step, like.Parts, like.Histogram = Measure, nil, 0
	for _, u := range cut(&like, b.tiles, limit) {
		for _, j := range u.jobs {
			tasks = append(tasks, j.task)
		}
	}
	b.parts = make([]*batch, len(tasks))
	b.left.Store(int64(len(tasks)))
	return tasks
}

// measured takes a batch of ranges; the last one makes the scales.
func (b *band) measured(p *batch) {
	left := b.left.Add(-1)
	b.parts[left] = p
	if left > 0 {
		return
	}
	defer close(b.ready)
	for _, p := range b.parts {
		if b.err = p.err; b.err != nil {
			return
		}
	}
	if b.like.Tensor.DType == tensor.F64 {
		b.unfit = scalesOf[float64](b)
	} else {
		b.unfit = scalesOf[float32](b)
	}
}

// scalesOf merges the ranges, in any order, and makes scales of them.
func scalesOf[T kernel.Float](b *band) (unfit string) {
	n := int(b.like.Grid.Across())
	lo, hi, scale := make([]T, n), make([]T, n), make([]T, n)
	kernel.Reset(lo, hi)
	for _, p := range b.parts {
		kernel.Range(viewOf[T](p.results[0].Low), 1, lo, hi)
		kernel.Range(viewOf[T](p.results[0].High), 1, lo, hi)
	}
	var zp []byte
	if b.like.Scheme.HasZeroPoint() {
		zp = make([]byte, n)
	}
	unfit = blockParams(&b.like, arith(&b.like), lo, hi, scale, zp)
	b.params = Params{clone(scale), zp}
	return unfit
}
