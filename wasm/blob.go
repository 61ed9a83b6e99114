//go:build js && wasm

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/hack-pad/safejs"

	"nibble/quant/tensor"
)

// blob is a file of the page as an io.ReaderAt: {name, size, read(from, into)}. Reads
// smaller than page are served from cached pages, since each crossing costs far more than
// the bytes.
type blob struct {
	value safejs.Value
	size  int64
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

// newFiles wraps a list of them.
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

// crossings are arrays in JavaScript that reads go through, one for each read in flight. A
// buffer of the browser's would live until Go's collector comes around to it.
var crossings = make(chan safejs.Value, 4)

// crossingSize is how much crosses at a time.
const crossingSize = 4 << 20

func crossing() (safejs.Value, error) {
	select {
	case array := <-crossings:
		return array, nil
	default:
	}
	class, err := safejs.Global().Get("Uint8Array")
	if err != nil {
		return safejs.Value{}, err
	}
	return class.New(crossingSize)
}

// read has the page fill an array, piece by piece, and copies it.
func (b *blob) read(dst []byte, at int64) (int, error) {
	array, err := crossing()
	if err != nil {
		return 0, err
	}
	defer func() {
		select {
		case crossings <- array:
		default:
		}
	}()
	want := min(int64(len(dst)), b.size-at)
	n := int64(0)
	for n < want {
		part := min(crossingSize, want-n)
		view := array
		if part < crossingSize {
			if view, err = array.Call("subarray", 0, int(part)); err != nil {
				return int(n), err
			}
		}
		if err := b.fill(view, at+n); err != nil {
			return int(n), fmt.Errorf("the file can no longer be read (%s): was it moved or changed?", strings.TrimPrefix(err.Error(), "JavaScript error: "))
		}
		if _, err := safejs.CopyBytesToGo(dst[n:n+part], view); err != nil {
			return int(n), err
		}
		n += part
	}
	if want < int64(len(dst)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// fill waits where reading takes a Promise.
func (b *blob) fill(view safejs.Value, at int64) error {
	result, err := b.value.Call("read", float64(at), view)
	if err == nil && result.Type() == safejs.TypeObject {
		_, err = await(result)
	}
	return err
}
