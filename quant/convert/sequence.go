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

// section is a section of the output, or one piece of such a section, with its entry of the plan and its place in the
// file.
type section struct {
	*layout.Section
	entry  *plan.Entry  // nil for a section that is made of none
	opens  *layout.File // the file that begins with it; nil for all but the first section
	closes bool         // the file ends with it
}

// placedTask is one task and its place among those of its section.
type placedTask struct {
	section     *section
	task        *Task       // nil for a section without values
	split       *splitGroup // whose scales the task waits for; nil for none
	first, last bool        // of its section
}

// unit is tasks that belong together: those of one split group, or all tasks of a section without one.
type unit struct {
	tasks []*placedTask
	split *splitGroup
}

// unitOf places tasks in a unit; those of a split group wait for its scales.
func unitOf(tasks []*Task, g *splitGroup) *unit {
	u := &unit{split: g}
	for _, t := range tasks {
		u.tasks = append(u.tasks, &placedTask{task: t, split: g})
	}
	return u
}

// sequence makes the tasks of a whole output, in the order of its bytes.
type sequence struct {
	plan       *plan.Plan
	step       Step // Quantize, or Check
	limits     tile.Limits
	histograms bool // histograms are counted
}

// sections are all sections of an output, in order.
func (s *sequence) sections(out *layout.Output) iter.Seq[*section] {
	return func(yield func(*section) bool) {
		for i := range out.Files {
			f := &out.Files[i]
			all := s.passes(f.Sections)
			for k := range all {
				r := &section{Section: &all[k], closes: k == len(all)-1}
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

// passes are the sections of one file, at least one. A section whose later pieces would take more memory than may be
// held, while they wait for the first, becomes several: each piece is made in a pass of its own.
func (s *sequence) passes(sections []layout.Section) (out []layout.Section) {
	for _, x := range sections {
		held := int64(0)
		for _, p := range x.Pieces[min(1, len(x.Pieces)):] {
			if p.Code.Rows() > 1 { // they wait one a byte
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

// units cut sections into tasks.
func (s *sequence) units(sections iter.Seq[*section]) iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		for r := range sections {
			for u := range s.placed(r) {
				if !yield(u) {
					return
				}
			}
		}
	}
}

// placed makes the units of a section and notes in each task where in the section it stands.
func (s *sequence) placed(r *section) iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		var ahead *unit
		for u := range s.ofSection(r) {
			for _, j := range u.tasks {
				j.section = r
			}
			if ahead == nil {
				u.tasks[0].first = true
			} else if !yield(ahead) {
				return
			}
			ahead = u
		}
		ahead.tasks[len(ahead.tasks)-1].last = true
		yield(ahead)
	}
}

// ofSection makes the units of one section, at least one.
func (s *sequence) ofSection(r *section) iter.Seq[*unit] {
	if r.entry != nil && r.entry.Quantize {
		return s.ofWeight(r)
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

// cut makes tasks like the template, each of as many tiles as fit a batch. Without tiles there is one task.
func cut(template *Task, tiles []tile.Tile, limit int64) (tasks []*Task) {
	for from := 0; from < len(tiles) || from == 0; {
		t := *template
		if template.Split != nil {
			split := *template.Split
			split.WritesParams = split.WritesParams && from == 0
			t.Split = &split
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

// ofWeight makes the units of a weight that is quantized: one, or one for each split group.
func (s *sequence) ofWeight(r *section) iter.Seq[*unit] {
	e := r.entry
	template := &Task{Step: s.step, Tensor: e.Tensor, Scheme: e.Scheme, Grid: e.Grid}
	whole := !spread(e.Scheme)
	for _, p := range r.Pieces {
		template.Codes = append(template.Codes, p.Code)
		whole = whole || p.Code.Whole()
	}
	if s.histograms {
		template.Counted, template.Every = true, kernel.HistogramStep(e.Tensor.Elements(), s.limits.Samples)
	}
	tiles, ok := wholeBlocks(e.Tensor, e.Grid, s.limits.Tile, whole)
	if !ok {
		return s.split(template)
	}
	return func(yield func(*unit) bool) { yield(unitOf(cut(template, tiles, s.limits.Batch), nil)) }
}

// spread reports whether groups of the scheme's method may lie apart, in several rows, tiles or tasks.
func spread(s scheme.Scheme) bool {
	row, err := method.Find(s)
	return err == nil && row.Spread
}

// wholeBlocks cuts a weight into tiles that each hold whole groups, in rows or in the columns of one row. ok is false
// where a group fits no tile, or does not end where a packed word does. With must the tiles hold whole groups of one
// row, however large these are: a form that lays codes and scales together needs it.
func wholeBlocks(t *tensor.Tensor, g scheme.Grid, limit int64, must bool) (tiles []tile.Tile, ok bool) {
	size := t.DType.Size()
	if g.BlockRows*g.Row()*size <= limit {
		return tile.Cut(t, g.BlockRows, limit), true
	}
	if g.BlockRows > 1 || g.GroupWidth()*size > limit && !must {
		return nil, false
	}
	step := g.GroupWidth()
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
