package torch

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// A zip can be read in more than one way, so its directory is read here, as miniz does, which PyTorch has in
// it (mz_zip_reader_read_central_dir of miniz 3.0; APPNOTE 6.3: 4.3.7, 4.3.12 to 4.3.16). archive/zip differs: it
// looks for the directory where the end record's size says, reads entries past their count, believes a zip64
// record only where the plain one has marks, and knows nothing of disks and encryption. Where the plain end
// record and a zip64 record name two directories and nothing says which is meant, the file is refused.

// maxDirectory bounds what a zip's directory may take, in bytes of the file: about
// 200,000 entries of torch's.
const maxDirectory = 12 << 20

// Sizes of the records, in bytes.
const (
	localSize   = 30
	entrySize   = 46
	endSize     = 22
	end64Size   = 56
	locatorSize = 20
)

// Methods of packing, and flags.
const (
	stored    = 0
	deflated  = 8
	encrypted = 1 | 32 | 64 // or a patch
	masked    = 1 << 13     // the directory is encrypted
)

// Entry is one file in a zip.
type Entry struct {
	Name         string
	Packed, Size int64 // in the zip, and unpacked
	method       uint16
	locked       bool // encrypted, or a folder by its attributes, of which PyTorch reads nothing
	crc          uint32
	header       int64 // where its local header lies
}

// Stored reports whether the bytes lie in the zip as they are.
func (e *Entry) Stored() bool { return e.method == stored && !e.locked }

// Place is where the bytes of an entry begin, which only its local header says.
func (e *Entry) Place(f *tensor.File) (at int64, err error) {
	var local [localSize]byte
	if f.Size-e.header < localSize {
		return 0, io.ErrUnexpectedEOF
	}
	if _, err := f.R.ReadAt(local[:], e.header); err != nil && err != io.EOF {
		return 0, err
	}
	if string(local[:4]) != "PK\x03\x04" {
		return 0, errHeader
	}
	u16 := binary.LittleEndian.Uint16
	at = e.header + localSize + int64(u16(local[26:])) + int64(u16(local[28:]))
	if at > f.Size-e.Packed {
		return 0, errBeyond
	}
	return at, nil
}

// directory is what the end of a zip says of it.
type directory struct {
	count, here  uint64 // entries, and those on this disk
	size, offset uint64
	disk, first  uint32
}

// Directory reads the entries of a zip, in the order of its directory.
func Directory(f *tensor.File) ([]Entry, error) {
	d, err := findDirectory(f)
	if err != nil {
		return nil, err
	}
	bad := func(what string) error {
		return fault.Bad(f.Name, "the file begins like a zip but its directory cannot be read (%s)", what).
			Hint("the file is damaged: copy or download it again")
	}
	switch {
	case d.count != d.here || d.disk|d.first != 0 && (d.disk != 1 || d.first != 1):
		return nil, fault.Not(f.Name, "it is one part of a zip of several").Hint("join the parts")
	case d.size > maxDirectory:
		return nil, bad("it is longer than that of any checkpoint")
	case d.offset > uint64(f.Size) || d.size > uint64(f.Size)-d.offset || d.count > d.size/entrySize:
		return nil, bad("it reaches beyond the end of the file, or of itself")
	}
	text := make([]byte, d.size)
	if _, err := f.R.ReadAt(text, int64(d.offset)); err != nil && err != io.EOF {
		return nil, err
	}
	entries := make([]Entry, d.count)
	for i := range entries {
		n, what := entries[i].read(text, f.Size, d.disk)
		if what != "" {
			return nil, bad(what)
		}
		text = text[n:]
	}
	return entries, nil
}

