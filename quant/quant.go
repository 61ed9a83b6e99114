// Package quant is Nibble's core: it turns a model checkpoint into a 4-bit one, with
// the arithmetic of coremltools' PostTrainingQuantizer, to the last bit.
//
// Four functions, each a walk along the same arrow (README.md in this folder):
//
//	checkpoint -> StateDict -> plan -> tiles -> kernel -> container
//
// Inspect reads headers only. Plan decides everything and lays out the output, still
// without weights. Convert streams. Verify re-opens what was written. (Measure is a
// Convert of a few tensors, for their errors alone.) The native command and the
// browser's wasm are thin callers of these; nothing here knows of either. Errors that a
// file causes are *fault.Error.
package quant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"

	"nibble/quant/checkpoint"
	"nibble/quant/container"
	"nibble/quant/convert"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/verify"
)

// Version of Nibble, in reports and outputs.
const Version = "0.1.0"

// Inspect opens the one checkpoint among files and reads no weights.
func Inspect(files []*tensor.File) (*checkpoint.Checkpoint, error) {
	return checkpoint.OpenOne(files)
}

// Job is a decided conversion: nothing is left to choose.
type Job struct {
	Checkpoint *checkpoint.Checkpoint
	Plan       *plan.Plan
	Layout     *container.Layout
	container  container.Options
}

// Plan decides what becomes of every tensor and where every byte of the output lies.
// A job whose Plan has a Conflict can be shown and not converted.
func Plan(c *checkpoint.Checkpoint, r *recipe.Recipe, po plan.Options, co container.Options) (*Job, error) {
	co.Version = Version
	p, err := plan.Build(&c.State, r, po)
	if err != nil {
		return nil, err
	}
	l, err := container.Lay(p, co)
	if err != nil {
		return nil, err
	}
	return &Job{Checkpoint: c, Plan: p, Layout: l, container: co}, nil
}

// Report shows a job before it runs: all of report.json but the errors.
func (j *Job) Report() *report.Report {
	r := report.Build(j.Plan, j.Layout)
	r.Nibble = Version
	r.Inputs = []report.File{{Name: j.Checkpoint.File.Name, Bytes: j.Checkpoint.File.Size, Format: j.Checkpoint.Format}}
	return r
}

// Options of a conversion.
type Options struct {
	Name     string // of the output, for the report
	Workers  int
	Hash     bool // sha256 of input and output; costs more than quantizing
	Progress convert.Progress
}

// Convert writes the output to w, forward only, and reports what it cost. After an
// error, what was written is not a file.
func Convert(ctx context.Context, j *Job, w io.Writer, o Options) (*report.Report, error) {
	if j.Plan.Conflict != nil {
		return nil, j.Plan.Conflict
	}
	steps := progress{report: o.Progress}
	if j.Plan.Options.KeepUnfit {
		var err error
		if steps.after = j.Checkpoint.State.Bytes(); o.Hash {
			steps.after += j.Checkpoint.File.Size
		}
		if j, err = j.survey(ctx, o.Workers, &steps); err != nil {
			return nil, err
		}
	}
	r := j.Report()
	r.Output.Name = o.Name
	out := &counter{w: w}
	if o.Hash { // which reads the input once more
		out.sum, steps.after = sha256.New(), j.Checkpoint.File.Size
	}
	costs, err := convert.Run(ctx, j.Plan, j.Layout, out, convert.Options{Workers: o.Workers, Progress: steps.next()})
	if err != nil {
		return nil, err
	}
	if out.n != j.Layout.Bytes {
		return nil, fmt.Errorf("internal error: %d bytes were laid out and %d written; please report it", j.Layout.Bytes, out.n)
	}
	for i, c := range costsOfAll(j.Plan, costs) {
		r.Fill(i, c.Errors, c.Histogram)
	}
	r.Sum()
	if o.Hash {
		f, in, step := j.Checkpoint.File, sha256.New(), steps.next()
		source := &counter{w: in, progress: func(n int64) { step(n, f.Size) }}
		if _, err := io.CopyBuffer(struct{ io.Writer }{source}, io.NewSectionReader(f.R, 0, f.Size), make([]byte, 1<<20)); err != nil {
			return nil, err
		}
		r.Inputs[0].SHA256, r.Output.SHA256 = digest(in), digest(out.sum)
	}
	return r, nil
}

