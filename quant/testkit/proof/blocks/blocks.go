// Package blocks is a container of blocks, as GGUF has them: the scale, the offset and the codes of a group lie
// together, and so a weight is one tensor, NAME_blocks, of bytes. It stands in no table of Nibble's own; tests add it,
// to show what a new container takes: this folder, a row in the table of containers and one in that of forms. A method
// without offsets has zeros there; one with zero points has no place.
package blocks

import (
	"nibble/quant/container"
	"nibble/quant/container/safetensors"
	"nibble/quant/kernel"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/pack"
	"nibble/quant/plan"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Name is the container's, and its form's.
const Name = "blocks"

// Row is the container's in the table.
var Row = container.Row{
	Name: Name, Extension: safetensors.Extension, Takes: safetensors.Takes, Holds: plane.Has{Offset: true},
	Lay: func(c *model.Model, p *plan.Plan, o layout.Options) (*layout.Output, error) {
		return safetensors.Lay(c, p, own(o))
	},
	Wrote: func(out *model.Model) bool { return safetensors.Wrote(out, Name) },
	Open:  func(out *model.Model) (layout.Opener, error) { return own(layout.Options{}).Open(out) },
}

// Form is its form's in the table of package pack.
var Form = pack.Row{
	Name: Name, Whole: true,
	Bytes:  func(s pack.Spec, n int64) int64 { return n / int64(s.Group) * size(s) },
	Single: func(s pack.Spec) pack.Code[float32] { return code[float32]{s} },
	Double: func(s pack.Spec) pack.Code[float64] { return code[float64]{s} },
}

// size is the bytes of a block.
func size(s pack.Spec) int64 { return 2*s.DType.Size() + int64(s.Group*s.Bits+7)/8 }

func own(o layout.Options) safetensors.Container {
	return safetensors.Container{Name: Name, Options: o, Copies: 2, Pieces: pieces}
}

func pieces(t *tensor.Tensor, s scheme.Scheme, g scheme.Grid, _ safetensors.Note) []layout.Piece {
	spec := pack.Spec{Form: Name, Plane: plane.Codes, DType: tensor.F32, Bits: s.Bits(), Signed: s.Signed(),
		Group: int(g.GroupWidth())}
	if t.DType == tensor.F64 {
		spec.DType = tensor.F64
	}
	return []layout.Piece{{Name: t.Name + "_blocks", DType: tensor.U8, Shape: []int64{g.Rows, spec.Bytes(g.Row())},
		Code: spec}}
}

// code lays groups whole: scale, offset, codes from the lowest bits on.
type code[T kernel.Float] struct{ pack.Spec }

func (c code[T]) Append(dst []byte, t *plane.Tile[T]) []byte {
	for k := range t.Scale {
		dst = append(dst, tensor.Bytes(t.Scale[k:k+1])...)
		offset := []T{0}
		if t.Offset != nil {
			offset = t.Offset[k : k+1]
		}
		dst = append(dst, tensor.Bytes(offset)...)
		codes := t.Codes[k*t.GroupWidth : (k+1)*t.GroupWidth]
		for i := 0; i < len(codes); i += 8 / c.Bits {
			b := codes[i]
			if c.Bits == 4 {
				b &= 15
				if i+1 < len(codes) {
					b |= codes[i+1] << 4
				}
			}
			dst = append(dst, b)
		}
	}
	return dst
}

func (c code[T]) Read(src []byte, t *plane.Tile[T]) bool {
	clean := true
	for k := range t.Scale {
		block, width := src[int64(k)*size(c.Spec):][:size(c.Spec)], int(c.DType.Size())
		copy(tensor.Bytes(t.Scale[k:k+1]), block)
		if t.Offset != nil {
			copy(tensor.Bytes(t.Offset[k:k+1]), block[width:])
		}
		packed, codes := block[2*width:], t.Codes[k*t.GroupWidth:(k+1)*t.GroupWidth]
		for i := range codes {
			if codes[i] = packed[i*c.Bits/8]; c.Bits == 4 {
				codes[i] = packed[i/2] >> (4 * (i & 1)) & 15
				if c.Signed {
					codes[i] = byte(int8(codes[i]<<4) >> 4)
				}
			}
		}
		clean = clean && (c.Bits == 8 || len(codes)%2 == 0 || packed[len(packed)-1] < 16)
	}
	return clean
}
