// Package convert is the executor: it fills the files of an output, section by section, and writes each of them
// forward only. The same input and the same plan give the same bytes, whatever workers there are and however many.
//
// A section is cut into tasks (sequence.go), which name bytes and hold none. Tasks go to workers in batches
// (schedule.go). A worker reads the tiles of a task, has the weight's method make planes of them, and has the codes
// of the section's pieces lay these planes in bytes (worker.go, quantize.go). Natively workers are goroutines; in a
// browser they are web workers with instances of their own. The executor knows the names of methods and codes and
// none of their insides, and it knows no container.
//
// The results come back in order through a bounded window (write.go), so that reading, computing and writing overlap.
// Memory is bounded by tiles, never by tensors. A weight whose groups reach over more than a tile (per tensor,
// ConvTranspose per channel, very long rows) is read twice: once for the ranges of its groups, once for its codes.
// Where an entry has more scales than may be held until their turn in the file, each piece of its section is made in
// a pass of its own.
//
// Package quant is the stable entry to it; wasm/ imports it for Worker and Task alone.
//
// Only package quant is stable.
package convert

import (
	"context"

	"nibble/quant/kernel"
	"nibble/quant/layout"
	"nibble/quant/plan"
	"nibble/quant/tile"
)

// Progress is called from one goroutine with the bytes of source that are read and written out so far, and with all
// of them (SourceBytes).
type Progress func(done, total int64)

// Options say who does the work of a conversion, and at which sizes it is cut.
type Options struct {
	Workers  int      // goroutines that do tasks; at least 1
	Pool     []Worker // workers that do the tasks instead of goroutines
	Limits   tile.Limits
	Progress Progress
	Hash     bool // take the SHA-256 of each file
}

// workers are the ones that the options ask for: the pool, or else goroutines of this process.
func (o *Options) workers() []Worker {
	if len(o.Pool) > 0 {
		return o.Pool
	}
	workers := make([]Worker, max(o.Workers, 1))
	for i := range workers {
		workers[i] = &Local{Limits: o.Limits}
	}
	return workers
}

// Cost is what quantizing one entry of the plan lost. Count is 0 for an entry that is kept, since no value was
// counted.
type Cost struct {
	kernel.Errors
	Histogram *kernel.Histogram // nil when it was kept
}

// add joins the errors and the histogram of one result of the entry.
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
// the plan. After an error what was written is no output, and the file under way was abandoned.
func Run(ctx context.Context, p *plan.Plan, out *layout.Output, create Create, o Options) ([]Cost, []Written, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limits := o.Limits.Filled()
	x := &executor{plan: p, files: files{create: create, hash: o.Hash}, costs: make([]Cost, len(p.Entries)),
		limits: limits, progress: o.Progress}
	defer x.files.abandon()
	x.total = SourceBytes(p, out)
	s := sequence{plan: p, step: Quantize, limits: limits, histograms: len(p.Entries) <= limits.Histograms}
	for batch := range start(ctx, s.batches(s.sections(out)), o.workers()) {
		if err := batch.wait(ctx); err != nil {
			return nil, nil, err
		}
		for i, j := range batch.tasks {
			if err := x.write(j, batch.results[i]); err != nil {
				return nil, nil, err
			}
			batch.results[i].Release()
		}
	}
	return x.costs, x.files.written, ctx.Err()
}

// SourceBytes is how many bytes of source a conversion reads and writes out; Progress counts up to it.
func SourceBytes(p *plan.Plan, out *layout.Output) (n int64) {
	for i := range out.Files {
		for k := range out.Files[i].Sections {
			n += sectionBytes(p, &out.Files[i].Sections[k])
		}
	}
	return n
}

// sectionBytes is how many bytes of source a section adds to SourceBytes: only the section with a tensor's values
// counts, so that no tensor counts twice.
func sectionBytes(p *plan.Plan, s *layout.Section) int64 {
	switch {
	case s.Source != nil:
		return s.Source.Bytes()
	case !s.Made || !hasAllValues(s):
		return 0
	}
	return p.Entries[s.Entry].Tensor.Bytes()
}

// hasAllValues reports whether a section has all of a tensor's values: those of a kept tensor, or the codes of a
// weight.
func hasAllValues(s *layout.Section) bool {
	return s.Pieces[0].Code.Form == "" || s.Pieces[0].Code.Weights()
}
