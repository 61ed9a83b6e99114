//go:build js && wasm

package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/hack-pad/safejs"

	"nibble/quant/tensor"
)

// blob is a file of the page as an io.ReaderAt: {name, size, read(from, at, n)}. Small reads are served from cached
// pages, since each crossing costs far more than the bytes.
type blob struct {
	value safejs.Value
	size  int64
}

// cache is the pages of all blobs together; a model can have hundreds of files, and verify reads several places of a
// file in turn. It is not locked while a page is on its way.
var cache struct {
	mu    sync.Mutex
	pages [32]page
	next  int // to be replaced
}

// page is a stretch of a file that was read.
type page struct {
	of    *blob
	from  int64
	bytes []byte
}

const pageSize = 128 << 10

// newFiles takes a list of files.
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

// newFile takes one file.
func newFile(v safejs.Value) (*tensor.File, error) {
	name, err := v.Get("name")
	if err != nil {
		return nil, err
	}
	text, err := name.String()
	if err != nil {
		return nil, err
	}
	size, err := v.Get("size")
	if err != nil {
		return nil, err
	}
	n, err := size.Float()
	if err != nil {
		return nil, err
	}
	return &tensor.File{Name: text, Size: int64(n), R: &blob{v, int64(n)}}, nil
}

// smallRead is the size up to which a read is not worth a page: the header of an entry of a zip.
const smallRead = 64

// ReadAt implements io.ReaderAt.
func (b *blob) ReadAt(dst []byte, at int64) (int, error) {
	if at < 0 || at >= b.size {
		return 0, io.EOF
	}
	if len(dst) >= pageSize {
		return b.read(dst, at)
	}
	n := 0
	for n < len(dst) && at < b.size {
		p, ok := b.cached(at)
		if !ok && len(dst) <= smallRead {
			return b.read(dst, at)
		}
		if !ok {
			p = page{b, at, make([]byte, min(pageSize, b.size-at))}
			if _, err := b.read(p.bytes, at); err != nil {
				return n, err
			}
			p.keep()
		}
		k := copy(dst[n:], p.bytes[at-p.from:])
		n, at = n+k, at+int64(k)
	}
	if n < len(dst) {
		return n, io.EOF
	}
	return n, nil
}

// cached finds the page that holds a byte.
func (b *blob) cached(at int64) (page, bool) {
	cache.mu.Lock()
	defer cache.mu.Unlock()
	for _, p := range cache.pages {
		if p.of == b && at >= p.from && at < p.from+int64(len(p.bytes)) {
			return p, true
		}
	}
	return page{}, false
}

// keep puts the page in the place of the oldest.
func (p page) keep() {
	cache.mu.Lock()
	defer cache.mu.Unlock()
	cache.pages[cache.next] = p
	cache.next = (cache.next + 1) % len(cache.pages)
}

// readSize is how many bytes are asked for at a time.
const readSize = 4 << 20

// read has the page copy bytes straight to where they are wanted. An array of JavaScript's that Go had seen would
// live until Go's collector comes around to it, and such arrays are large.
func (b *blob) read(dst []byte, at int64) (int, error) {
	want := dst[:min(int64(len(dst)), b.size-at)]
	n := 0
	for n < len(want) {
		chunk := want[n:min(n+readSize, len(want))]
		if err := b.fill(chunk, at+int64(n)); err != nil {
			return n, unreadable(err)
		}
		n += len(chunk)
	}
	if n < len(dst) {
		return n, io.EOF
	}
	return n, nil
}

// unreadable says what a browser's error in reading means.
func unreadable(err error) error {
	return fmt.Errorf("the file can no longer be read (%s): was it moved or changed?",
		strings.TrimPrefix(err.Error(), "JavaScript error: "))
}

// pass has the page give bytes of the file to another worker as they are.
func (b *blob) pass(from, to int64, out safejs.Value) error {
	result, err := b.value.Call("pass", float64(from), float64(to), out)
	if err == nil && result.Type() == safejs.TypeObject {
		_, err = await(result)
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}

// fill has the page copy bytes, and waits where reading takes a Promise.
func (b *blob) fill(dst []byte, from int64) error {
	at, unpin := place(dst)
	defer unpin()
	result, err := b.value.Call("read", float64(from), at, len(dst))
	if err == nil && result.Type() == safejs.TypeObject {
		_, err = await(result)
	}
	return err
}

// place is where bytes lie in this instance's memory, for JavaScript to copy from or to. They are pinned: they stay
// there until unpin, and are not on a stack, which could move.
func place(b []byte) (at float64, unpin func()) {
	var p runtime.Pinner
	start := unsafe.SliceData(b)
	p.Pin(start)
	return float64(uintptr(unsafe.Pointer(start))), p.Unpin
}

// ahead says to the page which bytes are read next.
func (b *blob) ahead(from, to int64) error {
	_, err := b.value.Call("ahead", float64(from), float64(to))
	return err
}

// forget takes back what ahead said.
func (b *blob) forget(from, to int64) error {
	_, err := b.value.Call("forget", float64(from), float64(to))
	return err
}
