// Package quant is Nibble's core: it turns a model checkpoint into a 4-bit one, with
// the arithmetic of coremltools' PostTrainingQuantizer, to the last bit.
//
// Four functions, each a walk along the same arrow (README.md in this folder):
//
//	model -> plan (asks a policy) -> layout of a container -> tasks (methods and pack codes) -> bytes
//
// Inspect reads headers only. Plan decides everything and lays out the output, still
// without weights. Convert streams. Verify re-opens what was written. (Measure is a
// Convert of a few tensors, for their errors alone.) The native command and the
// browser's wasm are thin callers of these; nothing here knows of either. Errors that a
// file causes are *fault.Error.
package quant

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"strings"

	"nibble/quant/container"
	"nibble/quant/convert"
	"nibble/quant/fault"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/tile"
	"nibble/quant/verify"
)

// Version of Nibble, in reports and outputs.
const Version = "0.1.0"

// MemoryPerTensor is about what a tensor of a model takes, in bytes, from its header to its row of the
// report. A program that bounds Go's memory adds it for each, lest the collector run without pause.
const MemoryPerTensor = 4 << 10

// Inspect opens the one checkpoint among files and reads no weights. Where a file holds several models, parts name
// those that are meant; without them it is the one that its framework means, or none, and Plan says so.
func Inspect(files []*tensor.File, parts ...string) (*model.Model, error) {
	return model.OpenOne(files, parts...)
}

// Job is a decided conversion: nothing is left to choose.
type Job struct {
	Model     *model.Model
	Plan      *plan.Plan
	Output    *layout.Output
	container container.Options
}

// Plan decides what becomes of every tensor and where every byte of the output lies.
// A job whose Plan has a Conflict can be shown and not converted.
func Plan(c *model.Model, r plan.Policy, po recipe.Options, co container.Options) (*Job, error) {
	if err := c.Convertible(); err != nil {
		return nil, err
	}
	if want := r.Options().Parts; len(want) > 0 && !sameParts(want, c.Wanted) {
		parts := strings.Join(want, ", ")
		return nil, fault.Not(c.Name, "the config is for a part of the file: %s", parts).Code(fault.OtherPart, parts).
			Hint("choose that part, or take it out of the config")
	}
	po.Parts = c.Wanted
	co.Version = Version
	p, err := plan.Build(&c.State, r, po)
	if err != nil {
		return nil, err
	}
	j := &Job{Model: c, Plan: p, container: co}
	j.Output, err = container.Lay(c, p, co)
	return j, err
}

