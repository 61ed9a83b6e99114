package container

import (
	"encoding/json"
	"io"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/plan"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// layoutInt8 is the 8-bit container: NAME holds one code a byte (I8 or U8), with
// NAME_scale and, where the scheme has one, NAME_zero_point. With HighNibble "zero"
// 4-bit codes keep only their low 4 bits and are U8.
func layoutInt8(p *plan.Plan, o Options) (*Layout, error) {
	if o.HighNibble != "" && o.HighNibble != "sign" && o.HighNibble != "zero" {
		return nil, fault.Not("", "high nibble is %q", o.HighNibble).Hint("use sign or zero")
	}
	if err := roomForNames(p, "int8", 3, safetensors.MaxHeader); err != nil { // code, scale, scheme
		return nil, err
	}
	groups := groupsOf(p, func(e *plan.Entry) []Piece {
		t := e.Tensor
		code, content := tensor.U8, Codes
		if e.Scheme.Signed() {
			code = tensor.I8
		}
		zp := code
		if o.HighNibble == "zero" && e.Scheme.Bits() == 4 {
			code, content = tensor.U8, NibbleCodes
		}
		shape := e.Grid.ScaleShape(len(t.Shape))
		pieces := []Piece{
			{Name: t.Name, DType: code, Shape: t.Shape, Content: content},
			{Name: t.Name + "_scale", DType: t.DType.Arithmetic(), Shape: shape, Content: Scale},
		}
		if e.Scheme.HasZeroPoint() {
			pieces = append(pieces, Piece{Name: t.Name + "_zero_point", DType: zp, Shape: shape, Content: ZeroPoint})
		}
		return pieces
	})
	o.To = "int8"
	return layoutSafetensors(p, o, groups)
}

// layoutPacked is compressed-tensors' pack-quantized: two codes a byte as I32 words,
// rows on axis 0, unsigned (signed codes and zero points + 8), names NAME_packed,
// NAME_scale, NAME_shape, NAME_zero_point. 8-bit codes pack four a word, + 128.
// A weight of rank above 2 is packed as its [out, rest] view.
func layoutPacked(p *plan.Plan, o Options) (*Layout, error) {
	if err := roomForNames(p, "packed", 4, safetensors.MaxHeader); err != nil { // code, scale, shape, scheme
		return nil, err
	}
	groups := groupsOf(p, func(e *plan.Entry) []Piece {
		t := e.Tensor
		per := int64(32 / e.Scheme.Bits()) // codes a word
		g := e.Grid
		pieces := []Piece{
			{Name: t.Name + "_packed", DType: tensor.I32, Shape: []int64{g.Rows, (g.Row() + per - 1) / per}, Content: Packed},
			{Name: t.Name + "_scale", DType: t.DType.Arithmetic(), Shape: []int64{g.Rows, g.Across()}, Content: RowScale},
		}
		if e.Scheme.HasZeroPoint() {
			pieces = append(pieces, Piece{Name: t.Name + "_zero_point", DType: tensor.I32,
				Shape: []int64{(g.Rows + per - 1) / per, g.Across()}, Content: PackedZeroPoint})
		}
		shape := Piece{Name: t.Name + "_shape", DType: tensor.I64, Shape: []int64{int64(len(t.Shape))}, Content: Literal,
			Literal: tensor.Bytes(append([]int64(nil), t.Shape...))}
		return append(pieces, shape)
	})
	o.To = "packed"
	return layoutSafetensors(p, o, groups)
}

// groupsOf makes the pieces of every entry: the tensor itself where it is kept.
func groupsOf(p *plan.Plan, quantized func(e *plan.Entry) []Piece) [][]Piece {
	groups := make([][]Piece, len(p.Entries))
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize {
			groups[i] = quantized(e)
		} else {
			groups[i] = kept(e.Tensor)
		}
	}
	return groups
}

