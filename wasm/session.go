//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sort"
	"time"

	"github.com/hack-pad/safejs"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/model"
	"nibble/quant/pattern"
	"nibble/quant/python"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// session is what one worker works on.
type session struct {
	turn      int // of inspect: a slow one that was overtaken must not have the last word
	files     []*tensor.File
	model     *model.Model
	job       *quant.Job
	report    *report.Report // of the last conversion
	measuring context.CancelFunc
}

var errOrder = errors.New("the page called out of order: reload it")

// inspect(files, parts) opens the one checkpoint among them.
func (s *session) inspect(args []safejs.Value) (any, error) {
	turn := s.turn + 1
	s.interrupt()
	*s = session{turn: turn}
	files, err := newFiles(args[0])
	if err != nil {
		return nil, err
	}
	text, err := args[1].String()
	if err != nil {
		return nil, err
	}
	var parts []string
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return nil, err
	}
	roomForAny()
	c, err := quant.Inspect(files, parts...)
	if err != nil {
		roomFor(0)
		return nil, err
	}
	if s.turn != turn {
		return nil, errOrder
	}
	c.LeaveOut(model.Portable)
	s.files, s.model = files, c
	roomFor(len(c.State.Tensors))
	return describe(c), nil
}

// describe sums a checkpoint up.
func describe(c *model.Model) inspection {
	out := inspection{
		Name: c.Name, Bytes: c.Bytes(), Shards: shardsOf(c), Beside: len(c.Beside), Format: c.Format,
		Tensors: len(c.State.Tensors), Notes: append([]string{}, c.State.Notes...), DTypes: []string{},
		Parts: append([]tensor.Part{}, c.State.Parts...), Missing: append([]string{}, c.Missing...),
	}
	bytes := map[string]int64{}
	for i := range c.State.Tensors {
		t := &c.State.Tensors[i]
		out.Params += t.Elements()
		if _, seen := bytes[t.DType.String()]; !seen {
			out.DTypes = append(out.DTypes, t.DType.String())
		}
		bytes[t.DType.String()] += t.Bytes()
	}
	sort.SliceStable(out.DTypes, func(i, j int) bool { return bytes[out.DTypes[i]] > bytes[out.DTypes[j]] })
	return out
}

// shardsOf is how many files a sharded model has; 0 when it is no such model.
func shardsOf(c *model.Model) int {
	if c.Sharded {
		return len(c.Files)
	}
	return 0
}

// interrupt ends a measure that is under way: whatever comes next is more urgent.
func (s *session) interrupt() {
	if s.measuring != nil {
		s.measuring()
	}
}

// plan(request) decides what convert will do.
func (s *session) plan(args []safejs.Value) (any, error) {
	s.interrupt()
	if s.model == nil {
		return nil, errOrder
	}
	text, err := args[0].String()
	if err != nil {
		return nil, err
	}
	var q request
	if err := json.Unmarshal([]byte(text), &q); err != nil {
		return nil, err
	}
	r, err := coremltools.Parse("", []byte(q.Config))
	if err != nil {
		return nil, err
	}
	var edits []coremltools.Edit
	for _, e := range q.Edits {
		edits = append(edits, coremltools.Edit{Module: e.Module, Config: e.Config})
	}
	if len(edits) > 0 {
		if r, err = r.Edited(edits); err != nil {
			return nil, err
		}
	}
	o := recipe.Options{Embeddings: q.Embeddings, CoremltoolsSkips: q.CoremltoolsSkips, KeepUnfit: q.KeepUnfit}
	for _, t := range q.Types {
		rule, err := recipe.NewType(pattern.Quote(t.Module), t.Class)
		if err != nil {
			return nil, err
		}
		o.Types = append(o.Types, rule)
	}
	if s.job, err = quant.Plan(s.model, r, o, container.Options{To: q.Container, HighNibble: q.HighNibble}); err != nil {
		return nil, err
	}
	return s.job.Report(), nil
}

// config() is the plan's recipe in both forms.
func (s *session) config([]safejs.Value) (any, error) {
	if s.job == nil {
		return nil, errOrder
	}
	r, notes := s.job.Plan.Export()
	return exported{string(r.JSON()), string(r.YAML()), append([]string{}, notes...)}, nil
}