// findDirectory reads the end records.
func findDirectory(f *tensor.File) (directory, error) {
	tail := make([]byte, min(f.Size, math.MaxUint16+endSize+end64Size+locatorSize))
	from := f.Size - int64(len(tail))
	if _, err := f.R.ReadAt(tail, from); err != nil && err != io.EOF {
		return directory{}, err
	}
	// A comment has at most 65,535 bytes; before the record there is room for what zip64 has.
	first := max(0, len(tail)-math.MaxUint16-endSize)
	end := len(tail) - endSize
	for end >= first && string(tail[end:end+4]) != "PK\x05\x06" {
		end--
	}
	if end < first {
		return directory{}, fault.Bad(f.Name, "the file begins like a zip but has no directory at its end").
			Hint("the file is cut short: copy or download it again")
	}
	u16, u32, u64 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	r := tail[end:]
	d := directory{
		disk: uint32(u16(r[4:])), first: uint32(u16(r[6:])), here: uint64(u16(r[8:])), count: uint64(u16(r[10:])),
		size: uint64(u32(r[12:])), offset: uint64(u32(r[16:])),
	}
	if from+int64(end) < locatorSize+end64Size || string(tail[end-locatorSize:][:4]) != "PK\x06\x07" {
		return d, nil
	}
	at := u64(tail[end-locatorSize+8:])
	if at > uint64(f.Size-end64Size) {
		return d, fault.Bad(f.Name, "the zip's zip64 record would lie beyond the end of the file").
			Hint("the file is damaged: copy or download it again")
	}
	var record [end64Size]byte
	if _, err := f.R.ReadAt(record[:], int64(at)); err != nil && err != io.EOF {
		return d, err
	}
	if string(record[:4]) != "PK\x06\x06" {
		return d, nil
	}
	d64 := directory{
		disk: u32(record[16:]), first: u32(record[20:]), here: u64(record[24:]), count: u64(record[32:]),
		size: u64(record[40:]), offset: u64(record[48:]),
	}
	marked := d.count == math.MaxUint16 || d.here == math.MaxUint16 || d.size == math.MaxUint32 ||
		d.offset == math.MaxUint32
	switch {
	case u64(record[4:]) < end64Size-12 || u32(tail[end-locatorSize+16:]) != 1:
		return d, fault.Bad(f.Name, "the zip's zip64 record is broken").Hint("the file is damaged: copy or download it again")
	case !marked && d != d64:
		return d, fault.Bad(f.Name, "the zip has two end records that differ (%d entries from byte %d on, and %d from "+
			"byte %d on)", d.count, d.offset, d64.count, d64.offset).
			At(int64(at)).Hint("PyTorch and other tools would read two different files: do not trust it, and ask its maker")
	}
	return d64, nil
}

// read takes the first entry off a directory. what says what is wrong with it.
func (e *Entry) read(text []byte, file int64, disk uint32) (n int, what string) {
	if len(text) < entrySize || string(text[:4]) != "PK\x01\x02" {
		return 0, "an entry is missing"
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	name, extra := int(u16(text[28:])), int(u16(text[30:]))
	n = entrySize + name + extra + int(u16(text[32:]))
	if n > len(text) {
		return 0, "an entry is cut short"
	}
	flags, on := u16(text[8:]), uint32(u16(text[34:]))
	e.Name, e.method, e.crc = string(text[entrySize:entrySize+name]), u16(text[10:]), u32(text[16:])
	const folder = 0x10 // of MS-DOS, whatever system wrote it
	e.locked = flags&encrypted != 0 || u32(text[38:])&folder != 0
	if flags&masked != 0 {
		return 0, "it is encrypted"
	}
	if on != disk && on != 1 {
		return 0, "an entry lies in another part"
	}
	packed, size := u32(text[20:]), u32(text[24:])
	if packed != math.MaxUint32 && size != math.MaxUint32 &&
		(e.method == stored && packed != size || size > 0 && packed == 0) {
		return 0, "an entry has two sizes"
	}
	e.Packed, e.Size, e.header = int64(packed), int64(size), int64(u32(text[42:]))
	if !e.wide(text[entrySize+name:][:extra]) {
		return 0, "an entry's zip64 field is broken"
	}
	if e.Packed < 0 || e.Size < 0 || e.header < 0 || e.Packed > file || e.header > file-localSize-e.Packed {
		return 0, "an entry reaches beyond the end of the file"
	}
	if e.method == stored && e.Packed != e.Size {
		return 0, "an entry has two sizes"
	}
	return n, ""
}

// wide reads the fields of an entry that do not fit in 32 bits off its extra fields.
func (e *Entry) wide(extra []byte) bool {
	fields := []*int64{}
	for _, p := range []*int64{&e.Size, &e.Packed, &e.header} {
		if *p == math.MaxUint32 {
			fields = append(fields, p)
		}
	}
	for len(fields) > 0 && len(extra) > 0 {
		if len(extra) < 4 {
			return false
		}
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return false
		}
		if id == 1 {
			if n < 8*len(fields) {
				return false
			}
			for i, p := range fields {
				*p = int64(binary.LittleEndian.Uint64(extra[8*i:]))
			}
			return true
		}
		extra = extra[n:]
	}
	return len(fields) == 0
}

// folded is a name in small letters, those of ASCII alone: so PyTorch compares the names in a zip.
func folded(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// upToZero is a name as C reads it.
func upToZero(name string) string {
	before, _, _ := bytes.Cut([]byte(name), []byte{0})
	return string(before)
}
