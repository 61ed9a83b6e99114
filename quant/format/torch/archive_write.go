package torch

import (
	"archive/zip"
	"io"
	"strconv"

	"nibble/quant/fault"
	"nibble/quant/format/pickle"
	"nibble/quant/tensor"
)

// Archive is the layout of a zip to be written: every offset and the total size are
// known before the first byte, so that it can be written forward only. Entries are
// stored, with data descriptors (checksums follow the data), as torch's own are.
type Archive struct {
	Bytes     int64 // size of the whole file
	directory int64 // bytes of it
	fixed     []zipEntry
	storages  []zipEntry
}

// zipEntry is one entry with its place.
type zipEntry struct {
	name  string
	extra []byte // pads the data to Alignment
	data  []byte // only for fixed entries
}

// LayArchive places the pickle, the byte order, the version and storages 0, 1, ... of
// the given sizes in bytes.
func LayArchive(pickle []byte, sizes []int64) *Archive {
	a, s := &Archive{}, zipSize{}
	for _, e := range []zipEntry{{PickleAt, nil, pickle}, {OrderAt, nil, []byte(Order)},
		{VersionAt, nil, []byte(Version)}} {
		e.extra = s.place(e.name, int64(len(e.data)))
		a.fixed = append(a.fixed, e)
	}
	for i, size := range sizes {
		e := zipEntry{name: DataAt + strconv.Itoa(i)}
		e.extra = s.place(e.name, size)
		a.storages = append(a.storages, e)
	}
	a.Bytes, a.directory = s.total(), s.directory
	return a
}

// aroundDirectory is what is read beside a directory, at most: the end records are searched in the last
// 64 kB, twice.
const aroundDirectory = 256 << 10

// Unreadable says why Read would not open a file with this pickle of these items and this layout, nil
// when it does: the limits against hostile files hold for ours.
func (a *Archive) Unreadable(text []byte, items []Item) *fault.Error {
	what, dense, seen := "", 0.0, map[int]bool{}
	for _, it := range items {
		if n, _ := tensor.Elements(it.Shape); !seen[it.Key] {
			seen[it.Key] = true
			dense += float64(n) * float64(it.DType.Size())
		}
	}
	if !pickle.Runnable(text) {
		what = "its pickle would be larger, or take more memory, than a reader of unknown files allows"
	} else if a.directory > maxDirectory-aroundDirectory {
		what = "the zip's directory would be longer than a reader of unknown files allows"
	} else if repeats(dense, a.Bytes) {
		what = "one weight has so many names (tied) that a reader of unknown files would not believe it"
	} else {
		return nil
	}
	return fault.Not("", "the output could not be opened again: %s", what)
}

// zipSize adds up what archive/zip writes (APPNOTE 6.3: 4.3.7 local header, 4.3.9 data
// descriptor, 4.3.12 directory, 4.3.14 to 4.3.16 end records).
type zipSize struct {
	at, directory, count int64
	big                  bool // some entry has zip64 fields, so the end has them too
}

// zip64 is where 32-bit sizes and offsets end.
const zip64 = 1<<32 - 1

// place adds an entry and returns the extra field that aligns its data.
func (s *zipSize) place(name string, size int64) []byte {
	extra := padding(s.at + 30 + int64(len(name)))
	head := int64(len(name) + len(extra))
	s.directory += 46 + head
	if size >= zip64 || s.at >= zip64 {
		s.big = true
		s.directory += 4
		if size >= zip64 {
			s.directory += 16
		}
		if s.at >= zip64 {
			s.directory += 8
		}
	}
	s.at += 30 + head + size + 16
	if size > zip64 { // archive/zip decides this one field by >, the others by >=
		s.at += 8
	}
	s.count++
	return extra
}

func (s *zipSize) total() int64 {
	end := int64(22)
	if s.big || s.count >= 1<<16-1 || s.directory >= zip64 || s.at >= zip64 {
		end += 56 + 20
	}
	return s.at + s.directory + end
}

// padding is a zip extra field ("FB", as torch names it) that ends at a multiple of
// Alignment when it begins at the given offset.
func padding(at int64) []byte {
	n := int((Alignment - (at+4)%Alignment) % Alignment)
	b := make([]byte, 4+n)
	copy(b, "FB")
	b[2] = byte(n)
	for i := range n {
		b[4+i] = 'Z'
	}
	return b
}

// Start writes the entries that come before the storages.
func (a *Archive) Start(w io.Writer) (*ArchiveWriter, error) {
	z := &ArchiveWriter{zip.NewWriter(w), a.storages}
	for _, e := range a.fixed {
		part, err := z.create(e)
		if err != nil {
			return nil, err
		}
		if _, err := part.Write(e.data); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// ArchiveWriter takes the storages in order.
type ArchiveWriter struct {
	zip  *zip.Writer
	left []zipEntry
}

// Storage begins the next storage; exactly its size is written before the next call.
func (z *ArchiveWriter) Storage() (io.Writer, error) {
	e := z.left[0]
	z.left = z.left[1:]
	return z.create(e)
}

// Close writes the directory.
func (z *ArchiveWriter) Close() error { return z.zip.Close() }

func (z *ArchiveWriter) create(e zipEntry) (io.Writer, error) {
	return z.zip.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store, Extra: e.extra})
}
