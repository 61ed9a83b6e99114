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

// splitGroup is blocks whose tiles are in several tasks, or that no single task holds whole: they
// are measured first, by as many workers as there are, and then quantized.
type splitGroup struct {
	like  Task
	tiles []tile.Tile // of all its blocks

	mu     sync.Mutex
	left   int // tasks that are not measured
	ranges ranges
	ready  chan struct{} // closed when what follows is there
	params Params
	unfit  kernel.Unfit
	err    error
}

// split is the split groups of a weight: each row of blocks, in parts where its scales are too many
// to be held at a time. A part is measured over all rows of the blocks again for each row that is
// written, since the file has row after row.
func (s *sequence) split(like *Task) iter.Seq[*unit] {
	t, g := like.Tensor, like.Grid
	most := max(s.limits.Scales/tile.Word, 1) * tile.Word // blocks, so that parts begin where words do
	return func(yield func(*unit) bool) {
		for row := int64(0); row < g.Rows; row += g.BlockRows {
			if g.Across() <= most {
				all := tile.Rows(t, row, row+g.BlockRows, 1, s.limits.Tile)
				if !yield(s.group(like, Split{Blocks: g.Across(), Leads: true}, all, nil)) {
					return
				}
				continue
			}
			for r := row; r < row+g.BlockRows; r++ {
				if s.step == Check && r > row {
					break
				}
				for block := int64(0); block < g.Across(); block += most {
					part := Split{Block: block, Blocks: min(most, g.Across()-block), Leads: r == row}
					own := s.columns(like, part, r)
					var all []tile.Tile
					for k := row; g.BlockRows > 1 && k < row+g.BlockRows; k++ {
						all = append(all, s.columns(like, part, k)...)
					}
					if !yield(s.group(like, part, own, all)) {
						return
					}
				}
			}
		}
	}
}

// columns are the tiles of some blocks in one row.
func (s *sequence) columns(like *Task, p Split, row int64) []tile.Tile {
	run := like.Grid.Run()
	return tile.Columns(like.Tensor, row, p.Block*run, (p.Block+p.Blocks)*run, tile.Word, s.limits.Tile)
}

// group is a unit of blocks. Its own tiles are to be quantized; all are those of its blocks, nil
// when these are the same. One task that has them all measures them itself, and whether it does is
// seen by the number of tasks alone: no size of theirs is compared with another.
func (s *sequence) group(like *Task, part Split, own, all []tile.Tile) *unit {
	t := *like
	t.Split = &part
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
		tasks = []*Task{{Step: Check, Tensor: t.Tensor, Scheme: t.Scheme, Grid: t.Grid, Split: &part}}
	}
	return unitOf(tasks, &splitGroup{like: t, tiles: all, ready: make(chan struct{})})
}

// measuring are the tasks that find its ranges; none for no split group.
func (g *splitGroup) measuring(limit int64) []*Task {
	if g == nil {
		return nil
	}
	like := g.like
	like.Step, like.Codes, like.Counted = Measure, nil, false
	tasks := cut(&like, g.tiles, limit)
	g.left = len(tasks)
	g.ranges, g.err = newRanges(&g.like)
	return tasks
}

// measured takes the ranges of a batch, in any order; with the last one come the scales. Workers call
// it, several at once.
func (g *splitGroup) measured(b *batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b.err != nil {
		g.err = b.err
	}
	for _, r := range b.results {
		if r != nil && g.ranges != nil {
			g.ranges.merge(r)
		}
	}
	b.results = nil
	if g.left--; g.left > 0 {
		return
	}
	if g.err == nil {
		g.params, g.unfit = g.ranges.params()
	}
	g.ranges = nil
	close(g.ready)
}

// ranges are the numbers of the blocks of a split group, in the making.
type ranges interface {
	merge(r *Result)
	params() (Params, kernel.Unfit)
}

func newRanges(t *Task) (ranges, error) {
	if t.Tensor.DType == tensor.F64 {
		return rangesIn[float64](t)
	}
	return rangesIn[float32](t)
}

// rangesOf are ranges in the type of the arithmetic.
type rangesOf[T kernel.Float] struct {
	method method.Spread[T]
	stats  plane.Stats[T]
}

func rangesIn[T kernel.Float](t *Task) (ranges, error) {
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

func (r *rangesOf[T]) merge(part *Result) {
	r.method.Merge(r.stats, plane.Stats[T]{Low: viewOf[T](part.Low), High: viewOf[T](part.High)})
}

func (r *rangesOf[T]) params() (Params, kernel.Unfit) {
	p := plane.Params[T]{}.Make(r.method.Has(), len(r.stats.Low))
	unfit := r.method.Settle(r.stats, p)
	return sent(p), unfit
}
