//go:build js && wasm

package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/hack-pad/safejs"

	"nibble/quant/tensor"
)

// blob is a File or Blob of the page as an io.ReaderAt. Reads smaller than page are
// served from cached pages, since each crossing and each slice cost far more than the bytes.
type blob struct {
	value safejs.Value
	size  int64
	array safejs.Value // the Uint8Array class
}

// cache is the pages of all blobs together; a model can have hundreds of files, and verify
// reads several places of a file in turn.
var cache struct {
	mu    sync.Mutex
	pages [32]page
	next  int // to be replaced
}

type page struct {
	of    *blob
	from  int64
	bytes []byte
}

const pageSize = 128 << 10

// newFiles wraps a list of {name, blob}.
func newFiles(list safejs.Value) ([]*tensor.File, error) {
	n, err := list.Length()
	if err != nil {
		return nil, err
	}
	var files []*tensor.File
	for i := range n {
		v, err := list.Index(i)
		if err != nil {
			return nil, err
		}
		f, err := newFile(v)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// newFile wraps {name, blob}.
func newFile(v safejs.Value) (*tensor.File, error) {
	name, err := v.Get("name")
	if err != nil {
		return nil, err
	}
	text, err := name.String()
	if err != nil {
		return nil, err
	}
	value, err := v.Get("blob")
	if err != nil {
		return nil, err
	}
	size, err := value.Get("size")
	if err != nil {
		return nil, err
	}
	n, err := size.Float()
	if err != nil {
		return nil, err
	}
	array, err := safejs.Global().Get("Uint8Array")
	if err != nil {
		return nil, err
	}
	return &tensor.File{Name: text, Size: int64(n), R: &blob{value: value, size: int64(n), array: array}}, nil
}

// ReadAt implements io.ReaderAt.
func (b *blob) ReadAt(dst []byte, at int64) (int, error) {
	if at < 0 || at >= b.size {
		return 0, io.EOF
	}
	if len(dst) >= pageSize {
		return b.read(dst, at)
	}
	cache.mu.Lock()
	defer cache.mu.Unlock()
	n := 0
	for n < len(dst) && at < b.size {
		p, err := b.pageOf(at)
		if err != nil {
			return n, err
		}
		k := copy(dst[n:], p.bytes[at-p.from:])
		n, at = n+k, at+int64(k)
	}
	if n < len(dst) {
		return n, io.EOF
	}
	return n, nil
}

// pageOf finds or reads the page that holds a byte.
func (b *blob) pageOf(at int64) (page, error) {
	for _, p := range cache.pages {
		if p.of == b && at >= p.from && at < p.from+int64(len(p.bytes)) {
			return p, nil
		}
	}
	p := page{b, at, make([]byte, min(pageSize, b.size-at))}
	if _, err := b.read(p.bytes, at); err != nil {
		return page{}, err
	}
	cache.pages[cache.next] = p
	cache.next = (cache.next + 1) % len(cache.pages)
	return p, nil
}

// read takes one slice of the blob.
func (b *blob) read(dst []byte, at int64) (int, error) {
	end := min(at+int64(len(dst)), b.size)
	slice, err := b.value.Call("slice", float64(at), float64(end))
	if err != nil {
		return 0, err
	}
	pending, err := slice.Call("arrayBuffer")
	if err != nil {
		return 0, err
	}
	buffer, err := await(pending)
	if err != nil {
		return 0, fmt.Errorf("the file can no longer be read (%w): was it moved or changed?", err)
	}
	array, err := b.array.New(buffer)
	if err != nil {
		return 0, err
	}
	n, err := safejs.CopyBytesToGo(dst[:end-at], array)
	if err == nil && n < len(dst) {
		err = io.EOF
	}
	return n, err
}
