// Package convert is the executor: it has an output's sections done tile by tile by a few workers and writes each file
// forward only, in order. The result does not depend on the number of workers, or on what they are.
//
// A section is cut into tasks (schedule.go), which name bytes and hold none. A hand reads its tiles, has the weight's
// method make planes of them and the codes of the section's pieces lay these in bytes (worker.go); natively hands are
// goroutines, in a browser other workers. The executor knows the names of methods and codes and none of their insides,
// and no container. The writer takes what was made in order through a bounded window, so that reading, computing and
// writing overlap. Memory is bounded by tiles, never by tensors: a weight whose blocks reach over more than a tile (per
// tensor, ConvTranspose per channel, very long rows) is read twice, once for its ranges, once for its codes; and where
// scales are too many to be held until their turn, each piece of a section is made in a pass of its own.
package convert

import (
	"context"

	"nibble/quant/kernel"
	"nibble/quant/layout"
	"nibble/quant/plan"
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
	Hash     bool // sha256 of each file
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

// Cost is what quantizing one entry of the plan cost. An entry that was kept cost nothing: no value was counted.
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

// Run writes all files of an output, one after the other as create begins them, and returns the cost of each entry of
// the plan. When it returns an error, what was written is no output.
func Run(ctx context.Context, p *plan.Plan, out *layout.Output, create Create, o Options) ([]Cost, []Written, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limits := o.Limits.Filled()
	x := &executor{plan: p, files: files{create: create, hash: o.Hash}, costs: make([]Cost, len(p.Entries)), limits: limits, progress: o.Progress}
	defer x.files.abandon()
	x.total = Work(p, out)
	s := sequence{plan: p, step: Quantize, limits: limits, histograms: len(p.Entries) <= limits.Histograms}
	for batch := range start(ctx, s.batches(s.runs(out)), o.hands()) {
		if err := batch.wait(ctx); err != nil {
			return nil, nil, err
		}
		for i, j := range batch.jobs {
			if err := x.write(j, batch.results[i]); err != nil {
				return nil, nil, err
			}
			batch.results[i].Release()
		}
	}
	return x.costs, x.files.written, ctx.Err()
}

// Work is how many bytes of source a run reads and writes out.
func Work(p *plan.Plan, out *layout.Output) (n int64) {
	for i := range out.Files {
		for k := range out.Files[i].Sections {
			n += work(p, &out.Files[i].Sections[k])
		}
	}
	return n
}

// work is how many source bytes a section accounts for in the progress.
func work(p *plan.Plan, s *layout.Section) int64 {
	switch {
	case s.Source != nil:
		return s.Source.Bytes()
	case !s.Made || !carries(s):
		return 0
	}
	return p.Entries[s.Entry].Tensor.Bytes()
}

// carries reports whether a section has all of a tensor's values: a kept one, or the codes of a weight.
func carries(s *layout.Section) bool {
	return s.Pieces[0].Code.Form == "" || s.Pieces[0].Code.Weights()
}
