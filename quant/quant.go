// Package quant turns a model checkpoint into a 4-bit one, with the arithmetic of coremltools' PostTrainingQuantizer
// (coremltools 9.0), to the last bit. It is the public face of Nibble's core, and the only stable package of it: the
// packages below it are rooms that may change.
//
// Five calls make a conversion, each of which reads only what it needs:
//
//   - [Open] recognises the one model among files by their content. It reads headers and pickles, and no weights.
//
//   - [Plan] decides what becomes of every tensor and where every byte of the output lies, still without weights. A
//     [Job] can be shown before it runs: its Report has a row with a verdict and a reason for each tensor.
//
//   - [Measure] quantizes a few tensors of a job for their errors alone.
//
//   - [Convert] streams the output, forward only, and reports what it lost. [ConvertTo] writes files of their own:
//     the shards of a sharded model, their index and the small files beside them.
//
//   - [Verify] opens an output again and holds it against its source: what was kept must be the same bytes, and of
//     what was quantized every scale, zero point and code is computed once more and must be equal.
//
// One [Options] says what is wanted; each field names the calls that read it, and the zero value is the default: of
// a folder whose config.json names an architecture what Transformers reads, of all else int4, symmetric, one scale per
// block of 32 inputs, in the container packed.
//
// The result does not depend on the number of workers or on the platform: the same input and options give the same
// bytes natively and as WebAssembly. Peak memory is tiles times workers, whatever the size of the model. Files are read
// as if by an enemy: a pickle calls nothing but what an allow-list has, and what is broken is an error that names
// file, tensor and offset.
//
// What a file causes is an *[Error], whose code a program can act on. Errors of the machine (no room, no such file) are
// plain errors. No call panics on a file.
//
// The command (cmd/nibble) and the browser's wasm are callers of this package; README.md has the picture and the rooms.
package quant

import (
	"io"
	"slices"
	"strings"

	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/format/huggingface"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/python"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/recipe/target"
	"nibble/quant/report"
)

// Version is the version of Nibble, in reports and outputs.
const Version = "0.1.0"

// MemoryPerTensor is about what a tensor of a model takes, in bytes, from its header to its row of the report. A
// program that bounds Go's memory adds it for each, lest the collector run without pause.
const MemoryPerTensor = 4 << 10

// Open opens the one model among files and reads no weights. Several files are a folder: shards with their index,
// or one checkpoint and what lies beside it. Where a file holds several models, Options.Parts name those that are
// meant; without them it is the one that its framework's loader takes, or none, and Plan says so.
func Open(files []*File, o Options) (*Model, error) {
	parts, err := o.parts()
	if err != nil {
		return nil, err
	}
	if o.Folder {
		return model.OpenFolder(files, parts...)
	}
	return model.OpenOne(files, parts...)
}

// Job is a decided conversion: nothing is left to choose.
type Job struct {
	// Model, Plan and Output are values of the rooms below this package, for Nibble's own command and page. They are not
	// stable: the methods say what a caller needs.
	Model  *Model
	Plan   *plan.Plan
	Output *layout.Output

	options Options
	target  *target.Row // where it is to run; nil where that is not said
}

// Plan decides what becomes of every tensor of a model and where every byte of the output lies. An error is a model
// that cannot be converted, or a config that cannot be right. A job that can be shown and not converted (two names
// of one weight with two verdicts, or nothing to quantize) is returned, and Conflict says why.
func Plan(m *Model, o Options) (*Job, error) {
	if err := m.Convertible(); err != nil && (m.Quantized == nil || !o.relabels(m)) {
		return nil, err
	}
	policy, place, err := o.decide(m)
	if err != nil {
		return nil, err
	}
	if want := policy.Options().Parts; len(want) > 0 && !sameParts(want, m.Wanted) {
		parts := strings.Join(want, ", ")
		return nil, fault.Not(m.Name, "the config is for a part of the file: %s", parts).Code(fault.OtherPart, parts).
			Hint("choose that part, or take it out of the config")
	}
	beyond, err := o.beyondConfig()
	if err != nil {
		return nil, err
	}
	row, err := container.Find(o.container())
	if err != nil {
		return nil, err
	}
	beyond.Parts, beyond.Held = m.Wanted, row.Asks
	if place != nil {
		beyond.For = place.Name
	}
	p, err := plan.Build(&m.State, policy, beyond)
	if err != nil {
		return nil, err
	}
	j := &Job{Model: m, Plan: p, options: o, target: place}
	j.Output, err = container.Lay(m, p, o.container())
	return j, err
}

