//go:build js && wasm

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/hack-pad/safejs"

	"nibble/quant/convert"
	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/tensor"
)

// webWorker is the instance of another web worker as a convert.Worker; taskserver.go is the other side.
type webWorker struct {
	object safejs.Value // {do, take}
	index  map[*tensor.File]int
}

// batchesAhead is how many batches a web worker has at a time: while it computes one, it reads the next.
const batchesAhead = 2

// newPool takes the web workers that the page lends, for tasks on these files.
func newPool(list safejs.Value, files []*tensor.File) ([]convert.Worker, error) {
	n, err := list.Length()
	if err != nil {
		return nil, err
	}
	index := map[*tensor.File]int{}
	for i, f := range files {
		index[f] = i
	}
	var pool []convert.Worker
	for i := range n {
		object, err := list.Index(i)
		if err != nil {
			return nil, err
		}
		pool = append(pool, &webWorker{object, index})
	}
	return pool, nil
}

// wireTask is a task on its way; its tensor names the file by index.
type wireTask struct {
	*convert.Task
	File int
}

// wireResult is a result on its way. Numbers are sent as bits, since JSON has no infinity, and pieces as their
// lengths; their bytes follow, all pieces of all results in a row.
type wireResult struct {
	Lengths   []*int // null for none
	Errors    []wireErrors
	Histogram *kernel.Histogram
	Low, High []byte
	Unfit     kernel.Unfit
}

// wireErrors are kernel.Errors as bits.
type wireErrors struct {
	Count                            int64
	Signal, Noise, Approximated, Max uint64
}

// newWireErrors makes bits of the sums.
func newWireErrors(e kernel.Errors) wireErrors {
	return wireErrors{e.Count, math.Float64bits(e.Signal), math.Float64bits(e.Noise), math.Float64bits(e.Approximated),
		math.Float64bits(e.Max)}
}

// sums is the inverse of newWireErrors.
func (e wireErrors) sums() kernel.Errors {
	return kernel.Errors{
		Count: e.Count, Signal: math.Float64frombits(e.Signal), Noise: math.Float64frombits(e.Noise),
		Approximated: math.Float64frombits(e.Approximated), Max: math.Float64frombits(e.Max),
	}
}

// remoteError is an error that another instance met.
type remoteError struct {
	kind    fault.Kind
	message string
}

// Error is its sentence.
func (e *remoteError) Error() string { return e.message }

// Do implements convert.Worker.
func (w *webWorker) Do(_ context.Context, tasks []*convert.Task) ([]*convert.Result, error) {
	sent := make([]wireTask, len(tasks))
	for i, t := range tasks {
		var err error
		if sent[i], err = w.encode(t); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(sent)
	if err != nil {
		return nil, err
	}
	promise, err := w.object.Call("do", string(text))
	if err != nil {
		return nil, err
	}
	answer, err := await(promise)
	if err != nil {
		return nil, err
	}
	said, err := answer.String()
	if err != nil {
		return nil, err
	}
	var received []wireResult
	if err := json.Unmarshal([]byte(said), &received); err != nil {
		return nil, err
	}
	if len(received) != len(tasks) {
		return nil, fmt.Errorf("internal error: %d results of %d tasks", len(received), len(tasks))
	}
	return w.results(received)
}

// encode makes a task travel.
func (w *webWorker) encode(t *convert.Task) (wireTask, error) {
	if t.Tensor == nil {
		return wireTask{Task: t}, nil
	}
	task, x := *t, *t.Tensor
	file, known := w.index[x.Storage.File]
	if !known {
		return wireTask{}, errFiles
	}
	x.Storage.File = nil
	task.Tensor = &x
	return wireTask{&task, file}, nil
}

// results fetches the bytes of the pieces, and puts the results together again.
func (w *webWorker) results(received []wireResult) ([]*convert.Result, error) {
	total := 0
	for _, r := range received {
		for _, n := range r.Lengths {
			if n != nil {
				total += *n
			}
		}
	}
	all := convert.Buffer(total)
	lent := all
	if total > 0 {
		at, unpin := place(all)
		defer unpin()
		if _, err := w.object.Call("take", at, total); err != nil {
			return nil, err
		}
	}
	results := make([]*convert.Result, len(received))
	for i, r := range received {
		out := &convert.Result{Pieces: make([][]byte, len(r.Lengths)), Histogram: r.Histogram, Low: r.Low, High: r.High,
			Unfit: r.Unfit}
		for k, n := range r.Lengths {
			if n != nil {
				out.Pieces[k], all = all[:*n:*n], all[*n:]
			}
		}
		for _, e := range r.Errors {
			out.Errors = append(out.Errors, e.sums())
		}
		results[i] = out
	}
	// They are written in their order: with the last one the buffer is free.
	results[len(results)-1].Buffers = [][]byte{lent}
	return results, nil
}

var errFiles = errors.New("the page gave no files to read")
