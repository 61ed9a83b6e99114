// Package convert is the executor: it has a layout's runs done tile by tile by a few hands
// and writes the file forward only, in order. The result does not depend on the number of
// hands, or on what they are.
//
// A run is cut into tasks (schedule.go), which name bytes and hold none. A hand reads its
// tiles, quantizes them and makes the bytes of every piece of the run (worker.go); natively
// hands are goroutines, in a browser other workers. The writer takes what they made in
// order through a bounded window, so that reading, computing and writing overlap. Memory is
// bounded by tiles, never by tensors: a weight whose blocks reach over more than a tile (per
// tensor, ConvTranspose per channel, very long rows) is read twice, once for its ranges,
// once for its codes; and where scales are too many to be held until their turn, each piece
// of a run is made in a pass of its own.
package convert

import (
	"context"
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
	Workers  int    // goroutines of this process; at least 1
	Hands    []Hand // instead of them
	Limits   tile.Limits
	Progress Progress
}

// hands are those that the options ask for.
func (o *Options) hands() []Hand {
	if len(o.Hands) > 0 {
		return o.Hands
	}
	hands := make([]Hand, max(o.Workers, 1))
	for i := range hands {
		hands[i] = &Worker{Limits: o.Limits}
	}
	return hands
}

// Cost is what quantizing one entry of the plan cost; its Count is 0 when it was kept.
type Cost struct {
	kernel.Errors
	Histogram *kernel.Histogram // nil when it was kept
}

func (c *Cost) add(r *Result) {
	for _, e := range r.Errors {
		c.Errors.Add(e)
	}
	switch {
	case r.Histogram == nil:
	case c.Histogram == nil:
		c.Histogram = r.Histogram
	default:
		c.Histogram.Add(r.Histogram)
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
	limits := o.Limits.Filled()
	x := &executor{plan: p, out: out, costs: make([]Cost, len(p.Entries)), limits: limits, progress: o.Progress}
	x.total = Work(p, l)
	s := sequence{plan: p, step: Quantize, limits: limits, histograms: len(p.Entries) <= limits.Histograms}
	for batch := range start(ctx, s.batches(apart(p, l.Runs, limits.Held)), o.hands()) {
		if err := batch.wait(ctx); err != nil {
			return nil, err
		}
		for i, j := range batch.jobs {
			if err := x.write(j, batch.results[i]); err != nil {
				return nil, err
			}
			batch.results[i].Release()
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

// apart gives each piece of a run a run of its own where the others could not wait: they would take
// more than limit bytes.
func apart(p *plan.Plan, runs []container.Run, limit int64) (out []container.Run) {
	for _, r := range runs {
		held := int64(0)
		for _, piece := range r.Pieces[1:] {
			if piece.Content == container.PackedZeroPoint { // one a byte while it waits
				g := p.Entries[r.Entry].Grid
				held += g.Rows * g.Across()
			} else {
				held += piece.Bytes()
			}
		}
		if held <= limit {
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
	limits   tile.Limits
	progress Progress
	done     int64
	total    int64

	// the run being written
	sink io.Writer // of its first piece
	held [][]byte  // what its other pieces have so far, and zero points that fill no word yet
}

// work is how many source bytes a run accounts for in the progress.
func (x *executor) work(r *container.Run) int64 {
	if r.Entry < 0 || !r.Pieces[0].Content.Weights() {
		return 0
	}
	return x.plan.Entries[r.Entry].Tensor.Bytes()
}

// write appends what a task made: the first piece goes out at once, the others wait until
// the run's last task.
func (x *executor) write(j *job, r *Result) error {
	pieces := j.run.Pieces
	if r.Unfit != "" {
		return unfit(j.run.entry, r.Unfit)
	}
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
	for i, part := range r.Parts {
		if i > 0 || pieces[0].Content == container.PackedZeroPoint {
			x.held[i] = append(x.held[i], part...)
		} else if _, err := x.sink.Write(part); err != nil {
			return err
		}
	}
	if pieces[0].Content == container.PackedZeroPoint {
		if err := x.fillWords(j.run.entry, j.last); err != nil {
			return err
		}
	}
	if j.run.entry != nil && pieces[0].Content.Weights() {
		x.costs[j.run.Entry].add(r)
		x.done += j.task.bytes()
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
func (x *executor) finish(r *run) (err error) {
	for i := range r.Pieces {
		p := &r.Pieces[i]
		if i == 0 && p.Content != container.Literal {
			continue // it was written task by task
		}
		if i > 0 {
			if x.sink, err = x.out.Next(p); err != nil {
				return err
			}
		}
		switch p.Content {
		case container.Literal:
			_, err = x.sink.Write(p.Literal)
		case container.PackedZeroPoint:
			err = writeWords(x.sink, r.entry, x.held[i], x.limits.Chunk)
		default:
			_, err = x.sink.Write(x.held[i])
		}
		if err != nil {
			return err
		}
	}
	x.held = nil
	return nil
}

// fillWords writes the words that the zero points so far fill, or with the last ones all of them; the
// rest waits, which is those of less than 8 rows.
func (x *executor) fillWords(e *plan.Entry, last bool) error {
	group := int64(32/e.Scheme.Bits()) * e.Grid.Across()
	whole := int64(len(x.held[0])) / group * group
	if last {
		whole = int64(len(x.held[0]))
	}
	if whole == 0 {
		return nil
	}
	err := writeWords(x.sink, e, x.held[0][:whole], x.limits.Chunk)
	x.held[0] = append(x.held[0][:0], x.held[0][whole:]...)
	return err
}

// writeWords packs one zero point per row and column of blocks, as raw bytes in row order, into int32
// words along axis 0, so many at a time: row 0 in the lowest bits.
func writeWords(w io.Writer, e *plan.Entry, zp []byte, chunk int) error {
	bits, across := e.Scheme.Bits(), int(e.Grid.Across())
	per := 32 / bits
	flip, mask := uint32(0), uint32(1)<<bits-1
	if e.Scheme.Signed() {
		flip = (mask + 1) / 2
	}
	words := make([]int32, min(across, chunk))
	for ; len(zp) > 0; zp = zp[min(per*across, len(zp)):] {
		rows := min(per, len(zp)/across)
		for from := 0; from < across; from += len(words) {
			words = words[:min(len(words), across-from)]
			clear(words)
			for row := range rows {
				for i, z := range zp[row*across+from:][:len(words)] {
					words[i] |= int32((uint32(z)&mask ^ flip) << (row * bits))
				}
			}
			if _, err := w.Write(tensor.Bytes(words)); err != nil {
				return err
			}
		}
		words = words[:min(across, chunk)]
	}
	return nil
}
