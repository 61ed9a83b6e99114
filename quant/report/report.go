// Package report is what a conversion says of itself: report.json, one row per tensor, with
// the error of what was quantized. A plan is shown in the same form, with the errors
// still null. Keys are only ever added. The same report is also written as CSV and as
// one self-contained HTML page with a histogram of each weight before and after.
//
// Only package quant is stable.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"path"

	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/layout"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Report is report.json.
type Report struct {
	Nibble      string          `json:"nibble"` // version
	Inputs      []File          `json:"inputs"`
	Output      File            `json:"output"`
	Folder      bool            `json:"folder"` // the output is one
	Files       []File          `json:"files"`  // of an output that is a folder; else empty
	Recipe      json.RawMessage `json:"recipe"`
	Tensors     []Tensor        `json:"tensors"`
	Totals      Totals          `json:"totals"`
	Notes       []string        `json:"notes"` // what else the input held
	Options     recipe.Options  `json:"options"`
	Advice      []Advice        `json:"advice"`
	Problem     string          `json:"problem"` // why it cannot be converted as it is planned; mostly ""
	ProblemCode fault.Code      `json:"problem_code"`
	ProblemArgs []any           `json:"problem_args"` // of the code
	Warnings    []Warning       `json:"warnings"`
	Parts       []tensor.Part   `json:"parts"` // of a file that holds several models; else empty

	sums kernel.Errors
}

// Warning is what a user should look at.
type Warning = layout.Warning

// WarningCode names a warning.
type WarningCode = layout.WarningCode

const (
	noise  WarningCode = "noise"  // layers that lost much
	grows  WarningCode = "grows"  // layers that are larger than before
	shards WarningCode = "shards" // files of the model that are not there
)

// WarningCodes are all of them, for those who have a sentence for each.
var WarningCodes = []WarningCode{noise, grows, shards, layout.NotLoaded, layout.NotTried, layout.SlowGroups,
	layout.NoConfig}

// File is an input or the output; SHA256 is null unless asked for.
type File struct {
	Name   string  `json:"name"`
	Bytes  int64   `json:"bytes"`
	SHA256 *string `json:"sha256"`
	Format string  `json:"format"`
}

// Verdict is what becomes of a tensor.
type Verdict string

const (
	Quantized Verdict = "quantize"
	Kept      Verdict = "keep"
)

// Tensor is one row. The errors are null for what is kept and before converting;
// sqnr_db is null where there is no error at all.
type Tensor struct {
	Name       string      `json:"name"`
	Shape      []int64     `json:"shape"`
	DType      string      `json:"dtype"`
	Module     string      `json:"module"`
	ModuleType string      `json:"module_type"`
	TypeSource plan.Source `json:"module_type_source"`
	Verdict    Verdict     `json:"verdict"`
	Rule       string      `json:"rule"`
	Reason     string      `json:"reason"`
	Code       plan.Code   `json:"reason_code"`
	Args       []any       `json:"reason_args"` // texts, or lists of the code and the arguments of a further reason
	Scheme     *Scheme     `json:"scheme"`      // null when kept
	BytesIn    int64       `json:"bytes_in"`
	BytesOut   int64       `json:"bytes_out"`
	Figures
	Parameters int64             `json:"parameters"`         // #params of coremltools' report
	Settable   bool              `json:"settable"`           // a recipe, or a type that is set, could reach it
	Beyond     string            `json:"beyond_coremltools"` // why coremltools would have kept it; mostly ""
	BeyondWhy  *plan.Reason      `json:"beyond_reason"`      // the same, as the code and the arguments; else null
	Histogram  *kernel.Histogram `json:"-"`                  // for the HTML form
}

// Figures are what quantizing cost: root mean square error (which coremltools' report
// calls error, and computes in the weight's own dtype; here it is float64), signal to quantization
// noise in dB, cosine similarity, and the largest error.
type Figures struct {
	RMSE        *float64 `json:"rmse"`
	SQNR        *float64 `json:"sqnr_db"`
	Cosine      *float64 `json:"cosine"`
	MaxAbsError *float64 `json:"max_abs_error"`
}

// Scheme is what a tensor is quantized with.
type Scheme struct {
	WeightDType scheme.WeightDType `json:"weight_dtype"`
	Granularity scheme.Granularity `json:"granularity"`
	Mode        scheme.Mode        `json:"quantization_scheme"`
	BlockSize   []int64            `json:"block_size" null:"yes"` // null but for per_block
	ScaleShape  []int64            `json:"scale_shape"`
}

// Totals are sums over all tensors; the errors are over the quantized ones.
type Totals struct {
	Tensors    int   `json:"tensors"`
	Quantized  int   `json:"quantized"`
	Parameters int64 `json:"parameters"`
	BytesIn    int64 `json:"bytes_in"`
	BytesOut   int64 `json:"bytes_out"`
	Weights    int64 `json:"bytes_weights"`  // of the tensors in the input, each view once
	LeftOut    int64 `json:"bytes_left_out"` // of what else the input holds: optimizers, other parts
	Figures
}

