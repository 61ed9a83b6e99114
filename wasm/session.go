//go:build js && wasm

package main

import (
	"context"
	"errors"
	"sort"
	"time"

	"github.com/hack-pad/safejs"

	"nibble/quant"
	"nibble/quant/checkpoint"
	"nibble/quant/container"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
)

// session is what one worker works on.
type session struct {
	turn       int // of inspect: a slow one that was overtaken must not have the last word
	files      []*tensor.File
	checkpoint *checkpoint.Checkpoint
	job        *quant.Job
}

var errOrder = errors.New("the page called out of order: reload it")

// inspect(files) opens the one checkpoint among them.
func (s *session) inspect(args []safejs.Value) (any, error) {
	turn := s.turn + 1
	*s = session{turn: turn}
	n, err := args[0].Length()
	if err != nil {
		return nil, err
	}
	var files []*tensor.File
	for i := range n {
		v, err := args[0].Index(i)
		if err != nil {
			return nil, err
		}
		f, err := newFile(v)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	c, err := quant.Inspect(files)
	if err != nil {
		return nil, err
	}
	if s.turn != turn {
		return nil, errOrder
	}
	s.files, s.checkpoint = []*tensor.File{c.File}, c
	return describe(c), nil
}

// describe sums a checkpoint up.
func describe(c *checkpoint.Checkpoint) inspection {
	out := inspection{Name: c.File.Name, Bytes: c.File.Size, Format: c.Format, Tensors: len(c.State.Tensors), Notes: append([]string{}, c.State.Notes...), DTypes: []string{}}
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

// plan(config, container, highNibble) decides what convert will do.
func (s *session) plan(args []safejs.Value) (any, error) {
	if s.checkpoint == nil {
		return nil, errOrder
	}
	var texts [3]string
	for i := range texts {
		var err error
		if texts[i], err = args[i].String(); err != nil {
			return nil, err
		}
	}
	r, err := recipe.Parse("", []byte(texts[0]))
	if err != nil {
		return nil, err
	}
	if s.job, err = quant.Plan(s.checkpoint, r, container.Options{To: texts[1], HighNibble: texts[2]}); err != nil {
		return nil, err
	}
	return s.job.Report(), nil
}

// convert(name, hash, write, progress) streams the output through write.
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
	out, err := newSink(args[2])
	if err != nil {
		return nil, err
	}
	// Two goroutines share the one thread: one reads while the other computes.
	r, err := quant.Convert(context.Background(), s.job, out, quant.Options{Name: name, Workers: 2, Hash: hash, Progress: progress(args[3])})
	if err != nil {
		return nil, err
	}
	return r, out.Flush()
}

// progress calls a JavaScript function, not too often.
func progress(f safejs.Value) func(done, total int64) {
	shown := time.Time{}
	return func(done, total int64) {
		if now := time.Now(); done == total || now.Sub(shown) > 50*time.Millisecond {
			shown = now
			f.Invoke(float64(done), float64(total))
		}
	}
}

// verify(output, progress) holds a result against the source that inspect opened.
func (s *session) verify(args []safejs.Value) (any, error) {
	if s.checkpoint == nil {
		return nil, errOrder
	}
	out, err := newFile(args[0])
	if err != nil {
		return nil, err
	}
	return quant.Verify([]*tensor.File{out}, s.files, progress(args[1]))
}