// costsOfAll gives tied weights, which a container may hold once, the cost of the first.
func costsOfAll(p *plan.Plan, costs []convert.Cost) []convert.Cost {
	first := map[string]convert.Cost{}
	for i := range costs {
		if !p.Entries[i].Quantize {
			continue
		}
		view := p.Entries[i].Tensor.View()
		if costs[i].Count > 0 {
			first[view] = costs[i]
		}
		costs[i] = first[view]
	}
	return costs
}

// Measure quantizes a few tensors of a job and tells what that cost, without writing
// anything. Names that the plan keeps, does not know or would keep as unfit are left out.
func Measure(ctx context.Context, j *Job, names []string, workers int) (map[string]report.Figures, error) {
	some := *j.Plan
	some.Entries = nil
	for _, e := range j.Plan.Entries {
		if e.Quantize && slices.Contains(names, e.Tensor.Name) {
			some.Entries = append(some.Entries, e)
		}
	}
	if some.Options.KeepUnfit {
		unfit, err := convert.Survey(ctx, &some, convert.Options{Workers: workers})
		if err != nil {
			return nil, err
		}
		some.Entries = slices.DeleteFunc(some.Entries, func(e plan.Entry) bool { return unfit[e.Tensor.Name] != "" })
	}
	l, err := container.Lay(&some, j.container)
	if err != nil {
		return nil, err
	}
	costs, err := convert.Run(ctx, &some, l, io.Discard, convert.Options{Workers: workers})
	if err != nil {
		return nil, err
	}
	figures := map[string]report.Figures{}
	for i, c := range costsOfAll(&some, costs) {
		figures[some.Entries[i].Tensor.Name] = report.FiguresOf(c.Errors)
	}
	return figures, nil
}

// survey finds what the arithmetic cannot take and plans again with it kept.
func (j *Job) survey(ctx context.Context, workers int, steps *progress) (*Job, error) {
	unfit, err := convert.Survey(ctx, j.Plan, convert.Options{Workers: workers, Progress: steps.next()})
	if err != nil || len(unfit) == 0 {
		return j, err
	}
	o := j.Plan.Options
	o.Keep = unfit
	return Plan(j.Checkpoint, j.Plan.Recipe, o, j.container)
}

// progress joins the passes of a conversion into one count of bytes.
type progress struct {
	report convert.Progress // may be nil
	before int64            // bytes of the passes that ended
	after  int64            // bytes of a pass still to come
}

// next begins a pass; the one to come becomes the present one.
func (p *progress) next() convert.Progress {
	start, after := p.before, p.after
	p.after = 0
	return func(done, total int64) {
		p.before = start + total
		if p.report != nil {
			p.report(start+done, start+total+after)
		}
	}
}

func digest(h hash.Hash) *string {
	s := hex.EncodeToString(h.Sum(nil))
	return &s
}

// counter counts and, when asked, hashes what passes.
type counter struct {
	w        io.Writer
	n        int64
	sum      hash.Hash
	progress func(n int64) // may be nil
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	if c.sum != nil {
		c.sum.Write(b[:n])
	}
	if c.progress != nil {
		c.progress(c.n)
	}
	return n, err
}

// Verify holds an output against the source it was made from. progress may be nil.
func Verify(out, source []*tensor.File, progress func(done, total int64)) (*verify.Report, error) {
	o, err := checkpoint.OpenOne(out)
	if err != nil {
		return nil, err
	}
	s, err := checkpoint.OpenOne(source)
	if err != nil {
		return nil, err
	}
	return verify.Run(o, s, progress)
}