// Build makes the rows from a plan and its layout, without errors.
func Build(p *plan.Plan, l *layout.Output) *Report {
	r := &Report{
		Recipe: json.RawMessage(p.Policy.Compact()), Notes: p.State.Notes, Tensors: make([]Tensor, len(p.Entries)),
		Options: p.Options.WithoutNulls(), Advice: allAdvice(p), Files: []File{},
		ProblemArgs: []any{}, Warnings: []Warning{}, Parts: append([]tensor.Part{}, p.State.Parts...),
	}
	if r.Notes == nil {
		r.Notes = []string{}
	}
	if p.Conflict != nil {
		r.Problem, r.ProblemCode, r.ProblemArgs = p.Conflict.Error(), fault.CodeOf(p.Conflict), fault.ArgsOf(p.Conflict)
	}
	r.Totals.LeftOut = p.State.LeftOut
	views := map[string]bool{}
	r.Output.Bytes, r.Output.Format = l.Bytes, l.Container
	larger := []string{}
	for i, e := range p.Entries {
		t := Tensor{
			Name: e.Tensor.Name, Shape: e.Tensor.Shape, DType: e.Tensor.DType.String(),
			Module: e.Module, ModuleType: e.Class.Name, TypeSource: e.ClassFrom,
			Verdict: Kept, Rule: e.Rule, Reason: e.Reason.Text, Code: e.Reason.Code, Args: append([]any{}, e.Reason.Args...),
			BytesIn: e.Tensor.Bytes(), BytesOut: l.EntryOut[i],
			Parameters: e.Tensor.Elements(), Settable: e.Settable() && !e.Reason.Fixed(), Beyond: e.Beyond.Text,
		}
		if e.Quantize {
			t.Verdict = Quantized
			if e.Beyond.Code != "" {
				t.BeyondWhy = &e.Beyond
			}
			t.Scheme = &Scheme{e.Scheme.WeightDType, e.Scheme.Granularity, e.Scheme.Mode, e.Scheme.BlockSize,
				e.Grid.ScaleShape(len(e.Tensor.Shape))}
			r.Totals.Quantized++
			if t.BytesOut > t.BytesIn && !l.AsLarge && e.Reason.Code != plan.Relabelled {
				larger = append(larger, t.Name)
			}
		}
		r.Tensors[i] = t
		r.Totals.Tensors++
		r.Totals.Parameters += e.Tensor.Elements()
		r.Totals.BytesIn += t.BytesIn
		if view := e.Tensor.View(); e.Tensor.Storage.File == nil || !views[view] {
			views[view] = true
			r.Totals.Weights += t.BytesIn
		}
		r.Totals.BytesOut += t.BytesOut
	}
	r.Warnings = append(r.Warnings, l.Warnings...)
	if len(larger) > 0 {
		text := fmt.Sprintf("%s larger than before in this container: %s. Keep what grows, or choose a container that "+
			"holds each scale once.",
			layers(len(larger)), layout.FirstOf(larger))
		r.Warnings = append(r.Warnings, Warning{About: grows, Text: text, Names: larger})
	}
	return r
}

// Source sums the inputs up: a sharded model is a folder of files of one format.
func (r *Report) Source() File {
	if len(r.Inputs) == 0 {
		return File{}
	}
	sum := r.Inputs[0]
	if len(r.Inputs) > 1 {
		sum.Name = fmt.Sprintf("%s (%d files)", path.Dir(sum.Name), len(r.Inputs))
	}
	for _, f := range r.Inputs[1:] {
		sum.Bytes += f.Bytes
	}
	return sum
}

// Fill adds what quantizing entry i of the plan cost: no figures where no value was counted, as of one that was kept.
func (r *Report) Fill(i int, e kernel.Errors, h *kernel.Histogram) {
	if e.Count > 0 {
		r.Tensors[i].Figures, r.Tensors[i].Histogram = FiguresOf(e), h
		r.sums.Add(e)
	}
}

// Sum ends the filling. The sums ran in the order of the plan, so every platform prints
// the same figures.
func (r *Report) Sum() {
	if r.sums.Count > 0 {
		r.Totals.Figures = FiguresOf(r.sums)
	}
	r.warnOfNoise()
}

// Poor is the SQNR below which a layer is warned about, in dB: two bits.
const Poor = 12

// warnOfNoise names the layers that lost most.
func (r *Report) warnOfNoise() {
	w := Warning{About: noise, Names: []string{}}
	worst := math.Inf(1)
	for i := range r.Tensors {
		if db := r.Tensors[i].SQNR; db != nil && *db < Poor {
			w.Names = append(w.Names, r.Tensors[i].Name)
			worst = min(worst, *db)
		}
	}
	if len(w.Names) > 0 {
		w.Text = fmt.Sprintf("%s below %d dB (the weakest has %.1f): %s. Give them smaller blocks, or 8 bits, or keep them.",
			layers(len(w.Names)), Poor, worst, layout.FirstOf(w.Names))
		r.Warnings = append(r.Warnings, w)
	}
}

// WarnOfShards names the files of a model that are not there.
func (r *Report) WarnOfShards(missing []string) {
	if len(missing) > 0 {
		text := "this is one file of a model of several; missing are " + layout.FirstOf(missing)
		r.Warnings = append(r.Warnings, Warning{About: shards, Text: text, Names: missing})
	}
}

func layers(n int) string {
	if n == 1 {
		return "1 layer is"
	}
	return fmt.Sprintf("%d layers are", n)
}

// FiguresOf turns sums into figures. A weight of zeros has cosine 1 and no SQNR.
func FiguresOf(e kernel.Errors) Figures {
	rmse, cosine := math.Sqrt(e.Noise/float64(e.Count)), 1.0
	if norm := math.Sqrt(e.Signal) * math.Sqrt(e.Approximated); norm > 0 {
		cosine = min(e.Cross()/norm, 1)
	} else if e.Signal > 0 {
		cosine = 0
	}
	f := Figures{RMSE: &rmse, Cosine: &cosine, MaxAbsError: &e.Max}
	if e.Noise > 0 && e.Signal > 0 && !math.IsInf(e.Signal, 0) {
		db := 10 * math.Log10(e.Signal/e.Noise)
		f.SQNR = &db
	}
	return f
}
