//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sort"
	"time"

	"github.com/hack-pad/safejs"

	"nibble/quant"
	"nibble/quant/model"
	"nibble/quant/protocol"
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
	converted *quant.Job     // the job of that
	measuring context.CancelFunc
}

var errOrder = errors.New("the page called out of order: reload it")

// inspect opens the one model among the files.
func (s *session) inspect(q request) (any, error) {
	turn := s.turn + 1
	s.interrupt()
	*s = session{turn: turn}
	files, err := q.files()
	if err != nil {
		return nil, err
	}
	var asked protocol.InspectRequest
	if err := q.data(&asked); err != nil {
		return nil, err
	}
	roomForAny()
	c, err := quant.Open(files, quant.Options{Parts: asked.Parts, Folder: asked.Folder})
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

// describe sums a model up.
func describe(c *model.Model) protocol.Inspection {
	out := protocol.Inspection{
		Name: c.Home(), Bytes: c.Bytes(), Shards: len(c.Files), Folder: c.Folder, Beside: len(c.Beside), Format: c.Format,
		Tensors: len(c.State.Tensors), Notes: append([]string{}, c.State.Notes...), DTypes: []string{},
		Parts: append([]tensor.Part{}, c.State.Parts...), Missing: append([]string{}, c.Missing...),
		Choices: protocol.ChoicesFor(c),
	}
	bytes, codes := map[string]int64{}, map[string]int64{}
	for _, p := range c.Packed() {
		codes[p.Words], _ = tensor.Elements(p.Shape)
		for _, name := range p.Beside() {
			codes[name] = 0
		}
	}
	for i := range c.State.Tensors {
		t := &c.State.Tensors[i]
		if n, packed := codes[t.Name]; packed {
			out.Params += n
		} else {
			out.Params += t.Elements()
		}
		if _, seen := bytes[t.DType.String()]; !seen {
			out.DTypes = append(out.DTypes, t.DType.String())
		}
		bytes[t.DType.String()] += t.Bytes()
	}
	sort.SliceStable(out.DTypes, func(i, j int) bool { return bytes[out.DTypes[i]] > bytes[out.DTypes[j]] })
	return out
}

// interrupt ends a measure that is under way: whatever comes next is more urgent.
func (s *session) interrupt() {
	if s.measuring != nil {
		s.measuring()
	}
}

// plan decides what convert will do. Its report names the output as it would be called.
func (s *session) plan(q request) (any, error) {
	s.interrupt()
	if s.model == nil {
		return nil, errOrder
	}
	var asked protocol.PlanRequest
	if err := q.data(&asked); err != nil {
		return nil, err
	}
	options, err := asked.For()
	if err != nil {
		return nil, err
	}
	if s.job, err = quant.Plan(s.model, options); err != nil {
		return nil, err
	}
	r := s.job.Report()
	r.Output.Name, err = protocol.OutputName(s.job, &asked)
	return r, err
}

// config is the plan's recipe in both forms.
func (s *session) config(request) (any, error) {
	if s.job == nil {
		return nil, errOrder
	}
	json, yaml, notes := s.job.Config()
	return protocol.Exported{JSON: string(json), YAML: string(yaml), Notes: append([]string{}, notes...)}, nil
}

// measure quantizes a few tensors as the plan says, for their errors alone.
func (s *session) measure(q request) (any, error) {
	s.interrupt()
	if s.job == nil {
		return nil, errOrder
	}
	var asked protocol.MeasureRequest
	if err := q.data(&asked); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.measuring = cancel
	return quant.Measure(ctx, s.job, asked.Names, quant.Options{Workers: 2})
}

// convert streams the output into the sink's files.
func (s *session) convert(q request) (any, error) {
	if s.job == nil {
		return nil, errOrder
	}
	var asked protocol.ConvertRequest
	if err := q.data(&asked); err != nil {
		return nil, err
	}
	live := map[string]safejs.Value{}
	for _, name := range []string{"sink", "progress", "workers"} {
		v, err := q.object.Get(name)
		if err != nil {
			return nil, err
		}
		live[name] = v
	}
	pool, err := newPool(live["workers"], s.files)
	if err != nil {
		return nil, err
	}
	s.interrupt()
	out := &sink{live["sink"]}
	// Without a pool, two goroutines share the one thread: one reads while the other computes.
	o := quant.Options{
		Name: asked.Name, Workers: 2, Pool: pool, Limits: tile.Limits{Batch: asked.Batch}, Hash: asked.Hash,
		Progress: progress(live["progress"]),
	}
	var r *report.Report
	if asked.Zip && s.job.Folder() {
		r, err = zipInto(s.job, out, o)
	} else {
		r, err = quant.ConvertTo(context.Background(), s.job, out.create, o)
	}
	if err != nil {
		return nil, err // and the report of the conversion before can still be had
	}
	s.report, s.converted = r, s.job
	return r, nil
}

// zipInto writes a sharded output as one file.
func zipInto(j *quant.Job, out *sink, o quant.Options) (*report.Report, error) {
	w, err := out.create(o.Name, j.Bytes())
	if err != nil {
		return nil, err
	}
	r, err := quant.Convert(context.Background(), j, w, o)
	if err != nil {
		return nil, err
	}
	return r, w.Close()
}

// reportAs writes the last conversion's report in another form.
func (s *session) reportAs(q request) (any, error) {
	var asked protocol.ReportRequest
	if err := q.data(&asked); err != nil {
		return nil, err
	}
	write, err := report.Form("report." + asked.Form)
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

// python is what to do with the last conversion's output.
func (s *session) python(q request) (any, error) {
	var asked protocol.PythonRequest
	if err := q.data(&asked); err != nil {
		return nil, err
	}
	if s.report == nil {
		return nil, errOrder
	}
	return s.converted.Python(asked.Name)
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

// verify holds a result's files against the source that inspect opened.
func (s *session) verify(q request) (any, error) {
	source := s.model
	if source == nil {
		return nil, errOrder
	}
	out, err := q.files()
	if err != nil {
		return nil, err
	}
	progressFunc, err := q.object.Get("progress")
	if err != nil {
		return nil, err
	}
	roomForAny()
	defer roomFor(len(source.State.Tensors))
	made, err := quant.OpenOutput(out)
	if err != nil {
		return nil, err
	}
	roomFor(len(source.State.Tensors) + len(made.State.Tensors))
	return quant.VerifyModels(context.Background(), made, source,
		quant.Options{Limits: tile.Limits{}, Progress: progress(progressFunc)})
}

// memory says how busy Go's collector was.
func (s *session) memory(request) (any, error) {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	m := protocol.Memory{Collections: int64(now.NumGC), Heap: now.HeapInuse}
	if s.model != nil {
		m.Tensors = len(s.model.State.Tensors)
	}
	return m, nil
}
