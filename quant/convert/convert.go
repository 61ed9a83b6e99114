// Package convert is the executor: it runs a layout's runs tile by tile on a few
// workers and writes the file forward only, in order. The result does not depend on
// the number of workers.
//
// A worker reads its tile, quantizes it and makes the bytes of every piece of the
// run; the writer takes the tiles in order through a bounded window. Memory is bounded by
// tiles, never by tensors: a weight whose blocks reach over more than a tile (per tensor,
// ConvTranspose per channel, very long rows) is read twice, once for its ranges, once for
// its codes; and where scales are too many to be held until their turn, each piece of a run
// is made in a pass of its own.
package convert

import (
	"context"
	"fmt"
	"io"

	"nibble/quant/container"
	"nibble/quant/kernel"
	"nibble/quant/plan"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// Progress is called from one goroutine with the bytes of source read and written out
// so far, of Work.
type Progress func(done, total int64)

// Options of a run.
type Options struct {
	Workers  int // at least 1
	Progress Progress
}

// maxHistograms bounds how many tensors have histograms, which take 1 kB each.
const maxHistograms = 1 << 14

// maxHeld bounds what the pieces of a run that wait for their turn may take, in bytes.
const maxHeld = 16 << 20

// Cost is what quantizing one entry of the plan cost; its Count is 0 when it was kept.
type Cost struct {
	kernel.Errors
	Histogram *kernel.Histogram // nil when it was kept
}

func (c *Cost) add(o Cost) {
	c.Errors.Add(o.Errors)
	switch {
	case o.Histogram == nil:
	case c.Histogram == nil:
		c.Histogram = o.Histogram
	default:
		c.Histogram.Add(o.Histogram)
	}
}

// Run writes the whole file to w and returns the cost of each entry of the plan.
// When it returns an error, what was written is not a file.
func Run(ctx context.Context, p *plan.Plan, l *container.Layout, w io.Writer, o Options) ([]Cost, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := l.Start(w)
	if err != nil {
		return nil, err
	}
	x := &executor{plan: p, out: out, costs: make([]Cost, len(p.Entries)), progress: o.Progress, histograms: len(p.Entries) <= maxHistograms}
	x.total = Work(p, l)
	for job := range x.start(ctx, apart(l.Runs), max(o.Workers, 1)) {
		select {
		case <-job.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if job.err != nil {
			return nil, job.err
		}
		if err := x.write(job); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return x.costs, out.Close()
}

// Work is how many bytes of source a run reads and writes out.
func Work(p *plan.Plan, l *container.Layout) (n int64) {
	x := &executor{plan: p}
	for i := range l.Runs {
		n += x.work(&l.Runs[i])
	}
	return n
}

// apart gives each piece of a run a run of its own where the others could not wait.
func apart(runs []container.Run) (out []container.Run) {
	for _, r := range runs {
		held := int64(0)
		for i := range r.Pieces[1:] {
			held += r.Pieces[1+i].Bytes()
		}
		if held <= maxHeld {
			out = append(out, r)
			continue
		}
		for i := range r.Pieces {
			out = append(out, container.Run{Entry: r.Entry, Pieces: r.Pieces[i : i+1]})
		}
	}
	return out
}

// executor is one conversion under way.
type executor struct {
	plan     *plan.Plan
	out      container.Writer
	costs    []Cost
	progress Progress
	done     int64
	total    int64

	histograms bool // are to be counted

	// the run being written
	sink io.Writer // of its first piece
	held [][]byte  // what its other pieces have so far, and zero points that fill no word yet
}

// job is one tile of one run.
type job struct {
	run         *run
	tile        tile.Tile
	params      *params // that the tiles of a band share; nil where a tile holds whole blocks
	leads       bool    // it is the first tile of its band
	first, last bool    // of its run
	histogram   bool    // is to be counted
	done        chan struct{}
	// results
	parts [][]byte // one per piece of the run
	cost  Cost
	err   error
}

// run is a container.Run with what its tiles share.
type run struct {
	*container.Run
	entry  *plan.Entry    // nil for a run of literals
	source *tensor.Tensor // what the tiles are cut from: the entry's tensor, flat where nothing keeps rows together
}

// work is how many source bytes a run accounts for in the progress.
func (x *executor) work(r *container.Run) int64 {
	if r.Entry < 0 || !r.Pieces[0].Content.Weights() {
		return 0
	}
	return x.plan.Entries[r.Entry].Tensor.Bytes()
}

// start hands out the jobs in order to the workers. The channel it returns carries
// the same jobs in the same order, at most a few ahead of the writer.
func (x *executor) start(ctx context.Context, runs []container.Run, workers int) <-chan *job {
	todo, order := make(chan *job), make(chan *job, workers)
	for range workers {
		go func() {
			var b buffers
			for j := range todo {
				b.guarded(ctx, j)
			}
		}()
	}
	go func() {
		defer close(todo)
		defer close(order)
		for i := range runs {
			for _, j := range x.jobs(&runs[i]) {
				select {
				case todo <- j:
				case <-ctx.Done():
					return
				}
				select {
				case order <- j:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return order
}

// guarded turns a panic into an error: one in a goroutine would end the whole process.
func (b *buffers) guarded(ctx context.Context, j *job) {
	defer close(j.done)
	defer caught(&j.err)
	j.err = b.run(ctx, j)
}

func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("internal error: %v; please report it", p)
	}
}

// jobs cuts a run into tiles. A run without values is one job with an empty tile.
func (x *executor) jobs(r *container.Run) (jobs []*job) {
	shared := &run{Run: r}
	add := func(t tile.Tile, p *params, leads bool) {
		jobs = append(jobs, &job{run: shared, tile: t, params: p, leads: leads, histogram: x.histograms, done: make(chan struct{})})
	}
	if r.Entry >= 0 {
		e := &x.plan.Entries[r.Entry]
		shared.entry, shared.source = e, e.Tensor
		if e.Quantize {
			for _, b := range bands(e) {
				for i, t := range b.tiles {
					add(t, b.params, i == 0)
				}
			}
		} else {
			if e.Tensor.Contiguous() {
				shared.source = e.Tensor.Flat()
			}
			for _, t := range tile.Cut(shared.source, 1) {
				add(t, nil, false)
			}
		}
	}
	if len(jobs) == 0 {
		add(tile.Tile{}, nil, false)
	}
	jobs[0].first, jobs[len(jobs)-1].last = true, true
	return jobs
}

// write appends a finished tile: the first piece goes out at once, the others wait
// until the run's last tile.
func (x *executor) write(j *job) error {
	pieces := j.run.Pieces
	if j.first {
		sink, err := x.out.Next(&pieces[0])
		if err != nil {
			return err
		}
		x.sink, x.held = sink, make([][]byte, len(pieces))
		for i := 1; i < len(pieces) && !j.last; i++ {
			if c := pieces[i].Content; c != container.Literal {
				x.held[i] = make([]byte, 0, pieces[i].Bytes())
			}
		}
	}
	for i, part := range j.parts {
		switch {
		case i > 0:
			x.held[i] = append(x.held[i], part...)
			continue
		case pieces[0].Content == container.PackedZeroPoint:
			part = x.fillWords(j.run.entry, part)
		}
		if _, err := x.sink.Write(part); err != nil {
			return err
		}
	}
	j.parts = nil
	if j.run.entry != nil && pieces[0].Content.Weights() {
		x.costs[j.run.Entry].add(j.cost)
		x.done += j.tile.Size(j.run.source)
		if x.progress != nil {
			x.progress(x.done, x.total)
		}
	}
	if !j.last {
		return nil
	}
	return x.finish(j.run)
}

// finish writes the pieces that were held.
func (x *executor) finish(r *run) error {
	for i := range r.Pieces {
		p := &r.Pieces[i]
		if i == 0 && p.Content != container.Literal && p.Content != container.PackedZeroPoint {
			continue // it was written tile by tile
		}
		data := x.held[i]
		switch p.Content {
		case container.Literal:
			data = p.Literal
		case container.PackedZeroPoint:
			data = packZeroPoints(r.entry, data)
		}
		if i > 0 {
			sink, err := x.out.Next(p)
			if err != nil {
				return err
			}
			x.sink = sink
		}
		if _, err := x.sink.Write(data); err != nil {
			return err
		}
	}
	x.held = nil
	return nil
}

// fillWords takes zero points and returns the words that they fill; the rest waits.
func (x *executor) fillWords(e *plan.Entry, zp []byte) []byte {
	all := append(x.held[0], zp...)
	group := int64(32/e.Scheme.Bits()) * e.Grid.Across()
	whole := int64(len(all)) / group * group
	x.held[0] = append([]byte(nil), all[whole:]...)
	return packZeroPoints(e, all[:whole])
}

// packZeroPoints packs one zero point per row and column of blocks, as raw bytes in
// row order, into int32 words along axis 0: row 0 in the lowest bits.
func packZeroPoints(e *plan.Entry, zp []byte) []byte {
	per := int64(32 / e.Scheme.Bits())
	across := e.Grid.Across()
	words := make([]int32, (int64(len(zp))/across+per-1)/per*across)
	flip, mask := uint32(0), uint32(1)<<e.Scheme.Bits()-1
	if e.Scheme.Signed() {
		flip = (mask + 1) / 2
	}
	for i, z := range zp {
		row, col := int64(i)/across, int64(i)%across
		words[row/per*across+col] |= int32((uint32(z)&mask ^ flip) << (row % per * int64(e.Scheme.Bits())))
	}
	return tensor.Bytes(words)
}
