//go:build js && wasm

package main

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"

	"github.com/hack-pad/safejs"

	"nibble/quant/convert"
	"nibble/quant/tensor"
)

// helper is an instance that works for another one, whose hand it is: hand.go is the other
// side.
type helper struct {
	inputs []*tensor.File
	mu     sync.Mutex // one parcel at a time; the next is read meanwhile
	worker convert.Worker
	given  []byte
}

// files(files) are what the tasks speak of.
func (h *helper) files(args []safejs.Value) (_ any, err error) {
	h.inputs, err = newFiles(args[0])
	return nil, err
}

// work(tasks, give) does tasks. The bytes of what they made are given in one piece.
func (h *helper) work(args []safejs.Value) (any, error) {
	text, err := args[0].String()
	if err != nil {
		return nil, err
	}
	var received []sentTask
	if err := json.Unmarshal([]byte(text), &received); err != nil {
		return nil, err
	}
	tasks := make([]*convert.Task, len(received))
	for i, r := range received {
		if r.Tensor != nil {
			if r.File < 0 || r.File >= len(h.inputs) {
				return nil, errFiles
			}
			r.Tensor.Storage.File = h.inputs[r.File]
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
	h.mu.Lock()
	defer h.mu.Unlock()
	results, err := h.worker.Do(context.Background(), tasks)
	if err != nil {
		return nil, err
	}
	return h.send(results, args[1])
}

// send gives the bytes of all parts and answers the rest.
func (h *helper) send(results []*convert.Result, give safejs.Value) ([]sentResult, error) {
	h.given = h.given[:0]
	sent := make([]sentResult, len(results))
	for i, r := range results {
		s := sentResult{Histogram: r.Histogram, Low: r.Low, High: r.High, Unfit: r.Unfit}
		for _, p := range r.Parts {
			if p == nil {
				s.Lengths = append(s.Lengths, -1)
				continue
			}
			s.Lengths = append(s.Lengths, len(p))
			h.given = append(h.given, p...)
		}
		for _, e := range r.Errors {
			s.Errors = append(s.Errors, sendErrors(e))
		}
		sent[i] = s
	}
	if len(h.given) > 0 {
		if _, err := give.Invoke(place(h.given), len(h.given)); err != nil {
			return nil, err
		}
		runtime.KeepAlive(h.given)
	}
	return sent, nil
}

// span is bytes of a file that are read in a row.
type span struct {
	file     *blob
	from, to int64
}

const (
	nearby  = 64 << 10 // what lies this close is read along
	longest = 32 << 20 // a span that is longer is not read ahead
)

// spansOf are where the tiles of tasks lie, what is close together joined.
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