// sameParts reports whether two lists name the same parts, in any order.
func sameParts(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Report shows the job before it runs: all of report.json but the errors.
func (j *Job) Report() *Report {
	r := report.Build(j.Plan, j.Output)
	r.Nibble = Version
	for _, f := range j.Model.Files {
		r.Inputs = append(r.Inputs, report.File{Name: f.Name, Bytes: f.Size, Format: j.Model.Format})
	}
	r.Folder = j.Output.Folder
	r.WarnOfShards(j.Model.Missing)
	if j.target != nil {
		r.Warnings = append(r.Warnings, j.target.Warnings(j.Model, j.Plan)...)
	}
	return r
}

// Conflict says why the job can be shown and not converted; nil where it can.
func (j *Job) Conflict() error { return j.Plan.Conflict }

// Bytes is the size of the output, of all files together.
func (j *Job) Bytes() int64 { return j.Output.Bytes }

// Extension is how the name of the output ends, with the dot; "" for a folder.
func (j *Job) Extension() string {
	row, err := container.Find(j.options.container())
	if err != nil || j.Folder() {
		return ""
	}
	return row.Extension
}

// Folder reports whether the output is a folder: that of a model in shards, or in the form of Hugging Face.
func (j *Job) Folder() bool { return j.Output.Folder }

// Config is the recipe of the job as a coremltools config, as JSON and as YAML, which makes coremltools do the same;
// that of a job for a place says so under its key nibble, and makes Nibble do the same. Notes say what no config can.
func (j *Job) Config() (json, yaml []byte, notes []string) {
	c, notes := j.Plan.Export()
	return c.JSON(), c.YAML(), notes
}

// DefaultConfig is the config where neither one nor a place is given or meant, as JSON.
const DefaultConfig = coremltools.Default

// Containers are the names that Options.Container can have, the default first.
func Containers() (names []string) {
	for _, row := range container.Table {
		names = append(names, row.Name)
	}
	return names
}

// Targets are the names that Options.Target can have.
func Targets() (names []string) {
	for _, row := range target.Table {
		names = append(names, row.Name)
	}
	return names
}

// Python writes the lines of Python that load an opened output where it is to run and try it; of one that is for no
// place they take it to Core ML. name is what they call its file, or its folder. An error is an output of which there
// are none.
func Python(w io.Writer, out *Model, name string) error {
	row, err := container.Of(out)
	if err != nil {
		return err
	}
	if row.Quantized != nil && !row.Quantized(out) {
		return fault.Not(out.Name, "nothing in this file is quantized").Hint("name the output of nibble convert")
	}
	lines, err := pythonLines(row, container.Asked(out).For, out.Config, name, out.Folder)
	if err == nil && lines == "" {
		err = fault.Not(out.Name, "there are no Python lines for the container %q", row.Name)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, lines)
	return err
}

// Python is the lines of Python for what the job makes, as the function of this name has them; "" where there are
// none.
func (j *Job) Python(name string) (string, error) {
	row, err := container.Find(j.options.container())
	if err != nil {
		return "", err
	}
	return pythonLines(row, j.Plan.Options.For, j.Model.Config, name, j.Folder())
}

// pythonLines are those of a place, or else those of a container.
func pythonLines(row *container.Row, place string, c *huggingface.Config, name string, folder bool) (string, error) {
	switch {
	case place != "":
		there, err := target.Find(place)
		if err != nil {
			return "", err
		}
		return python.Fill(there.Lines(c), name), nil
	case row.Python != nil:
		return python.Lines(row.Python(folder), name, folder), nil
	}
	return "", nil
}
