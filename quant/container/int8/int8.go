// Package int8 is the container of one code a byte, for readers that know no packed codes: in a safetensors file, NAME
// holds the codes (I8 or U8), with NAME_scale and, where the scheme has one, NAME_zero_point. With the high nibble
// "zero", 4-bit codes keep only their low 4 bits and are U8.
//
// Only package quant is stable.
package int8

import (
	_ "embed"

	"nibble/quant/container/safetensors"
	"nibble/quant/fault"
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
const Name = "int8"

// What the high nibble of a byte with a 4-bit code is.
const (
	Sign = "sign"
	Zero = "zero"
)

func container(o layout.Options) safetensors.Container {
	k := safetensors.Container{ // a name with code, scale and scheme
		Name: Name, Options: o, Copies: 3, Pieces: piecesOf,
		Sound: func(n safetensors.Note) bool { return n.HighNibble == Zero },
	}
	if o.HighNibble == Zero {
		k.Note = func(s scheme.Scheme, n *safetensors.Note) {
			if s.Bits() == 4 {
				n.HighNibble = Zero
			}
		}
	}
	return k
}

// Lay lays out a model.
func Lay(c *model.Model, p *plan.Plan, o layout.Options) (*layout.Output, error) {
	if o.HighNibble != "" && o.HighNibble != Sign && o.HighNibble != Zero {
		return nil, fault.Not("", "high nibble is %q", o.HighNibble).Hint("use %s or %s", Sign, Zero)
	}
	return safetensors.Lay(c, p, container(o))
}

// piecesOf are those of a weight.
func piecesOf(t *tensor.Tensor, s scheme.Scheme, g scheme.Grid, n safetensors.Note) []layout.Piece {
	integer := tensor.U8
	if s.Signed() {
		integer = tensor.I8
	}
	code, form := integer, pack.Bytes
	if n.HighNibble == Zero && s.Bits() == 4 {
		code, form = tensor.U8, pack.Nibbles
	}
	shape, float := g.ScaleShape(len(t.Shape)), t.DType.Arithmetic()
	pieces := []layout.Piece{
		{Name: t.Name, DType: code, Shape: t.Shape,
			Code: pack.Spec{Form: form, Plane: plane.Codes, Bits: s.Bits(), Signed: s.Signed()}},
		{Name: t.Name + "_scale", DType: float, Shape: shape,
			Code: pack.Spec{Form: pack.Floats, Plane: plane.Scale, DType: float}},
	}
	if method.Planes(s).ZeroPoint {
		pieces = append(pieces, layout.Piece{Name: t.Name + "_zero_point", DType: integer, Shape: shape,
			Code: pack.Spec{Form: pack.Bytes, Plane: plane.ZeroPoint, Bits: s.Bits(), Signed: s.Signed()}})
	}
	return pieces
}

//go:embed int8.py
var own string

// Python makes of a file, or a folder of shards, what coremltools knows, as lines of Python.
func Python(folder bool) string { return safetensors.Python(folder, own) }

// Wrote reports whether an opened file says that it is one of this container.
func Wrote(out *model.Model) bool { return safetensors.Wrote(out, Name) }

// Open finds the quantized weights of an opened file.
func Open(out *model.Model) (layout.Opener, error) {
	return container(layout.Options{}).Open(out)
}
