package quant

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"slices"

	"nibble/quant/container"
	"nibble/quant/convert"
	"nibble/quant/plan"
	"nibble/quant/report"
)

// Convert writes the output of a job to w, forward only, and reports what it lost. A sharded output becomes one zip,
// its files stored. After an error what was written is no output.
func Convert(ctx context.Context, j *Job, w io.Writer, o Options) (*Report, error) {
	if !j.Output.Folder {
		return ConvertTo(ctx, j, func(string, int64) (io.WriteCloser, error) { return openWriter{w}, nil }, o)
	}
	z := zip.NewWriter(w)
	r, err := ConvertTo(ctx, j, func(name string, _ int64) (io.WriteCloser, error) {
		entry, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		return openWriter{entry}, err
	}, o)
	if err != nil {
		return nil, err
	}
	return r, z.Close()
}

// openWriter is a writer that stays open.
type openWriter struct{ io.Writer }

// Close leaves it open.
func (openWriter) Close() error { return nil }

// ConvertTo is Convert into files that create begins, one after the other: the one output, or the shards of a sharded
// one, their index and the small files beside them.
func ConvertTo(ctx context.Context, j *Job, create Create, o Options) (*Report, error) {
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
	hashing := o.executor(steps.next())
	hashing.Hash = o.Hash
	costs, written, err := convert.Run(ctx, j.Plan, j.Output, named, hashing)
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
func (j *Job) digests(ctx context.Context, r *Report, hash bool, steps *progress) error {
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

// Measure quantizes a few tensors of a job, by their names, and says what that lost, without writing anything. Names
// that the plan keeps, does not know or would keep as unfit are left out.
func Measure(ctx context.Context, j *Job, names []string, o Options) (map[string]Figures, error) {
	some := *j.Plan
	some.Entries = nil
	for _, e := range j.Plan.Entries {
		if e.Quantize && slices.Contains(names, e.Tensor.Name) {
			some.Entries = append(some.Entries, e)
		}
	}
	if some.Options.KeepUnfit {
		unfit, err := convert.Survey(ctx, &some, o.executor(nil))
		if err != nil {
			return nil, err
		}
		some.Entries = slices.DeleteFunc(some.Entries, func(e plan.Entry) bool { return unfit[e.Tensor.Name] != "" })
	}
	one := *j.Model
	one.Sharded = false // nothing is written, so that the files do not matter
	asked := j.options.container()
	asked.Some = true
	l, err := container.Lay(&one, &some, asked)
	if err != nil {
		return nil, err
	}
	nowhere := func(string, int64) (io.WriteCloser, error) { return openWriter{io.Discard}, nil }
	costs, _, err := convert.Run(ctx, &some, l, nowhere, o.executor(nil))
	if err != nil {
		return nil, err
	}
	figures := map[string]Figures{}
	for i, c := range costsOfAll(&some, costs) {
		figures[some.Entries[i].Tensor.Name] = report.FiguresOf(c.Errors)
	}
	return figures, nil
}

// survey finds what the arithmetic cannot take and plans again with it kept.
func (j *Job) survey(ctx context.Context, o Options, steps *progress) (*Job, error) {
	unfit, err := convert.Survey(ctx, j.Plan, o.executor(steps.next()))
	if err != nil || len(unfit) == 0 {
		return j, err
	}
	kept := j.options
	maps.Copy(unfit, kept.Unfit)
	kept.Unfit = unfit
	return Plan(j.Model, kept)
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
func digestOf(ctx context.Context, f *File, step convert.Progress) (*string, error) {
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

// Write implements io.Writer.
func (w writer) Write(b []byte) (int, error) { return w(b) }
