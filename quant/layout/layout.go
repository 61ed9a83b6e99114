// Package layout is the nouns of an output before a byte of it is written: files of sections, sections of pieces. A
// container makes an Output from a plan, with every offset and size in it; the executor (convert) fills it forward
// only, and verify asks a container for the pieces that an output should hold. What is said here of one is true of
// all containers: one file, shards with their index, a package of files are the same thing to everybody else.
//
// A section is bytes that are known, a range of a source file, or pieces made of one entry of the plan. Of those the
// first is streamed tile by tile while the small ones that follow (scales, zero points) are held until their turn. A
// piece says by its code how it is filled; nothing is decided here and no weights are read.
//
// Only package quant is stable.
package layout

import (
	"io"

	"nibble/quant/pack"
	"nibble/quant/tensor"
)

// Options choose a container, and what it asks for beyond the recipe.
type Options struct {
	To         string // name in the table of containers; "" is the default
	HighNibble string // "sign" (default) or "zero"; only for containers of one code a byte
	Version    string // of Nibble, for the metadata
	Some       bool   // the plan has some tensors of a model, to be measured; nothing is written

	Instead string // what could be chosen where an output could not be opened again, to end a sentence; or ""
	Tied    string // what could be chosen where a weight has many names
}

// Output is all files that a conversion writes.
type Output struct {
	Container string
	AsLarge   bool // it holds weights as floats, beside their scales, and so makes nothing smaller
	Folder    bool // Files lie in a folder; else there is one, whose name is the user's
	Files     []File
	Bytes     int64   // of all files
	Weights   int64   // bytes of the files that hold tensors
	EntryOut  []int64 // bytes that each entry of the plan takes
	Warnings  []Warning
}

// File is one file of an output.
type File struct {
	Name     string // in the folder; "" where the user names it
	Format   string // of a file with tensors, its container; "" for small files beside them
	Bytes    int64
	Sections []Section
	Names    []string // of the tensors in it
	Frame    Frame
}

// Frame begins a file whose pieces do not simply lie one after the other, such as a zip, which gives each an entry.
// It is nil for files that are their sections.
type Frame func(w io.Writer) (Writer, error)

// Writer takes the pieces of a file in the layout's order.
type Writer interface {
	// Next begins a piece; exactly its Bytes are written before the next call.
	Next(p *Piece) (io.Writer, error)
	// Close ends the file, without closing what lies below.
	Close() error
}

// Section is a stretch of a file: one of Literal, Source and Pieces is set.
type Section struct {
	Literal []byte
	Source  *tensor.Tensor // a copied range of a source file, as bytes
	Pieces  []Piece
	Made    bool // the pieces are made of an entry of the plan; else their bytes are known
	Entry   int  // its index, valid when Made
}

// Piece is one tensor of the output.
type Piece struct {
	Name    string
	DType   tensor.Type
	Shape   []int64
	Code    pack.Spec // how a quantized weight fills it; zero for a tensor that is kept, and for Literal
	Literal []byte    // bytes that are known

	// A tensor of the output may be a stack of pieces, one after the other, each made of an entry of its own: this is
	// number Part of so many, and Shape is its own. Parts is 0 for a piece that is a tensor by itself.
	Part, Parts int64
}

// Tensor is the shape of the tensor that the piece is, or is a part of.
func (p *Piece) Tensor() []int64 {
	if p.Parts == 0 {
		return p.Shape
	}
	return append([]int64{p.Parts}, p.Shape...)
}

// Bytes is the piece's size in the file.
func (p *Piece) Bytes() int64 {
	n, _ := tensor.Elements(p.Shape)
	n, _ = p.DType.Bytes(n)
	return n
}

// Kept is the one piece of a tensor that is not quantized.
func Kept(t *tensor.Tensor) []Piece { return []Piece{{Name: t.Name, DType: t.DType, Shape: t.Shape}} }

// Whole is the section of all of a source file.
func Whole(f *tensor.File) Section {
	return Section{Source: &tensor.Tensor{
		Name: f.Name, DType: tensor.U8, Shape: []int64{f.Size}, Strides: []int64{1},
		Storage: tensor.Storage{File: f, End: f.Size},
	}}
}

// Add puts a file into the output, whose tensors are those of some entries of the plan.
func (o *Output) Add(f File, entries []int) {
	o.Bytes += f.Bytes
	if f.Format != "" {
		o.Weights += f.Bytes
	}
	for i := range f.Sections {
		s := &f.Sections[i]
		if !s.Made {
			continue
		}
		if entries != nil {
			s.Entry = entries[s.Entry]
		}
		for k := range s.Pieces {
			o.EntryOut[s.Entry] += s.Pieces[k].Bytes()
		}
	}
	o.Files = append(o.Files, f)
}
