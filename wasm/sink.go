//go:build js && wasm

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/hack-pad/safejs"
)

// sinkSize is how many bytes cross at a time.
const sinkSize = 4 << 20

// sink is where the page wants the output: {create, write(at, n), close}.
type sink struct{ object safejs.Value }

// create begins a file; it implements quant.Create.
func (s *sink) create(name string, bytes int64) (io.WriteCloser, error) {
	if err := s.call("create", name, float64(bytes)); err != nil {
		return nil, err
	}
	return &sinkFile{bufio.NewWriterSize(s, sinkSize), s}, nil
}

// sinkFile is one file of the sink.
type sinkFile struct {
	*bufio.Writer
	sink *sink
}

// Close ends the file.
func (f *sinkFile) Close() error {
	if err := f.Flush(); err != nil {
		return err
	}
	return f.sink.call("close")
}

// Abandon leaves a file that will not be whole to the page, which discards it: to close it would put it in its place.
func (f *sinkFile) Abandon() {}

// Write says where the bytes lie. The page has copied or written them when it returns.
func (s *sink) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	at, unpin := place(b)
	defer unpin()
	return len(b), s.call("write", at, len(b))
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
