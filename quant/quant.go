// Package quant is Nibble's core: it turns a model checkpoint into a 4-bit one, with
// the arithmetic of coremltools' PostTrainingQuantizer, to the last bit.
//
// Four functions, each a walk along the same arrow (README.md in this folder):
//
//	checkpoint -> StateDict -> plan -> tiles -> kernel -> container
//
// Inspect reads headers only. Plan decides everything and lays out the output, still
// without weights. Convert streams. Verify re-opens what was written. The native
// command and the browser's wasm are thin callers of these four; nothing here knows
// of either. Errors that a file causes are *fault.Error.
package quant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

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
}

// Plan decides what becomes of every tensor and where every byte of the output lies.
func Plan(c *checkpoint.Checkpoint, r *recipe.Recipe, o container.Options) (*Job, error) {
	o.Version = Version
	p := plan.Build(&c.State, r)
	l, err := container.Lay(p, o)
	if err != nil {
		return nil, err
	}
	return &Job{Checkpoint: c, Plan: p, Layout: l}, nil
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
	r := j.Report()
	r.Output.Name = o.Name
	out := &counter{w: w}
	if o.Hash {
		out.sum = sha256.New()
	}
	// Hashing reads the input once more; the progress counts both.
	f, again := j.Checkpoint.File, int64(0)
	if o.Hash {
		again = f.Size
	}
	converted := int64(0)
	progress := func(done, total int64) {
		converted = total
		if o.Progress != nil {
			o.Progress(done, total+again)
		}
	}
	errs, err := convert.Run(ctx, j.Plan, j.Layout, out, convert.Options{Workers: o.Workers, Progress: progress})
	if err != nil {
		return nil, err
	}
	if out.n != j.Layout.Bytes {
		return nil, fmt.Errorf("internal error: %d bytes were laid out and %d written; please report it", j.Layout.Bytes, out.n)
	}
	r.Fill(errs)
	if o.Hash {
		in := sha256.New()
		source := &counter{w: in, progress: func(n int64) { progress(converted+n, converted) }}
		if _, err := io.CopyBuffer(struct{ io.Writer }{source}, io.NewSectionReader(f.R, 0, f.Size), make([]byte, 1<<20)); err != nil {
			return nil, err
		}
		r.Inputs[0].SHA256, r.Output.SHA256 = digest(in), digest(out.sum)
	}
	return r, nil
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
