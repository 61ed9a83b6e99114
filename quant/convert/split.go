package convert

import (
	"iter"
	"sync"

	"nibble/quant/kernel"
	"nibble/quant/method"
	"nibble/quant/plane"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// splitGroup is a row of blocks, or some blocks of one, whose tiles go to several tasks, so that no single task holds
// its groups whole. It is measured first, by as many workers as there are, and then quantized.
type splitGroup struct {
	template Task
	tiles    []tile.Tile // of all its groups

	mu         sync.Mutex
	unmeasured int // tasks without a result
	ranges     ranges
	ready      chan struct{} // closed when the fields below are set
	params     Params
	unfit      kernel.Unfit
	err        error
}

// split makes the split groups of a weight: one for each row of blocks, or several where the row has more scales than
// may be held at a time. In a group of several rows the ranges are then measured once for each row that is written,
// since the file has row after row.
func (s *sequence) split(template *Task) iter.Seq[*unit] {
	t, g := template.Tensor, template.Grid
	most := max(s.limits.Scales/tile.Word, 1) * tile.Word // a multiple, so that each split begins where a packed word does
	return func(yield func(*unit) bool) {
		for row := int64(0); row < g.Rows; row += g.BlockRows {
			if g.Across() <= most {
				all := tile.Rows(t, row, row+g.BlockRows, 1, s.limits.Tile)
				if !yield(s.group(template, Split{Blocks: g.Across(), WritesParams: true}, all, nil)) {
					return
				}
				continue
			}
			for r := row; r < row+g.BlockRows; r++ {
				if s.step == Check && r > row {
					break
				}
				for block := int64(0); block < g.Across(); block += most {
					split := Split{Block: block, Blocks: min(most, g.Across()-block), WritesParams: r == row}
					own := s.columns(template, split, r)
					var all []tile.Tile
					for k := row; g.BlockRows > 1 && k < row+g.BlockRows; k++ {
						all = append(all, s.columns(template, split, k)...)
					}
					if !yield(s.group(template, split, own, all)) {
						return
					}
				}
			}
		}
	}
}

// columns are the tiles of some blocks in one row.
func (s *sequence) columns(template *Task, p Split, row int64) []tile.Tile {
	width := template.Grid.GroupWidth()
	return tile.Columns(template.Tensor, row, p.Block*width, (p.Block+p.Blocks)*width, tile.Word, s.limits.Tile)
}

// group makes the unit of some blocks. own are the tiles to be quantized; all are the tiles of the blocks, nil when
// they are the same. One task that has all of them measures them itself. Whether it does is decided by the number of
// tasks alone, never by comparing sizes: two measures of one size once disagreed, and blocks were measured over some
// of their weights.
func (s *sequence) group(template *Task, split Split, own, all []tile.Tile) *unit {
	t := *template
	t.Split = &split
	tasks := cut(&t, own, s.limits.Batch)
	if whole := len(tasks) == 1 && all == nil; whole {
		for _, task := range tasks {
			task.Split.Whole = true
		}
		return unitOf(tasks, nil)
	}
	if all == nil {
		all = own
	}
	if s.step == Check {
		// It waits for the ranges and looks at nothing else.
		tasks = []*Task{{Step: Check, Tensor: t.Tensor, Scheme: t.Scheme, Grid: t.Grid, Split: &split}}
	}
	return unitOf(tasks, &splitGroup{template: t, tiles: all, ready: make(chan struct{})})
}

// measureTasks are the tasks that find the group's ranges; none for no split group.
func (g *splitGroup) measureTasks(limit int64) []*Task {
	if g == nil {
		return nil
	}
	template := g.template
	template.Step, template.Codes, template.Counted = Measure, nil, false
	tasks := cut(&template, g.tiles, limit)
	g.unmeasured = len(tasks)
	g.ranges, g.err = newRanges(&g.template)
	return tasks
}

// addRanges takes the ranges that a batch measured, in any order; with the last ones it makes the scales. Several
// workers call it at once.
func (g *splitGroup) addRanges(b *batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b.err != nil {
		g.err = b.err
	}
	for _, r := range b.results {
		if r != nil && g.ranges != nil {
			g.ranges.add(r)
		}
	}
	b.results = nil
	if g.unmeasured--; g.unmeasured > 0 {
		return
	}
	if g.err == nil {
		g.params, g.unfit = g.ranges.params()
	}
	g.ranges = nil
	close(g.ready)
}

// ranges are what is measured of the groups of a split group, while results come in.
type ranges interface {
	// add joins the ranges of one result.
	add(r *Result)
	// params makes the parameters, once all results were added, or says why there are none.
	params() (Params, kernel.Unfit)
}

// newRanges are empty ranges in the arithmetic of the task's tensor.
func newRanges(t *Task) (ranges, error) {
	if t.Tensor.DType == tensor.F64 {
		return newRangesOf[float64](t)
	}
	return newRangesOf[float32](t)
}

// rangesOf are ranges held as T.
type rangesOf[T kernel.Float] struct {
	method method.Spread[T]
	stats  plane.Stats[T]
}

// newRangesOf are empty ranges held as T.
func newRangesOf[T kernel.Float](t *Task) (ranges, error) {
	m, err := method.Of[T](t.Scheme, t.Tensor.DType)
	if err != nil {
		return nil, err
	}
	spread, ok := m.(method.Spread[T])
	if !ok {
		return nil, errSpread
	}
	r := &rangesOf[T]{spread, plane.Stats[T]{}.Make(int(t.Split.Blocks))}
	spread.Reset(r.stats)
	return r, nil
}

// add implements ranges.
func (r *rangesOf[T]) add(split *Result) {
	r.method.Merge(r.stats, plane.Stats[T]{Low: valuesIn[T](split.Low), High: valuesIn[T](split.High)})
}

// params implements ranges.
func (r *rangesOf[T]) params() (Params, kernel.Unfit) {
	p := plane.Params[T]{}.Make(r.method.Has(), len(r.stats.Low))
	unfit := r.method.Settle(r.stats, p)
	return encodeParams(p), unfit
}
