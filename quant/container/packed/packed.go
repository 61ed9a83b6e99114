// Package packed is compressed-tensors' pack-quantized (0.15): in a safetensors file, two codes a byte as I32 words,
// rows on axis 0, unsigned (signed codes and zero points + 8), names NAME_packed, NAME_scale, NAME_shape,
// NAME_zero_point. 8-bit codes pack four a word, + 128. Zero points are packed down the rows. A weight of rank above 2
// is packed as its [out, rest] view. Each row has scales of its own, so that those of blocks of several rows are
// repeated. Scales have the weight's dtype, bfloat16 included: who reads such a file would round them.
//
// In a folder, config.json says by its quantization_config what compressed-tensors makes of that, in Transformers (4.57
// and 5.24) and in vLLM (0.32). They read torch's Linears alone; what else a config quantizes is warned about.
//
// Only package quant is stable.
package packed

import (
	_ "embed"

	"nibble/quant/container/safetensors"
	"nibble/quant/format/huggingface"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/model"
	"nibble/quant/pack"
	"nibble/quant/plan"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Name is the container's in the table.
const Name = "packed"

// Held is what it asks of the numbers that it holds.
var Held = scheme.Held{NarrowScales: true}

// container is the container; Transformers looks for the one file of a folder under one name.
func container(o layout.Options, oneName bool) safetensors.Container {
	return safetensors.Container{
		Name: Name, Options: o, Copies: 4, Pieces: piecesOf, // a name with code, scale, shape and scheme
		Config: config, OneName: oneName,
	}
}

// Lay lays out a model.
func Lay(c *model.Model, p *plan.Plan, o layout.Options) (*layout.Output, error) {
	out, err := safetensors.Lay(c, p, container(o, c.Config.Architecture() != ""))
	switch {
	case err != nil:
	case c.Config != nil:
		out.Warnings = warnings(p)
	case c.NoConfig != nil:
		text := "config.json cannot be read, and is copied as it is: Transformers and vLLM do not find the weights in " +
			"this folder"
		out.Warnings = []layout.Warning{{About: layout.NoConfig, Text: text, Names: []string{huggingface.ConfigName}}}
	}
	return out, err
}

// piecesOf are those of a weight.
func piecesOf(t *tensor.Tensor, s scheme.Scheme, g scheme.Grid, _ safetensors.Note) []layout.Piece {
	words := pack.Spec{Form: pack.Words, Plane: plane.Codes, Bits: s.Bits(), Signed: s.Signed()}
	points := pack.Spec{Form: pack.Columns, Plane: plane.ZeroPoint, Bits: s.Bits(), Signed: s.Signed(), PerRow: true}
	float := t.DType.Arithmetic()
	if s.NarrowScales {
		float = t.DType
	}
	pieces := []layout.Piece{
		{Name: t.Name + "_packed", DType: tensor.I32, Shape: []int64{g.Rows, words.Bytes(g.Row()) / 4}, Code: words},
		{Name: t.Name + "_scale", DType: float, Shape: []int64{g.Rows, g.Across()},
			Code: pack.Spec{Form: pack.Floats, Plane: plane.Scale, DType: float, PerRow: true}},
	}
	if method.Planes(s).ZeroPoint {
		shape := []int64{(g.Rows + points.Rows() - 1) / points.Rows(), g.Across()}
		pieces = append(pieces, layout.Piece{Name: t.Name + "_zero_point", DType: tensor.I32, Shape: shape, Code: points})
	}
	return append(pieces, layout.Piece{Name: t.Name + "_shape", DType: tensor.I64, Shape: []int64{int64(len(t.Shape))},
		Literal: tensor.Bytes(append([]int64(nil), t.Shape...))})
}

//go:embed packed.py
var own string

// Python makes of a file, or a folder of shards, what coremltools knows, as lines of Python.
func Python(folder bool) string { return safetensors.Python(folder, own) }

// Wrote reports whether an opened file says that it is one of this container.
func Wrote(out *model.Model) bool { return safetensors.Wrote(out, Name) }

// Open finds the quantized weights of an opened file.
func Open(out *model.Model) (layout.Opener, error) {
	return container(layout.Options{}, false).Open(out)
}
