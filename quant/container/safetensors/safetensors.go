// Package safetensors is what the containers in safetensors files share: the order of the pieces, the header, and what
// __metadata__ says of the recipe and of each quantized weight. A container gives it the pieces of a weight, and opens
// them again by the same function.
//
// safetensors has no room for padding, yet real readers view the values in place, so each piece must begin at a
// multiple of its element size. Tensors whose pieces keep that when laid one after the other stay together, in source
// order; the few others go last, piece by piece, widest elements first, at the price of reading their weights more
// than once.
//
// Only package quant is stable.
package safetensors

import (
	"cmp"
	_ "embed"
	"slices"
	"strings"

	"nibble/quant/container/folder"
	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Extension of the files, one or shards.
const Extension = ".safetensors"

// Container is what one of these containers says of itself.
type Container struct {
	Name    string
	Options layout.Options
	Copies  int // how often a quantized weight's name is written at least
	// Pieces are those of a quantized weight; the first carries its codes.
	Pieces func(t *tensor.Tensor, s scheme.Scheme, g scheme.Grid, n Note) []layout.Piece
	// Kept is the one piece of a tensor that is kept, or none of one that is said otherwise; nil where it is the tensor
	// under its own name.
	Kept func(t *tensor.Tensor) []layout.Piece
	// Sound reports whether what a note says beyond its scheme can be; nil where nothing can be said.
	Sound func(n Note) bool
	// Note completes what is said of a weight; nil where there is nothing to add.
	Note func(s scheme.Scheme, n *Note)
	// Config is the text of a folder's config.json; nil where that is copied.
	Config  func(c *model.Model, p *plan.Plan) ([]byte, error)
	Format  string // what __metadata__ says under "format"; "" is "pt"
	OneName bool   // the one file of a folder is called model, whatever the source is
}

// Lay lays out a model.
func Lay(c *model.Model, p *plan.Plan, k Container) (*layout.Output, error) {
	return folder.Lay(c, p, folder.Container{
		Name: k.Name, Stem: "model", OneName: k.OneName, Extension: Extension, Options: k.Options, Config: k.Config,
		File: func(p *plan.Plan) (layout.File, error) { return k.file(p) },
	})
}

// file is one file.
func (k *Container) file(p *plan.Plan) (f layout.File, err error) {
	if err := layout.RoomForNames(p, k.Options.Instead, k.Copies, safetensors.MaxHeader); err != nil {
		return f, err
	}
	pieces := make([][]layout.Piece, len(p.Entries))
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			pieces[i] = k.Pieces(e.Tensor, e.Scheme, e.Grid, k.note(e))
		} else {
			pieces[i] = k.kept(e.Tensor)
		}
	}
	f.Sections = ordered(pieces)
	if err := layout.Unique(layout.InputName(p), f.Sections); err != nil {
		return f, err
	}
	meta, err := k.metadata(p)
	if err != nil {
		return f, err
	}
	var items []safetensors.Item
	for _, s := range f.Sections {
		for i := range s.Pieces {
			piece := &s.Pieces[i]
			if f.Bytes += piece.Bytes(); piece.Part > 0 {
				continue // the first has said it
			}
			items = append(items, safetensors.Item{Name: piece.Name, DType: piece.DType, Shape: piece.Tensor()})
			f.Names = append(f.Names, piece.Name)
		}
	}
	header := safetensors.Header(items, meta)
	if err := safetensors.Unreadable(header, items, meta); err != nil {
		return f, layout.WayOut(err, p, k.Options.Instead)
	}
	f.Bytes += int64(len(header))
	f.Sections = append([]layout.Section{{Literal: header}}, f.Sections...)
	return f, nil
}

// kept is the one piece of a tensor that is not quantized, or none.
func (k *Container) kept(t *tensor.Tensor) []layout.Piece {
	if k.Kept != nil {
		return k.Kept(t)
	}
	return layout.Kept(t)
}

// ordered makes sections of the pieces of each entry: what is known first, then what lies together, then the rest, of
// which the parts of a stack lie one after the other.
func ordered(entries [][]layout.Piece) []layout.Section {
	var literals, together, apart []layout.Section
	for i, pieces := range entries {
		var rest []layout.Piece
		for _, piece := range pieces {
			if piece.Literal != nil {
				literals = append(literals, layout.Section{Pieces: []layout.Piece{piece}}) // all are I64
			} else {
				rest = append(rest, piece)
			}
		}
		if len(rest) == 0 {
			continue
		}
		if rest[0].Parts == 0 && aligned(rest) {
			together = append(together, layout.Section{Made: true, Entry: i, Pieces: rest})
			continue
		}
		for _, piece := range rest {
			apart = append(apart, layout.Section{Made: true, Entry: i, Pieces: []layout.Piece{piece}})
		}
	}
	slices.SortStableFunc(apart, func(a, b layout.Section) int {
		x, y := &a.Pieces[0], &b.Pieces[0]
		if x.Parts == 0 || y.Parts == 0 {
			return cmp.Compare(min(x.Parts, 1), min(y.Parts, 1))
		}
		return cmp.Or(strings.Compare(x.Name, y.Name), cmp.Compare(x.Part, y.Part))
	})
	sections := append(literals, together...)
	for _, width := range []int64{8, 4, 2, 1} {
		for _, s := range apart {
			if s.Pieces[0].DType.Align() == width {
				sections = append(sections, s)
			}
		}
	}
	return sections
}

// aligned reports whether pieces laid from a multiple of 8 on are each aligned and end at a multiple of 8.
func aligned(pieces []layout.Piece) bool {
	at := int64(0)
	for i := range pieces {
		if at%pieces[i].DType.Align() != 0 {
			return false
		}
		at += pieces[i].Bytes()
	}
	return at%8 == 0
}

var (
	//go:embed file.py
	fromFile string
	//go:embed folder.py
	fromFolder string
	//go:embed per_weight.py
	perWeight string
)

// Python reads a file, or a folder of shards, as lines of Python; own are the container's.
func Python(folder bool, own string) string {
	head := fromFile
	if folder {
		head = fromFolder
	}
	return head + "\n\n" + perWeight + "\n\n" + own
}

// reserved is a name that no tensor of a safetensors file can have.
const reserved = "__metadata__"

// Takes says why no file can hold a model; nil where one can.
func Takes(c *model.Model) *fault.Error {
	for i := range c.State.Tensors {
		if t := &c.State.Tensors[i]; t.Name == reserved {
			return fault.Not(t.Storage.FileName(), "safetensors keeps this name for itself").In(t.Name).
				Code(fault.Reserved).Hint("rename it in the source, or choose another container")
		}
	}
	return nil
}
