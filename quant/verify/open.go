package verify

import (
	"encoding/json"
	"fmt"
	"slices"

	"nibble/quant/checkpoint"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// form is how an output holds a quantized weight.
type form uint8

const (
	codes       form = iota // one a byte
	lowNibbles              // one a byte, high 4 bits zero
	packedWords             // in 32-bit words, each row its own, with scales for each row
	floats                  // dequantized
)

// quantized is one quantized tensor of the output, its parts found and their shapes checked.
type quantized struct {
	problem string          // "" when there is none so far
	schemes []scheme.Scheme // that may have made it: the one that the output names, or all that its parts allow
	grid    scheme.Grid
	form    form
	weights *tensor.Tensor // codes, words or floats
	scales  *tensor.Tensor
	points  *tensor.Tensor // nil without zero points
}

func broken(format string, args ...any) *quantized {
	return &quantized{problem: fmt.Sprintf(format, args...)}
}

// words is how many 32-bit words n codes fill.
func words(n int64, s scheme.Scheme) int64 { return (n*int64(s.Bits()) + 31) / 32 }

// fit checks the parts against the source, whose blocks are as many on each axis as blocks says.
func (q *quantized) fit(src *tensor.Tensor, blocks []int64) *quantized {
	s := q.schemes[0]
	if !slices.Contains(known, s.WeightDType) || s.Mode != scheme.Symmetric && s.Mode != scheme.Affine {
		return broken("it was made by %q %q, which Nibble does not know", s.WeightDType, s.Mode)
	}
	if len(src.Shape) < 2 || src.Elements() == 0 || !src.DType.Weight() {
		return broken("was quantized although it is no matrix of weights")
	}
	if len(blocks) != len(src.Shape) || slices.ContainsFunc(blocks[2:], func(n int64) bool { return n != 1 }) ||
		blocks[0] <= 0 || blocks[1] <= 0 || src.Shape[0]%blocks[0] != 0 || src.Shape[1]%blocks[1] != 0 {
		return broken("scales of shape %v do not divide a weight of shape %v", blocks, src.Shape)
	}
	rows, cols := src.Shape[0], src.Shape[1]
	q.grid = scheme.Grid{Rows: rows, Cols: cols, Inner: src.Elements() / rows / cols, BlockRows: rows / blocks[0], BlockCols: cols / blocks[1]}
	if (q.points != nil) != s.HasZeroPoint() {
		return broken("its scheme is %s %s, and zero points are there: %v", s.WeightDType, s.Mode, q.points != nil)
	}
	weights, points, scales := codeType(s), codeType(s), blocks
	shape, pointShape := src.Shape, blocks
	switch q.form {
	case lowNibbles:
		weights = tensor.U8
	case floats:
		weights = src.DType
	case packedWords:
		weights, points = tensor.I32, tensor.I32
		shape, scales = []int64{rows, words(q.grid.Row(), s)}, []int64{rows, q.grid.Across()}
		pointShape = []int64{words(rows, s), q.grid.Across()}
	}
	for _, p := range []struct {
		what  string
		is    *tensor.Tensor
		dtype tensor.DType
		shape []int64
	}{{"weights", q.weights, weights, shape}, {"scales", q.scales, src.DType.Arithmetic(), scales}, {"zero points", q.points, points, pointShape}} {
		if p.is != nil && (p.is.DType != p.dtype || !slices.Equal(p.is.Shape, p.shape)) {
			return broken("its %s are %s %v, not %s %v", p.what, p.is.DType, p.is.Shape, p.dtype, p.shape)
		}
	}
	return q
}

var known = []scheme.WeightDType{scheme.Int4, scheme.Uint4, scheme.Int8, scheme.Uint8}

// codeType is the dtype of codes and zero points, one a byte.
func codeType(s scheme.Scheme) tensor.DType {
	if s.Signed() {
		return tensor.I8
	}
	return tensor.U8
}

// readNotes reads what the output says of its quantized tensors, shard by shard.
func readNotes(out *checkpoint.Checkpoint) (map[string]container.SchemeNote, error) {
	notes := map[string]container.SchemeNote{}
	for i, meta := range out.Metadata {
		if err := json.Unmarshal([]byte(meta[container.MetaSchemes]), &notes); err != nil {
			return nil, fault.Bad(out.Files[i].Name, "its %s entry is broken (%v)", container.MetaSchemes, err)
		}
	}
	return notes, nil
}

// int8 opens NAME, NAME_scale, NAME_zero_point.
func (v *verifier) int8(src *tensor.Tensor, notes map[string]container.SchemeNote) (*quantized, error) {
	note, ok := notes[src.Name]
	if !ok {
		return nil, nil
	}
	q := &quantized{
		schemes: []scheme.Scheme{note.Parse()}, weights: v.find(src.Name),
		scales: v.find(src.Name + "_scale"), points: v.find(src.Name + "_zero_point"),
	}
	if q.weights == nil || q.scales == nil {
		return broken("its codes or scales are missing"), nil
	}
	switch {
	case note.HighNibble == "zero" && q.schemes[0].Bits() == 4:
		q.form = lowNibbles
	case note.HighNibble != "":
		return broken("its high nibbles are %q", note.HighNibble), nil
	}
	return q.fit(src, note.ScaleShape), nil
}

// packed opens NAME_packed, NAME_scale, NAME_shape, NAME_zero_point.
func (v *verifier) packed(src *tensor.Tensor, notes map[string]container.SchemeNote) (*quantized, error) {
	note, ok := notes[src.Name]
	if !ok {
		return nil, nil
	}
	q := &quantized{
		schemes: []scheme.Scheme{note.Parse()}, form: packedWords, weights: v.find(src.Name + "_packed"),
		scales: v.find(src.Name + "_scale"), points: v.find(src.Name + "_zero_point"),
	}
	shape := v.find(src.Name + "_shape")
	if q.weights == nil || q.scales == nil || shape == nil {
		return broken("its packed codes, scales or shape are missing"), nil
	}
	if shape.DType != tensor.I64 || len(shape.Shape) != 1 || shape.Shape[0] != int64(len(src.Shape)) {
		return broken("its shape is recorded as %s %v", shape.DType, shape.Shape), nil
	}
	recorded, err := v.numbers(shape)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(recorded, src.Shape) {
		return broken("its shape is recorded as %v", recorded), nil
	}
	return q.fit(src, note.ScaleShape), nil
}

// numbers reads a small tensor of integers.
func (v *verifier) numbers(t *tensor.Tensor) ([]int64, error) {
	raw := tensor.Buffer(nil, int(t.Bytes()))
	row := *t
	row.Shape, row.Strides = []int64{1, t.Elements()}, []int64{t.Elements(), 1}
	err := tile.Tile{Rows: 1}.Read(&row, raw, v.limits)
	return tensor.View[int64](raw), err
}

// coreml opens the _COREML_ buffers; the weights themselves are floats.
func (v *verifier) coreml(src *tensor.Tensor) (*quantized, error) {
	at := 0
	for i := range src.Name {
		if src.Name[i] == '.' {
			at = i + 1
		}
	}
	field := func(name string) *tensor.Tensor {
		return v.find(src.Name[:at] + container.Prefix + src.Name[at:] + "/" + name)
	}
	bits, kind := field(container.FieldBits), field(container.FieldType)
	q := &quantized{form: floats, scales: field(container.FieldScale), points: field(container.FieldZeroPoint)}
	if bits == nil && kind == nil && q.scales == nil && q.points == nil {
		return nil, nil
	}
	q.weights = v.find(src.Name)
	if bits == nil || kind == nil || q.scales == nil || q.weights == nil || !one(bits) || !one(kind) {
		return broken("its %s buffers are incomplete", container.Prefix), nil
	}
	numbers := []int64{}
	for _, t := range []*tensor.Tensor{kind, bits} {
		n, err := v.numbers(t)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n...)
	}
	if numbers[0] != container.TypeQuantized {
		return broken("its compression type is %d, not %d", numbers[0], container.TypeQuantized), nil
	}
	dtypes := map[int64][2]scheme.WeightDType{4: {scheme.Int4, scheme.Uint4}, 8: {scheme.Int8, scheme.Uint8}}[numbers[1]]
	// The buffers do not tell symmetric from affine. Signed codes with zero points are affine.
	switch {
	case dtypes[0] == "":
		return broken("it claims %d bits", numbers[1]), nil
	case q.points == nil:
		q.schemes = []scheme.Scheme{{WeightDType: dtypes[0], Mode: scheme.Symmetric}}
	case q.points.DType == tensor.I8:
		q.schemes = []scheme.Scheme{{WeightDType: dtypes[0], Mode: scheme.Affine}}
	default:
		q.schemes = []scheme.Scheme{{WeightDType: dtypes[1], Mode: scheme.Symmetric}, {WeightDType: dtypes[1], Mode: scheme.Affine}}
	}
	return q.fit(src, q.scales.Shape), nil
}

// one reports whether a tensor is a single integer.
func one(t *tensor.Tensor) bool { return t.DType == tensor.I64 && t.Elements() == 1 }
