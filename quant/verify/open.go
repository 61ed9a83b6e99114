package verify

import (
	"bytes"
	"fmt"
	"slices"

	"nibble/quant/layout"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// storedWeight is one quantized weight of the output, with its pieces found and their shapes checked.
type storedWeight struct {
	*layout.Stored
	found []*tensor.Tensor // of each piece
}

// findPieces finds what a stored weight must have, and says in Problem what is not as it must be.
func (v *verifier) findPieces(s *layout.Stored) (*storedWeight, error) {
	q := &storedWeight{Stored: s}
	for i := range s.Pieces {
		p := &s.Pieces[i]
		t := partOf(v.find(p.Name), p)
		q.found = append(q.found, t)
		switch {
		case s.Problem != "":
		case t == nil:
			s.Problem = fmt.Sprintf("its %s is missing", p.Name)
		case t.DType != p.DType || !slices.Equal(t.Shape, p.Shape):
			s.Problem = fmt.Sprintf("its %s is %s %v, not %s %v", p.Name, t.DType, t.Shape, p.DType, p.Shape)
		case p.Literal != nil:
			raw, err := v.small(t)
			if err != nil {
				return nil, err
			}
			if !bytes.Equal(raw, p.Literal) {
				s.Problem = fmt.Sprintf("its %s is %x, not %x", p.Name, raw, p.Literal)
			}
		}
	}
	return q, nil
}

// partOf is the part of a stack that a piece is; the tensor itself where it is no stack, or not this one.
func partOf(t *tensor.Tensor, p *layout.Piece) *tensor.Tensor {
	if t == nil || p.Parts == 0 || t.DType != p.DType || !slices.Equal(t.Shape, p.Tensor()) {
		return t
	}
	part := *t
	part.Shape, part.Strides = t.Shape[1:], t.Strides[1:]
	part.Offset += p.Part * p.Bytes()
	return &part
}

// small reads a tensor whose few values are known.
func (v *verifier) small(t *tensor.Tensor) ([]byte, error) {
	raw := tensor.Buffer(nil, int(t.Bytes()))
	row := *t
	row.Shape, row.Strides = []int64{1, t.Elements()}, []int64{t.Elements(), 1}
	if len(t.Strides) == 1 {
		row.Strides[1] = t.Strides[0]
	}
	err := tile.Whole(&row, 0, 1).Read(&row, raw, v.limits)
	return raw, err
}
