// Package safetensors reads and writes the safetensors format (specification in the
// README of huggingface/safetensors, reader rules of its Rust library 0.8):
//
//	8 bytes    length N of the header, little-endian
//	N bytes    JSON object: name -> {"dtype", "shape", "data_offsets"}, "__metadata__"
//	the rest   the values, dense, row-major, little-endian, without holes
//
// The reader refuses what the reference reader refuses (too small, header longer
// than 100,000,000 bytes or than the file, bad UTF-8 or JSON, holes, overlaps,
// sizes that do not match shape and dtype, bytes after the end), and doubled names of
// tensors and in __metadata__, which the specification forbids and the reference lets pass.
// Keys of no meaning are skipped, doubled or not. Types of less than a byte (F4, F6) are read where their values fill
// their last byte, as the reference demands.
// Package model calls Read; container/safetensors calls Header.
//
// Only package quant is stable.
package safetensors

import (
	"encoding/binary"
	"encoding/json/jsontext"
	"io"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// MaxHeader is the reference reader's limit, inclusive, in bytes.
const MaxHeader = 100_000_000

// maxDepth is the reference reader's limit on values in values.
const maxDepth = 127

// maxRank is torch's limit, too.
const maxRank = 64

// Match reports whether a file begins like a safetensors file: head is its first
// bytes (16 at least, or the whole file).
func Match(head []byte, size int64) bool {
	if len(head) < 9 {
		return false
	}
	n := binary.LittleEndian.Uint64(head)
	return n >= 2 && n <= MaxHeader && strings.HasPrefix(strings.TrimLeft(string(head[8:]), " \t\r\n"), "{")
}

// Contents is what a header says.
type Contents struct {
	Tensors  []tensor.Tensor // in the header's order
	Metadata map[string]string
}

// Read parses the header of f. It reads no values.
func Read(f *tensor.File) (*Contents, error) {
	if f.Size < 8 {
		return nil, fault.Bad(f.Name, "a safetensors file has at least 8 bytes, this one has %d", f.Size).
			Hint("the file is cut short: copy or download it again")
	}
	var head [8]byte
	if _, err := f.R.ReadAt(head[:], 0); err != nil && err != io.EOF {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > MaxHeader {
		return nil, fault.Bad(f.Name, "the header claims %d bytes, more than the %d that safetensors allows", n, MaxHeader).
			At(0).
			Hint("the file is damaged or not safetensors at all")
	}
	if 8+int64(n) > f.Size {
		return nil, fault.Bad(f.Name, "the header claims %d bytes, the file has %d", n, f.Size).At(0).
			Hint("the file is cut short: copy or download it again")
	}
	many, err := count(io.NewSectionReader(f.R, 8, int64(n)), int64(n))
	if err != nil {
		return nil, err
	}
	text := &texts{file: f, what: "header", r: io.NewSectionReader(f.R, 8, int64(n)), at: 8}
	h := &header{file: f, data: 8 + int64(n), dec: jsontext.NewDecoder(text, jsontext.AllowDuplicateNames(true))}
	h.out.Tensors = make([]tensor.Tensor, 0, many)
	if err := h.read(); err != nil {
		return nil, err
	}
	return &h.out, h.layout()
}