// measure(names) quantizes a few tensors as the plan says, for their errors alone.
func (s *session) measure(args []safejs.Value) (any, error) {
	s.interrupt()
	if s.job == nil {
		return nil, errOrder
	}
	text, err := args[0].String()
	if err != nil {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal([]byte(text), &names); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.measuring = cancel
	return quant.Measure(ctx, s.job, names, 2)
}

// convert(name, hash, zip, sink, progress, hands, batch) streams the output into the sink's files.
func (s *session) convert(args []safejs.Value) (any, error) {
	if s.job == nil {
		return nil, errOrder
	}
	name, err := args[0].String()
	if err != nil {
		return nil, err
	}
	hash, err := args[1].Bool()
	if err != nil {
		return nil, err
	}
	zipped, err := args[2].Bool()
	if err != nil {
		return nil, err
	}
	out := &sink{args[3]}
	hands, err := newHands(args[5], s.files)
	if err != nil {
		return nil, err
	}
	batch, err := args[6].Int()
	if err != nil {
		return nil, err
	}
	s.interrupt()
	// Without hands, two goroutines share the one thread: one reads while the other computes.
	o := quant.Options{Name: name, Workers: 2, Hands: hands, Limits: tile.Limits{Batch: int64(batch)}, Hash: hash, Progress: progress(args[4])}
	var r *report.Report
	if zipped {
		r, err = zipInto(s.job, out, o)
	} else {
		r, err = quant.ConvertTo(context.Background(), s.job, out.create, o)
	}
	s.report = r
	return r, err
}

// zipInto writes a sharded output as one file.
func zipInto(j *quant.Job, out *sink, o quant.Options) (*report.Report, error) {
	bytes := j.Output.Bytes
	w, err := out.create(o.Name, bytes)
	if err != nil {
		return nil, err
	}
	r, err := quant.Convert(context.Background(), j, w, o)
	if err != nil {
		return nil, err
	}
	return r, w.Close()
}

// reportAs(form) writes the last conversion's report in another form.
func (s *session) reportAs(args []safejs.Value) (any, error) {
	form, err := args[0].String()
	if err != nil {
		return nil, err
	}
	write, err := report.Form("report." + form)
	if err != nil {
		return nil, err
	}
	if s.report == nil {
		return nil, errOrder
	}
	var b bytes.Buffer
	err = write(s.report, &b)
	return b.String(), err
}

// python(name) is what to do with the last conversion's output of this name.
func (s *session) python(args []safejs.Value) (any, error) {
	name, err := args[0].String()
	if err != nil {
		return nil, err
	}
	if s.report == nil {
		return nil, errOrder
	}
	row, err := container.Find(container.Options{To: s.report.Output.Format})
	if err != nil || row.Python == nil {
		return "", err
	}
	folder := len(s.report.Files) > 0
	return python.Lines(row.Python(folder), name, folder), nil
}

// progress calls a JavaScript function, not too often.
func progress(f safejs.Value) func(done, total int64) {
	shown := time.Time{}
	return func(done, total int64) {
		if now := time.Now(); done == total || now.Sub(shown) > 100*time.Millisecond {
			shown = now
			f.Invoke(float64(done), float64(total))
		}
	}
}

// verify(output, progress) holds a result's files against the source that inspect opened.
func (s *session) verify(args []safejs.Value) (any, error) {
	source := s.model
	if source == nil {
		return nil, errOrder
	}
	out, err := newFiles(args[0])
	if err != nil {
		return nil, err
	}
	roomForAny()
	defer roomFor(len(source.State.Tensors))
	made, err := quant.InspectOutput(out)
	if err != nil {
		return nil, err
	}
	roomFor(len(source.State.Tensors) + len(made.State.Tensors))
	return quant.VerifyOpened(made, source, tile.Limits{}, progress(args[1]))
}

// memory() tells how busy Go's collector was.
func (s *session) memory([]safejs.Value) (any, error) {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	m := memory{Collections: int64(now.NumGC), Heap: now.HeapInuse}
	if s.model != nil {
		m.Tensors = len(s.model.State.Tensors)
	}
	return m, nil
}
