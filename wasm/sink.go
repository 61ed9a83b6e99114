//go:build js && wasm

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/hack-pad/safejs"
)

// sinkSize is how much crosses at a time.
const sinkSize = 4 << 20

// sink is where the page wants the output: {create, write, close}.
type sink struct{ object, array safejs.Value }

func newSink(object safejs.Value) (*sink, error) {
	class, err := safejs.Global().Get("Uint8Array")
	if err != nil {
		return nil, err
	}
	array, err := class.New(sinkSize)
	return &sink{object, array}, err
}

// create begins a file; it implements quant.Create.
func (s *sink) create(name string, bytes int64) (io.WriteCloser, error) {
	if err := s.call("create", name, float64(bytes)); err != nil {
		return nil, err
	}
	return &sunk{bufio.NewWriterSize(s, sinkSize), s}, nil
}

// sunk is one file of the sink.
type sunk struct {
	*bufio.Writer
	sink *sink
}

func (f *sunk) Close() error {
	if err := f.Flush(); err != nil {
		return err
	}
	return f.sink.call("close")
}

// Write copies each piece into one JavaScript array and hands that over.
func (s *sink) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		piece := b[n:min(n+sinkSize, len(b))]
		view := s.array
		if len(piece) < sinkSize {
			var err error
			if view, err = s.array.Call("subarray", 0, len(piece)); err != nil {
				return n, err
			}
		}
		if _, err := safejs.CopyBytesToJS(view, piece); err != nil {
			return n, err
		}
		if err := s.call("write", view); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// call calls a method and waits for it where it returns a Promise.
func (s *sink) call(method string, args ...any) error {
	result, err := s.object.Call(method, args...)
	if err == nil && result.Type() == safejs.TypeObject {
		_, err = await(result)
	}
	if err != nil {
		return fmt.Errorf("the result could not be saved: %s", strings.TrimPrefix(err.Error(), "JavaScript error: "))
	}
	return nil
}
