//go:build js && wasm

package main

import (
	"bufio"
	"fmt"

	"github.com/hack-pad/safejs"
)

// sinkSize is how much crosses at a time.
const sinkSize = 2 << 20

// newSink makes a writer of a JavaScript function write(Uint8Array), which must have
// taken the bytes when it returns. Flush ends it.
func newSink(write safejs.Value) (*bufio.Writer, error) {
	class, err := safejs.Global().Get("Uint8Array")
	if err != nil {
		return nil, err
	}
	array, err := class.New(sinkSize)
	if err != nil {
		return nil, err
	}
	return bufio.NewWriterSize(&crossing{write: write, array: array}, sinkSize), nil
}

// crossing copies each piece into one JavaScript array and hands that over.
type crossing struct{ write, array safejs.Value }

func (c *crossing) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		piece := b[n:min(n+sinkSize, len(b))]
		view := c.array
		if len(piece) < sinkSize {
			var err error
			if view, err = c.array.Call("subarray", 0, len(piece)); err != nil {
				return n, err
			}
		}
		if _, err := safejs.CopyBytesToJS(view, piece); err != nil {
			return n, err
		}
		if _, err := c.write.Invoke(view); err != nil {
			return n, fmt.Errorf("the result could not be saved (%w): is there room on the disk?", err)
		}
		n += len(piece)
	}
	return n, nil
}
