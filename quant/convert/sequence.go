package convert

import (
	"iter"

	"nibble/quant/container"
	"nibble/quant/kernel"
	"nibble/quant/plan"
	"nibble/quant/scheme"
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
	split       *splitGroup // whose scales the task waits for; nil for most
	first, last bool        // of its run
}

// unit is jobs that come together: those of a split group, or all of a run that has none.
type unit struct {
	jobs  []*job
	split *splitGroup
}

// unitOf makes jobs of tasks, which wait for the scales of a split group where there is one.
func unitOf(tasks []*Task, g *splitGroup) *unit {
	u := &unit{split: g}
	for _, t := range tasks {
		u.jobs = append(u.jobs, &job{task: t, split: g})
	}
	return u
}

// sequence makes the jobs of a file, in its order.
type sequence struct {
	plan       *plan.Plan
	step       Step // Quantize, or Check
	limits     tile.Limits
	histograms bool // are to be counted
}

// units cut runs into tasks. A run without values is one task without tiles.
func (s *sequence) units(runs []container.Run) iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		for i := range runs {
			r := &run{Run: &runs[i]}
			if r.Entry >= 0 {
				r.entry = &s.plan.Entries[r.Entry]
			}
			for u := range s.marked(r) {
				if !yield(u) {
					return
				}
			}
		}
	}
}

// marked tells the jobs of a run which run they are of, and which are its first and its last.
func (s *sequence) marked(r *run) iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		var ahead *unit
		for u := range s.ofRun(r) {
			for _, j := range u.jobs {
				j.run = r
			}
			if ahead == nil {
				u.jobs[0].first = true
			} else if !yield(ahead) {
				return
			}
			ahead = u
		}
		ahead.jobs[len(ahead.jobs)-1].last = true
		yield(ahead)
	}
}

// ofRun is the units of one run, one at least.
func (s *sequence) ofRun(r *run) iter.Seq[*unit] {
	if r.entry != nil && r.entry.Quantize {
		return s.quantized(r)
	}
	return func(yield func(*unit) bool) {
		copied, tiles := &Task{Step: Copy, Parts: partsOf(r)}, []tile.Tile(nil)
		if r.entry != nil {
			copied.Tensor = r.entry.Tensor
			if copied.Tensor.Contiguous() {
				copied.Tensor = copied.Tensor.Flat()
			}
			tiles = tile.Cut(copied.Tensor, 1, s.limits.Tile)
		}
		yield(unitOf(cut(copied, tiles, s.limits.Batch), nil))
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

// cut gives each task so many tiles that it fits into a batch; without tiles there is one task.
func cut(like *Task, tiles []tile.Tile, limit int64) (tasks []*Task) {
	for from := 0; from < len(tiles) || from == 0; {
		t := *like
		if like.Split != nil {
			part := *like.Split
			part.Leads = part.Leads && from == 0
			t.Split = &part
		}
		to := from
		for bytes := int64(0); to < len(tiles); to++ {
			if bytes += tiles[to].Size(t.Tensor); to > from && t.weigh(bytes) > limit {
				break
			}
		}
		t.Tiles = tiles[from:to]
		tasks = append(tasks, &t)
		if from = to; len(tiles) == 0 {
			break
		}
	}
	return tasks
}

// quantized is the units of a weight: one, or one for each split group.
func (s *sequence) quantized(r *run) iter.Seq[*unit] {
	e := r.entry
	like := &Task{Step: s.step, Tensor: e.Tensor, Scheme: e.Scheme, Grid: e.Grid}
	if s.step == Quantize {
		like.Parts = partsOf(r)
	}
	if s.histograms {
		like.Histogram = kernel.HistogramStep(e.Tensor.Elements(), s.limits.Samples)
	}
	tiles, ok := wholeBlocks(e.Tensor, e.Grid, s.limits.Tile)
	if !ok {
		return s.split(like)
	}
	return func(yield func(*unit) bool) { yield(unitOf(cut(like, tiles, s.limits.Batch), nil)) }
}

// wholeBlocks cuts a weight into tiles that each hold whole blocks, of rows or of columns of one
// row; false where blocks fit no tile, or do not end where packed words do.
func wholeBlocks(t *tensor.Tensor, g scheme.Grid, limit int64) (tiles []tile.Tile, ok bool) {
	size := t.DType.Size()
	if g.BlockRows*g.Row()*size <= limit {
		return tile.Cut(t, g.BlockRows, limit), true
	}
	if g.BlockRows > 1 || g.Run()*size > limit {
		return nil, false
	}
	step := g.Run()
	for step%tile.Word != 0 {
		step *= 2
	}
	if step*size > limit {
		return nil, false
	}
	for row := range g.Rows {
		tiles = append(tiles, tile.Columns(t, row, 0, g.Row(), step, limit)...)
	}
	return tiles, true
}
