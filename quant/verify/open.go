package verify

import (
	"encoding/json"
	"fmt"
	"math"

	"nibble/quant/checkpoint"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// quantized is one quantized tensor of the output, ready to be dequantized by rows.
type quantized struct {
	problem    string
	scheme     scheme.Scheme
	rows, row  int64 // the weight as rows x row
	scaleRows  int64 // rows of scale; each serves rows/scaleRows rows of the weight
	across     int64 // scales per row
	weights    *tensor.Tensor
	decode     func(raw []byte, codes []float64) // consecutive codes; nil when weights are floats
	arithmetic tensor.DType
	stored     tensor.DType

	scales, points *tensor.Tensor // of all rows; points is nil without zero points
	packedPoints   float64        // what to take from packed zero points; NaN when they are not packed
	at             int64          // the row of scales that scale begins with
	scale, zp      []float64      // of a few rows
}

const window = 1 << 20
const limit = 2 << 20

func broken(format string, args ...any) *quantized {
	return &quantized{problem: fmt.Sprintf(format, args...)}
}

// geometry fills the shape of the weight and its scales, and checks that they fit.
func (q *quantized) geometry(src *tensor.Tensor, scale, zp *tensor.Tensor) {
	if len(src.Shape) < 2 || src.Elements() == 0 || !src.DType.Weight() {
		q.problem = "was quantized although it is no matrix of weights"
		return
	}
	if (zp != nil) != q.scheme.HasZeroPoint() {
		q.problem = fmt.Sprintf("its scheme is %s %s, and zero points are there: %v", q.scheme.WeightDType, q.scheme.Mode, zp != nil)
		return
	}
	q.rows, q.row = src.Shape[0], src.Elements()/src.Shape[0]
	q.arithmetic, q.stored = src.DType.Arithmetic(), src.DType
	q.scaleRows, q.across = scale.Shape[0], 1
	for _, n := range scale.Shape[1:] {
		q.across *= n
	}
	switch {
	case scale.DType != q.arithmetic:
		q.problem = fmt.Sprintf("its scales are %s, not %s", scale.DType, q.arithmetic)
	case q.scaleRows == 0 || q.across == 0 || q.rows%q.scaleRows != 0 || q.row%q.across != 0:
		q.problem = fmt.Sprintf("scales of shape %v do not divide a weight of shape %v", scale.Shape, src.Shape)
	}
	if q.problem != "" {
		return
	}
	q.scales, q.points = scale, zp
	if zp == nil {
		return
	}
	if bits := int64(q.scheme.Bits()); !math.IsNaN(q.packedPoints) {
		per := 32 / bits
		if zp.DType != tensor.I32 || len(zp.Shape) != 2 || zp.Shape[0] != (q.rows+per-1)/per || zp.Shape[1] != q.across || q.scaleRows != q.rows {
			q.problem = fmt.Sprintf("its zero points are %s %v", zp.DType, zp.Shape)
		}
		return
	}
	if want := codeType(q.scheme, false); zp.DType != want {
		q.problem = fmt.Sprintf("its zero points are %s, not %s", zp.DType, want)
	} else if zp.Elements() != scale.Elements() || zp.Shape[0] != scale.Shape[0] {
		q.problem = fmt.Sprintf("%d zero points for %d scales", zp.Elements(), scale.Elements())
	}
}

// load reads the scales and zero points of the rows [from, to) of scales, unless they are
// at hand; a weight has as many of them as it likes, so they are never read whole.
func (q *quantized) load(from, to int64) error {
	if q.at == from && int64(len(q.scale)) == (to-from)*q.across {
		return nil
	}
	var err error
	if q.scale, err = floats(q.scales, from, to); err != nil {
		return err
	}
	q.at = from
	for _, s := range q.scale {
		if !(s >= 0) || math.IsInf(s, 0) {
			q.problem = fmt.Sprintf("a scale is %g", s)
		}
	}
	switch {
	case q.points == nil:
		return nil
	case math.IsNaN(q.packedPoints):
		q.zp, err = floats(q.points, from, to)
		return err
	}
	return q.loadPacked(from, to)
}

// loadPacked unpacks words that hold the zero points of 8 (or 4) rows each.
func (q *quantized) loadPacked(from, to int64) error {
	bits := int64(q.scheme.Bits())
	per := 32 / bits
	part := tile.Tile{Row: from / per, Rows: (to+per-1)/per - from/per}
	raw := tensor.Buffer(nil, int(part.Size(q.points)))
	if err := part.Read(q.points, raw, window); err != nil {
		return err
	}
	words := tensor.View[int32](raw)
	q.zp = q.zp[:0]
	for r := from; r < to; r++ {
		for c := range q.across {
			word := uint32(words[(r/per-from/per)*q.across+c])
			q.zp = append(q.zp, float64(word>>(r%per*bits)&(1<<bits-1))-q.packedPoints)
		}
	}
	return nil
}

// codeType is the dtype of codes and zero points, one a byte.
func codeType(s scheme.Scheme, nibble bool) tensor.DType {
	if s.Signed() && !nibble {
		return tensor.I8
	}
	return tensor.U8
}

// floats reads the rows [from, to) of a tensor.
func floats(t *tensor.Tensor, from, to int64) ([]float64, error) {
	x := tile.Tile{Row: from, Rows: to - from}
	b := tensor.Buffer(nil, int(x.Size(t)))
	if err := x.Read(t, b, window); err != nil {
		return nil, err
	}
	return widen(t.DType, b), nil
}

// widen turns values of the dtypes that weights, scales and codes have to float64.
func widen(d tensor.DType, b []byte) []float64 {
	out := make([]float64, int64(len(b))/d.Size())
	for i := range out {
		switch d {
		case tensor.F64:
			out[i] = tensor.View[float64](b)[i]
		case tensor.F32:
			out[i] = float64(tensor.View[float32](b)[i])
		case tensor.F16:
			out[i] = float64(tensor.F16ToF32(tensor.View[uint16](b)[i]))
		case tensor.BF16:
			out[i] = float64(tensor.BF16ToF32(tensor.View[uint16](b)[i]))
		case tensor.I8:
			out[i] = float64(int8(b[i]))
		case tensor.U8:
			out[i] = float64(b[i])
		}
	}
	return out
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
	codes, scale, zp := v.find(src.Name), v.find(src.Name+"_scale"), v.find(src.Name+"_zero_point")
	if codes == nil || scale == nil || len(scale.Shape) == 0 {
		return broken("its codes or scales are missing"), nil
	}
	scheme, nibble := note.Parse(), note.HighNibble == "zero"
	if codes.DType != codeType(scheme, nibble) || fmt.Sprint(codes.Shape) != fmt.Sprint(src.Shape) {
		return broken("its codes are %s %v", codes.DType, codes.Shape), nil
	}
	q := &quantized{scheme: scheme, weights: codes, packedPoints: math.NaN()}
	q.decode = func(raw []byte, out []float64) {
		for i, c := range raw {
			if nibble && c > 15 {
				out[i] = math.NaN() // no code: the high 4 bits are to be zero
				continue
			}
			if nibble && q.scheme.Signed() {
				c = byte(int8(c<<4) >> 4)
			}
			if q.scheme.Signed() {
				out[i] = float64(int8(c))
			} else {
				out[i] = float64(c)
			}
		}
	}
	q.geometry(src, scale, zp)
	return q, nil
}

// packed opens NAME_packed, NAME_scale, NAME_shape, NAME_zero_point.
func (v *verifier) packed(src *tensor.Tensor, notes map[string]container.SchemeNote) (*quantized, error) {
	note, ok := notes[src.Name]
	if !ok {
		return nil, nil
	}
	words, scale, shape := v.find(src.Name+"_packed"), v.find(src.Name+"_scale"), v.find(src.Name+"_shape")
	zp := v.find(src.Name + "_zero_point")
	if words == nil || scale == nil || shape == nil || len(scale.Shape) != 2 || len(words.Shape) != 2 {
		return broken("its packed codes, scales or shape are missing"), nil
	}
	if shape.DType != tensor.I64 || len(shape.Shape) != 1 || shape.Shape[0] != int64(len(src.Shape)) {
		return broken("its shape is recorded as %s %v", shape.DType, shape.Shape), nil
	}
	q := &quantized{scheme: note.Parse(), weights: words}
	raw := tensor.Buffer(nil, int(shape.Bytes()))
	if err := (tile.Tile{Rows: shape.Elements()}).Read(shape, raw, window); err != nil {
		return nil, err
	}
	if fmt.Sprint(tensor.View[int64](raw)) != fmt.Sprint(src.Shape) {
		return broken("its shape is recorded as %v", tensor.View[int64](raw)), nil
	}
	if q.scheme.Signed() {
		q.packedPoints = float64(int(1) << (q.scheme.Bits() - 1))
	}
	if q.geometry(src, scale, zp); q.problem != "" {
		return q, nil
	}
	bits := int64(q.scheme.Bits())
	if words.DType != tensor.I32 || words.Shape[0] != q.rows || words.Shape[1] != (q.row*bits+31)/32 {
		return broken("its packed codes are %s %v", words.DType, words.Shape), nil
	}
	// Codes are unsigned in the file; an unsigned scheme reads them as they are.
	var unpacked []byte
	q.decode = func(raw []byte, out []float64) {
		codes := raw
		if bits == 4 {
			if len(unpacked) < len(out) {
				unpacked = make([]byte, len(out))
			}
			codes = unpacked[:len(out)]
			kernel.Unpack4(raw, false, codes)
		}
		for i := range out {
			out[i] = float64(codes[i]) - q.packedPoints
		}
	}
	return q, nil
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
	scale, zp := field(container.FieldScale), field(container.FieldZeroPoint)
	if bits == nil && kind == nil && scale == nil && zp == nil {
		return nil, nil
	}
	weights := v.find(src.Name)
	if bits == nil || kind == nil || scale == nil || weights == nil || len(scale.Shape) != len(src.Shape) ||
		bits.DType != tensor.I64 || bits.Elements() != 1 || kind.DType != tensor.I64 || kind.Elements() != 1 {
		return broken("its %s buffers are incomplete", container.Prefix), nil
	}
	if weights.DType != src.DType || fmt.Sprint(weights.Shape) != fmt.Sprint(src.Shape) {
		return broken("it is %s %v in the output, %s %v in the source", weights.DType, weights.Shape, src.DType, src.Shape), nil
	}
	raw := tensor.Buffer(nil, 8)
	if err := (tile.Tile{Rows: 1}).Read(kind, raw, window); err != nil {
		return nil, err
	}
	if n := tensor.View[int64](raw)[0]; n != container.TypeQuantized {
		return broken("its compression type is %d, not %d", n, container.TypeQuantized), nil
	}
	if err := (tile.Tile{Rows: 1}).Read(bits, raw, window); err != nil {
		return nil, err
	}
	// The buffers do not tell symmetric from affine; the wider range of affine codes holds.
	q := &quantized{weights: weights, scheme: scheme.Scheme{Mode: scheme.Affine}, packedPoints: math.NaN()}
	if zp == nil {
		q.scheme.Mode = scheme.Symmetric
	}
	switch n, signed := tensor.View[int64](raw)[0], zp == nil || zp.DType == tensor.I8; {
	case n == 4 && signed:
		q.scheme.WeightDType = scheme.Int4
	case n == 4:
		q.scheme.WeightDType = scheme.Uint4
	case n == 8 && signed:
		q.scheme.WeightDType = scheme.Int8
	case n == 8:
		q.scheme.WeightDType = scheme.Uint8
	default:
		return broken("it claims %d bits", n), nil
	}
	q.geometry(src, scale, zp)
	return q, nil
}
