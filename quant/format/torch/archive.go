package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Match reports whether a file begins like a zip.
func Match(head []byte, size int64) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

// maxDirectory bounds what a zip's directory may take, in bytes of the file: about
// 200,000 entries of torch's.
const maxDirectory = 12 << 20

// archive is the zip with its entries by name.
type archive struct {
	file     *tensor.File
	root     string // the folder that holds data.pkl, such as "archive/"
	saved    bool   // there is a data.pkl
	entries  map[string]*zip.File
	mismatch bool // an entry that was read has another checksum than it should

	starts map[string]start // of storages, by the entry's name
}

// start is where an entry's bytes begin, which only its own header tells.
type start struct {
	at  int64
	err error
}

// bounded is a file of which only so much may be read. archive/zip reads a directory whole,
// however long a hostile file makes it.
type bounded struct {
	io.ReaderAt
	size int64
	left atomic.Int64
}

func newBounded(f *tensor.File) *bounded {
	b := &bounded{ReaderAt: f.R, size: f.Size}
	b.left.Store(maxDirectory)
	return b
}

func (b *bounded) ReadAt(p []byte, at int64) (int, error) {
	if b.left.Add(-int64(len(p))) < 0 {
		return 0, errLong
	}
	if at < 0 || at >= b.size {
		return 0, io.EOF
	}
	return b.ReaderAt.ReadAt(p, at)
}

// Bounded is a zip of which only as much may be read as its directory should take.
func Bounded(f *tensor.File) (io.ReaderAt, error) {
	b := newBounded(f)
	return b, endFits(b)
}