// sameParts reports whether two lists name the same parts, in any order.
func sameParts(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Report shows a job before it runs: all of report.json but the errors.
func (j *Job) Report() *report.Report {
	r := report.Build(j.Plan, j.Output)
	r.Nibble = Version
	for _, f := range j.Model.Files {
		r.Inputs = append(r.Inputs, report.File{Name: f.Name, Bytes: f.Size, Format: j.Model.Format})
	}
	r.Folder = j.Output.Folder
	r.WarnOfShards(j.Model.Missing)
	return r
}

// Options of a conversion.
type Options struct {
	Name     string // of the output, for the report
	Workers  int
	Pool     []convert.Worker // do the work instead of workers of this process
	Limits   tile.Limits      // sizes at which work is cut; zero is the default
	Hash     bool             // sha256 of inputs and outputs; costs more than quantizing
	Progress convert.Progress
}

// Convert writes the output to w, forward only, and reports what it cost. A sharded output
// becomes one zip, its files stored. After an error, what was written is not a file.
func Convert(ctx context.Context, j *Job, w io.Writer, o Options) (*report.Report, error) {
	if !j.Output.Folder {
		return ConvertTo(ctx, j, func(string, int64) (io.WriteCloser, error) { return open{w}, nil }, o)
	}
	z := zip.NewWriter(w)
	r, err := ConvertTo(ctx, j, func(name string, _ int64) (io.WriteCloser, error) {
		entry, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		return open{entry}, err
	}, o)
	if err != nil {
		return nil, err
	}
	return r, z.Close()
}

// open is a writer that stays open.
type open struct{ io.Writer }

func (open) Close() error { return nil }

// Create begins a file of the output, of so many bytes. The one before was closed.
type Create = convert.Create

// ConvertTo is Convert into files that create begins: one of the name of the options, or
// the shards, their index and the small files beside them.
func ConvertTo(ctx context.Context, j *Job, create Create, o Options) (*report.Report, error) {
	if j.Plan.Conflict != nil {
		return nil, j.Plan.Conflict
	}
	steps := &progress{report: o.Progress, total: j.work(o.Hash)}
	if j.Plan.Options.KeepUnfit {
		var err error
		if j, err = j.survey(ctx, o, steps); err != nil {
			return nil, err
		}
	}
	named := func(name string, bytes int64) (io.WriteCloser, error) {
		if !j.Output.Folder {
			name = o.Name
		}
		return create(name, bytes)
	}
	costs, written, err := convert.Run(ctx, j.Plan, j.Output, named, convert.Options{
		Workers: o.Workers, Pool: o.Pool, Limits: o.Limits, Progress: steps.next(), Hash: o.Hash,
	})
	if err != nil {
		return nil, err
	}
	r := j.Report()
	r.Output.Name = o.Name
	for _, f := range written {
		if j.Output.Folder {
			r.Files = append(r.Files, report.File{Name: f.Name, Bytes: f.Bytes, SHA256: f.SHA256, Format: f.Format})
		} else {
			r.Output.SHA256 = f.SHA256
		}
	}
	for i, c := range costsOfAll(j.Plan, costs) {
		r.Fill(i, c.Errors, c.Histogram)
	}
	r.Sum()
	if err := j.digests(ctx, r, o.Hash, steps); err != nil {
		return nil, err
	}
	return r, nil
}

// digests hashes the inputs, where that was asked for.
func (j *Job) digests(ctx context.Context, r *report.Report, hash bool, steps *progress) error {
	for i := 0; hash && i < len(j.Model.Files); i++ {
		sum, err := digestOf(ctx, j.Model.Files[i], steps.next())
		if err != nil {
			return err
		}
		r.Inputs[i].SHA256 = sum
	}
	return nil
}

// work is how many bytes of source all passes of a conversion read.
func (j *Job) work(hash bool) (n int64) {
	if j.Plan.Options.KeepUnfit {
		n += convert.SurveyBytes(j.Plan)
	}
	if hash {
		n += j.Model.Bytes()
	}
	return n + convert.SourceBytes(j.Plan, j.Output)
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

// Measure quantizes a few tensors of a job and says what that lost, without writing
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
	one := *j.Model
	one.Sharded = false // nothing is written, so that the files do not matter
	l, err := container.Lay(&one, &some, j.container)
	if err != nil {
		return nil, err
	}
	nowhere := func(string, int64) (io.WriteCloser, error) { return open{io.Discard}, nil }
	costs, _, err := convert.Run(ctx, &some, l, nowhere, convert.Options{Workers: workers})
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
func (j *Job) survey(ctx context.Context, o Options, steps *progress) (*Job, error) {
	unfit, err := convert.Survey(ctx, j.Plan,
		convert.Options{Workers: o.Workers, Pool: o.Pool, Limits: o.Limits, Progress: steps.next()})
	if err != nil || len(unfit) == 0 {
		return j, err
	}
	kept := j.Plan.Options
	kept.Keep = unfit
	return Plan(j.Model, j.Plan.Policy, kept, j.container)
}

// progress joins the passes of a conversion into one count of bytes.
type progress struct {
	report convert.Progress // may be nil
	before int64            // bytes of the passes that ended
	total  int64            // of all passes
}

// next begins a pass.
func (p *progress) next() convert.Progress {
	start := p.before
	return func(done, total int64) {
		p.before = start + total
		if p.report != nil {
			p.report(start+done, p.total)
		}
	}
}

// digestOf reads a file to its end.
func digestOf(ctx context.Context, f *tensor.File, step convert.Progress) (*string, error) {
	sum := &convert.Counter{W: io.Discard, Sum: sha256.New()}
	watched := writer(func(b []byte) (int, error) {
		n, _ := sum.Write(b)
		step(sum.N, f.Size)
		return n, ctx.Err()
	})
	_, err := io.CopyBuffer(watched, io.NewSectionReader(f.R, 0, f.Size), make([]byte, 1<<20))
	return sum.Digest(), err
}

// writer is a function that takes bytes.
type writer func(b []byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// InspectOutput is Inspect of what a conversion made, which may be one zip of a sharded output.
func InspectOutput(files []*tensor.File) (*model.Model, error) {
	if len(files) == 1 {
		files = model.Unzipped(files[0])
	}
	return model.OpenOne(files)
}

// PartsOf are the parts of its source that an output says it was made of.
func PartsOf(out *model.Model) []string { return container.Parts(out) }

// Verify holds an output against the source it was made from. progress may be nil.
func Verify(out, source []*tensor.File, progress func(done, total int64)) (*verify.Report, error) {
	o, err := InspectOutput(out)
	if err != nil {
		return nil, err
	}
	s, err := Inspect(source, PartsOf(o)...)
	if err != nil {
		return nil, err
	}
	return VerifyOpened(o, s, tile.Limits{}, progress)
}

// VerifyOpened is Verify of what InspectOutput and Inspect opened.
func VerifyOpened(out, source *model.Model, l tile.Limits, progress func(done, total int64)) (*verify.Report, error) {
	if len(source.State.Tensors) == 0 {
		return nil, source.Convertible()
	}
	row, err := container.Of(out)
	if err != nil {
		return nil, err
	}
	open, err := row.Open(out)
	if err != nil {
		return nil, err
	}
	r, err := verify.Run(open, &out.State, &source.State, l, progress)
	if err == nil {
		r.Container = row.Name
	}
	return r, err
}
