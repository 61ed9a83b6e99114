package convert

import (
	"iter"

	"nibble/quant/kernel"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/plan"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// run is a section, or a piece of one, with its entry, and whether it begins or ends a file.
type run struct {
	*layout.Section
	entry  *plan.Entry  // nil for a run that is made of none
	opens  *layout.File // of which it is the first run; nil for most
	closes bool
}

// job is one task of one run.
type job struct {
	run         *run
	task        *Task       // nil for a run without values
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

// runs are all sections of an output in their order. Each piece of a section is a run of its own where the others
// could not wait: they would take more bytes than may be held.
func (s *sequence) runs(out *layout.Output) iter.Seq[*run] {
	return func(yield func(*run) bool) {
		for i := range out.Files {
			f := &out.Files[i]
			all := s.apart(f.Sections)
			for k := range all {
				r := &run{Section: &all[k], closes: k == len(all)-1}
				if k == 0 {
					r.opens = f
				}
				if r.Made {
					r.entry = &s.plan.Entries[r.Entry]
				}
				if !yield(r) {
					return
				}
			}
		}
	}
}

// apart are the runs of a file, one at least.
func (s *sequence) apart(sections []layout.Section) (out []layout.Section) {
	for _, x := range sections {
		held := int64(0)
		for _, p := range x.Pieces[min(1, len(x.Pieces)):] {
			if p.Code.Rows() > 1 { // one a byte while they wait
				g := s.plan.Entries[x.Entry].Grid
				held += g.Rows * g.Across()
			} else {
				held += p.Bytes()
			}
		}
		if held <= s.limits.Held {
			out = append(out, x)
			continue
		}
		for i := range x.Pieces {
			out = append(out, layout.Section{Made: x.Pieces[i].Literal == nil, Entry: x.Entry, Pieces: x.Pieces[i : i+1]})
		}
	}
	if len(out) == 0 {
		out = []layout.Section{{}}
	}
	return out
}

// units cut runs into tasks.
func (s *sequence) units(runs iter.Seq[*run]) iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		for r := range runs {
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
		t := r.Source
		if t == nil && r.entry != nil {
			t = r.entry.Tensor
		}
		if t == nil {
			yield(unitOf([]*Task{nil}, nil))
			return
		}
		if t.Contiguous() {
			t = t.Flat()
		}
		tasks := cut(&Task{Step: Copy, Tensor: t}, tile.Cut(t, 1, s.limits.Tile), s.limits.Batch)
		yield(unitOf(tasks, nil))
	}
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
	whole := !spread(e.Scheme)
	for _, p := range r.Pieces {
		like.Codes = append(like.Codes, p.Code)
		whole = whole || p.Code.Whole()
	}
	if s.histograms {
		like.Counted, like.Every = true, kernel.HistogramStep(e.Tensor.Elements(), s.limits.Samples)
	}
	tiles, ok := wholeBlocks(e.Tensor, e.Grid, s.limits.Tile, whole)
	if !ok {
		return s.split(like)
	}
	return func(yield func(*unit) bool) { yield(unitOf(cut(like, tiles, s.limits.Batch), nil)) }
}

// spread reports whether groups of a scheme may lie apart.
func spread(s scheme.Scheme) bool {
	row, err := method.Find(s)
	return err == nil && row.Spread
}

// wholeBlocks cuts a weight into tiles that each hold whole blocks, of rows or of columns of one
// row; false where blocks fit no tile, or do not end where packed words do. With must they hold whole
// blocks of one row, however large these are.
func wholeBlocks(t *tensor.Tensor, g scheme.Grid, limit int64, must bool) (tiles []tile.Tile, ok bool) {
	size := t.DType.Size()
	if g.BlockRows*g.Row()*size <= limit {
		return tile.Cut(t, g.BlockRows, limit), true
	}
	if g.BlockRows > 1 || g.Run()*size > limit && !must {
		return nil, false
	}
	step := g.Run()
	for step%tile.Word != 0 {
		step *= 2
	}
	if step*size > limit && !must {
		return nil, false
	}
	for row := range g.Rows {
		tiles = append(tiles, tile.Columns(t, row, 0, g.Row(), step, limit)...)
	}
	return tiles, true
}