// layoutSafetensors orders the pieces. safetensors has no room for padding, yet real
// readers view the values in place, so each piece must begin at a multiple of its
// element size. Tensors whose pieces keep that when laid one after the other stay
// together, in source order; the few others go last, piece by piece, widest elements
// first, at the price of reading their weights more than once.
func layoutSafetensors(p *plan.Plan, o Options, groups [][]Piece) (*Layout, error) {
	var literals, together, apart []Run
	for i, g := range groups {
		var rest []Piece
		for _, piece := range g {
			if piece.Content == Literal {
				literals = append(literals, Run{-1, []Piece{piece}}) // all are I64
			} else {
				rest = append(rest, piece)
			}
		}
		if aligned(rest) {
			together = append(together, Run{i, rest})
			continue
		}
		for _, piece := range rest {
			apart = append(apart, Run{i, []Piece{piece}})
		}
	}
	runs := append(literals, together...)
	for _, width := range []int64{8, 4, 2, 1} {
		for _, r := range apart {
			if r.Pieces[0].DType.Size() == width {
				runs = append(runs, r)
			}
		}
	}
	l := &Layout{Runs: runs}
	if err := unique(inputName(p), runs, true); err != nil {
		return nil, err
	}
	meta, err := metadata(p, o)
	if err != nil {
		return nil, err
	}
	var items []safetensors.Item
	for _, r := range runs {
		for i := range r.Pieces {
			piece := &r.Pieces[i]
			items = append(items, safetensors.Item{Name: piece.Name, DType: piece.DType, Shape: piece.Shape})
			l.Names = append(l.Names, piece.Name)
			l.Bytes += piece.Bytes()
		}
	}
	header := safetensors.Header(items, meta)
	if err := safetensors.Unreadable(header, items, meta); err != nil {
		return nil, WayOut(err, p, o.To)
	}
	l.Bytes += int64(len(header))
	l.start = func(w io.Writer) (Writer, error) {
		_, err := w.Write(header)
		return plainWriter{w}, err
	}
	return l, nil
}

// aligned reports whether pieces laid from a multiple of 8 on are each aligned and
// end at a multiple of 8.
func aligned(pieces []Piece) bool {
	at := int64(0)
	for i := range pieces {
		if at%pieces[i].DType.Size() != 0 {
			return false
		}
		at += pieces[i].Bytes()
	}
	return at%8 == 0
}

// plainWriter writes pieces one after the other.
type plainWriter struct{ w io.Writer }

func (p plainWriter) Next(*Piece) (io.Writer, error) { return p.w, nil }
func (p plainWriter) Close() error                   { return nil }

// SchemeNote is how __metadata__ tells what each quantized tensor went through.
type SchemeNote struct {
	WeightDType string  `json:"weight_dtype"`
	Mode        string  `json:"quantization_scheme"`
	ScaleShape  []int64 `json:"scale_shape"`           // number of blocks on each axis of the source
	HighNibble  string  `json:"high_nibble,omitempty"` // "zero" when the high 4 bits were cleared
}

// Keys of __metadata__ that Nibble writes beside "format".
const (
	MetaVersion   = "nibble"
	MetaContainer = "nibble.container"
	MetaRecipe    = "nibble.recipe"
	MetaSchemes   = "nibble.schemes" // JSON: source name -> SchemeNote
	MetaOptions   = "nibble.options" // JSON: plan.Asked, where something was asked for beyond the recipe
)

func metadata(p *plan.Plan, o Options) (map[string]string, error) {
	schemes := map[string]SchemeNote{}
	for _, e := range p.Entries {
		if e.Quantize {
			note := SchemeNote{WeightDType: string(e.Scheme.WeightDType), Mode: string(e.Scheme.Mode), ScaleShape: e.Grid.ScaleShape(len(e.Tensor.Shape))}
			if o.To == "int8" && o.HighNibble == "zero" && e.Scheme.Bits() == 4 {
				note.HighNibble = "zero"
			}
			schemes[e.Tensor.Name] = note
		}
	}
	text, err := json.Marshal(schemes)
	if err != nil {
		return nil, err
	}
	recipe, _ := p.Export() // one that coremltools follows to the same result
	meta := map[string]string{
		"format":      "pt",
		MetaVersion:   o.Version,
		MetaContainer: o.To,
		MetaRecipe:    string(recipe.Source),
		MetaSchemes:   string(text),
	}
	if asked := p.Options.Asked(); !asked.Nothing() {
		text, err := json.Marshal(asked)
		if err != nil {
			return nil, err
		}
		meta[MetaOptions] = string(text)
	}
	return meta, nil
}

// Parse reads a note back, for verify.
func (n SchemeNote) Parse() scheme.Scheme {
	return scheme.Scheme{WeightDType: scheme.WeightDType(n.WeightDType), Mode: scheme.Mode(n.Mode)}
}
