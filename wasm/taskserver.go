//go:build js && wasm

package main

import (
	"context"
	"sync"

	"github.com/hack-pad/safejs"

	"nibble/quant/convert"
	"nibble/quant/tensor"
)

// taskServer does tasks for the instance that leads a conversion; pool.go is the other side.
type taskServer struct {
	inputs []*tensor.File
	mu     sync.Mutex // one batch at a time; the next is read meanwhile
	worker convert.Local
}

// files takes the source files that tasks name by index.
func (s *taskServer) files(q request) (_ any, err error) {
	s.inputs, err = q.files()
	return nil, err
}

// work does tasks, and puts out the bytes of what they made.
func (s *taskServer) work(q request) (any, error) {
	var received []wireTask
	if err := q.data(&received); err != nil {
		return nil, err
	}
	out, err := q.object.Get("out")
	if err != nil {
		return nil, err
	}
	tasks := make([]*convert.Task, len(received))
	for i, r := range received {
		if r.Tensor != nil {
			if r.File < 0 || r.File >= len(s.inputs) {
				return nil, errFiles
			}
			r.Tensor.Storage.File = s.inputs[r.File]
		}
		tasks[i] = r.Task
	}
	spans := spansOf(tasks)
	for _, s := range spans {
		if err := s.file.ahead(s.from, s.to); err != nil {
			return nil, err
		}
	}
	defer func() {
		for _, s := range spans {
			_ = s.file.forget(s.from, s.to)
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := make([]wireResult, len(tasks))
	for i, t := range tasks {
		if sent[i], err = s.doTask(t, out); err != nil {
			return nil, err
		}
	}
	return sent, nil
}

// doTask does one task. Bytes that are only copied do not come into this instance.
func (s *taskServer) doTask(t *convert.Task, out safejs.Value) (sent wireResult, err error) {
	if from, to := t.Span(); t.Step == convert.Copy && from < to && t.Tensor.Contiguous() {
		n := int(to - from)
		sent.Lengths = []*int{&n}
		return sent, t.Tensor.Storage.File.R.(*blob).pass(from, to, out)
	}
	results, err := s.worker.Do(context.Background(), []*convert.Task{t})
	if err != nil {
		return sent, err
	}
	r := results[0]
	defer r.Release()
	sent = wireResult{Histogram: r.Histogram, Low: r.Low, High: r.High, Unfit: r.Unfit}
	for _, p := range r.Pieces {
		if p == nil {
			sent.Lengths = append(sent.Lengths, nil)
			continue
		}
		n := len(p)
		sent.Lengths = append(sent.Lengths, &n)
		if err := put(out, p); err != nil {
			return sent, err
		}
	}
	for _, e := range r.Errors {
		sent.Errors = append(sent.Errors, newWireErrors(e))
	}
	return sent, nil
}

// put gives bytes to the page's side.
func put(out safejs.Value, piece []byte) error {
	if len(piece) == 0 {
		return nil
	}
	at, unpin := place(piece)
	defer unpin()
	_, err := out.Call("put", at, len(piece))
	return err
}

// span is a range of a file that is read in a row.
type span struct {
	file     *blob
	from, to int64
}

const (
	nearby  = 64 << 10 // what lies this close is read along
	longest = 64 << 20 // a span that is longer is not read ahead
)

// spansOf are the ranges in which the tiles of tasks lie; ranges close together are joined.
func spansOf(tasks []*convert.Task) (spans []span) {
	for _, t := range tasks {
		from, to := t.Span()
		if from == to {
			continue
		}
		file := t.Tensor.Storage.File.R.(*blob)
		if n := len(spans); n > 0 {
			last := &spans[n-1]
			if last.file == file && from >= last.from && from <= last.to+nearby && max(to, last.to)-last.from <= longest {
				last.to = max(to, last.to)
				continue
			}
		}
		if to-from <= longest {
			spans = append(spans, span{file, from, to})
		}
	}
	return spans
}
