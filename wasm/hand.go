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

// hand is another worker's instance as a convert.Hand; helper.go is the other side.
type hand struct {
	object safejs.Value // {do, take}
	index  map[*tensor.File]int
}

// perHand is how many batches a hand is given ahead: while it computes one, the next is read.
const perHand = 2

func newHands(list safejs.Value, files []*tensor.File) ([]convert.Hand, error) {
	n, err := list.Length()
	if err != nil {
		return nil, err
	}
	index := map[*tensor.File]int{}
	for i, f := range files {
		index[f] = i
	}
	var hands []convert.Hand
	for i := range n {
		object, err := list.Index(i)
		if err != nil {
			return nil, err
		}
		hands = append(hands, &hand{object, index})
	}
	return hands, nil
}

// sentTask is a task on its way; its tensor names the file by index.
type sentTask struct {
	*convert.Task
	File int
}

// sentResult is a result on its way. Numbers are sent as bits, since JSON has no infinity,
// and parts as their lengths; their bytes follow, all parts of all results in a row.
type sentResult struct {
	Lengths   []*int // null for none
	Errors    []sentErrors
	Histogram *kernel.Histogram
	Low, High []byte
	Unfit     kernel.Unfit
}

type sentErrors struct {
	Count                            int64
	Signal, Noise, Approximated, Max uint64
}

func sendErrors(e kernel.Errors) sentErrors {
	return sentErrors{e.Count, math.Float64bits(e.Signal), math.Float64bits(e.Noise), math.Float64bits(e.Approximated), math.Float64bits(e.Max)}
}

func (e sentErrors) receive() kernel.Errors {
	return kernel.Errors{
		Count: e.Count, Signal: math.Float64frombits(e.Signal), Noise: math.Float64frombits(e.Noise),
		Approximated: math.Float64frombits(e.Approximated), Max: math.Float64frombits(e.Max),
	}
}

// remote is an error that another instance met.
type remote struct {
	kind    fault.Kind
	message string
}

func (e *remote) Error() string { return e.message }

// Do implements convert.Hand.
func (h *hand) Do(_ context.Context, tasks []*convert.Task) ([]*convert.Result, error) {
	sent := make([]sentTask, len(tasks))
	for i, t := range tasks {
		var err error
		if sent[i], err = h.send(t); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(sent)
	if err != nil {
		return nil, err
	}
	promise, err := h.object.Call("do", string(text))
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
	var received []sentResult
	if err := json.Unmarshal([]byte(said), &received); err != nil {
		return nil, err
	}
	if len(received) != len(tasks) {
		return nil, fmt.Errorf("internal error: %d results of %d tasks", len(received), len(tasks))
	}
	return h.take(received)
}

func (h *hand) send(t *convert.Task) (sentTask, error) {
	if t.Tensor == nil {
		return sentTask{Task: t}, nil
	}
	task, x := *t, *t.Tensor
	file, known := h.index[x.Storage.File]
	if !known {
		return sentTask{}, errFiles
	}
	x.Storage.File = nil
	task.Tensor = &x
	return sentTask{&task, file}, nil
}

// take fetches the bytes of the parts.
func (h *hand) take(received []sentResult) ([]*convert.Result, error) {
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
		if _, err := h.object.Call("take", at, total); err != nil {
			return nil, err
		}
	}
	results := make([]*convert.Result, len(received))
	for i, r := range received {
		out := &convert.Result{Parts: make([][]byte, len(r.Lengths)), Histogram: r.Histogram, Low: r.Low, High: r.High, Unfit: r.Unfit}
		for k, n := range r.Lengths {
			if n != nil {
				out.Parts[k], all = all[:*n:*n], all[*n:]
			}
		}
		for _, e := range r.Errors {
			out.Errors = append(out.Errors, e.receive())
		}
		results[i] = out
	}
	// They are written in their order: with the last one the buffer is free.
	results[len(results)-1].Lent = [][]byte{lent}
	return results, nil
}

var errFiles = errors.New("the page gave no files to read")