// endFits looks at the zip64 end record, where there is one: archive/zip makes room for as
// many entries as it announces before it reads one (APPNOTE 6.3: 4.3.14, 4.3.15).
func endFits(b *bounded) error {
	tail := make([]byte, min(b.size, 64<<10+22))
	if _, err := b.ReadAt(tail, b.size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	end := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if end < 20 || string(tail[end-20:end-16]) != "PK\x06\x07" {
		return nil // archive/zip knows what to say where there is no end at all
	}
	var record [56]byte
	at := binary.LittleEndian.Uint64(tail[end-12:])
	if at > uint64(b.size) {
		return zip.ErrFormat
	}
	if _, err := b.ReadAt(record[:], int64(at)); err != nil && err != io.EOF {
		return err
	}
	const entry = 46 // bytes of the shortest
	if binary.LittleEndian.Uint64(record[32:]) > maxDirectory/entry || binary.LittleEndian.Uint64(record[24:]) > maxDirectory/entry {
		return errLong
	}
	return nil
}

var errLong = errors.New("it is longer than that of any checkpoint")

// open finds data.pkl; whatever folder holds it is the root.
func open(f *tensor.File) (*archive, error) {
	limit := newBounded(f)
	if err := endFits(limit); err != nil {
		return nil, fault.Bad(f.Name, "the file begins like a zip but its directory cannot be read (%v)", err).
			Hint("the file is damaged: copy or download it again")
	}
	z, err := zip.NewReader(limit, f.Size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fault.Bad(f.Name, "the file begins like a zip but its directory cannot be read (%v)", err).
			Hint("the file is cut short: copy or download it again")
	}
	limit.left.Store(1 << 62) // from here on, each read is bounded where it is made
	a := &archive{file: f, entries: make(map[string]*zip.File, len(z.File))}
	for _, e := range z.File {
		if a.entries[e.Name] != nil {
			return nil, fault.Bad(f.Name, "the zip holds two entries named %q", e.Name)
		}
		a.entries[e.Name] = e
		root, ok := strings.CutSuffix(e.Name, "data.pkl")
		if ok && (root == "" || strings.Count(root, "/") == 1 && strings.HasSuffix(root, "/")) {
			if a.saved {
				return nil, fault.Bad(f.Name, "the zip holds two pickles, %sdata.pkl and %s", a.root, e.Name)
			}
			a.root, a.saved = root, true
		}
	}
	a.locate()
	return a, nil
}

// together is how many headers are read at once. In a browser each read is answered by
// another process, which can be asked many things before it has answered the first.
const together = 64

// locate finds where the storages begin.
func (a *archive) locate() {
	var found sync.Mutex
	var readers sync.WaitGroup
	a.starts = map[string]start{}
	next := make(chan *zip.File)
	for range together {
		readers.Go(func() {
			for e := range next {
				at, err := e.DataOffset()
				found.Lock()
				a.starts[e.Name] = start{at, err}
				found.Unlock()
			}
		})
	}
	for name, e := range a.entries {
		if strings.HasPrefix(name, a.root) && isStorage(name[len(a.root):]) && e.Method == zip.Store {
			next <- e
		}
	}
	close(next)
	readers.Wait()
}

// isStorage tells the entries that hold tensors' values by their folder.
func isStorage(name string) bool {
	folder, _, inFolder := strings.Cut(name, "/")
	return inFolder && (folder == "data" || folder == "constants" || folder == "tensors")
}

func (a *archive) littleEndian() error {
	e := a.entries[a.root+"byteorder"]
	if e == nil {
		return nil
	}
	order, err := a.content("byteorder", 16)
	if err != nil {
		return err
	}
	if string(order) != Order {
		return fault.Not(a.file.Name, "the file was written with byte order %q", order).
			Hint("save it again on a little-endian machine")
	}
	return nil
}

// content reads a small entry whole, at most limit bytes, stored or deflated.
func (a *archive) content(name string, limit int64) ([]byte, error) {
	e := a.entries[a.root+name]
	if e == nil {
		return nil, fault.Bad(a.file.Name, "%s is not in the zip", a.root+name)
	}
	if e.UncompressedSize64 > uint64(limit) {
		return nil, fault.Bad(a.file.Name, "%s claims %d bytes, more than %d", name, e.UncompressedSize64, limit)
	}
	r, err := e.Open()
	if err != nil {
		return nil, fault.Bad(a.file.Name, "%s cannot be opened (%v)", name, err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r, limit+1)); err == zip.ErrChecksum {
		a.mismatch = true // torch can be told to write none, and checks none
	} else if err != nil {
		return nil, fault.Bad(a.file.Name, "%s cannot be read (%v)", name, err).Hint("the file is damaged: copy or download it again")
	}
	if int64(b.Len()) > limit {
		return nil, fault.Bad(a.file.Name, "%s unpacks to more than %d bytes", name, limit)
	}
	return b.Bytes(), nil
}

// span is where a stored entry's bytes lie.
func (a *archive) span(name string) (tensor.Storage, error) {
	e := a.entries[a.root+name]
	if e == nil {
		return tensor.Storage{}, fault.Bad(a.file.Name, "the pickle refers to %s, which is not in the zip", name)
	}
	if e.Method != zip.Store || e.UncompressedSize64 != e.CompressedSize64 {
		return tensor.Storage{}, fault.Not(a.file.Name, "%s is compressed inside the zip", name).
			Hint("torch.save does not compress: load and save the checkpoint again")
	}
	known, ok := a.starts[e.Name]
	if !ok {
		known.at, known.err = e.DataOffset()
	}
	at := known.at
	if known.err != nil {
		return tensor.Storage{}, fault.Bad(a.file.Name, "%s has a broken zip header (%v)", name, known.err)
	}
	if at < 0 || e.UncompressedSize64 > uint64(a.file.Size) || at > a.file.Size-int64(e.UncompressedSize64) {
		return tensor.Storage{}, fault.Bad(a.file.Name, "%s reaches beyond the end of the file", name).At(at)
	}
	return tensor.Storage{File: a.file, Start: at, End: at + int64(e.UncompressedSize64)}, nil
}
