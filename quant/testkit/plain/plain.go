// Package plain is a second, slow way to make every output: it holds a weight whole, goes through it
// value by value in float64, and knows no tiles, tasks, workers or SIMD. What the executor writes is
// held against it, byte for byte, and the report's figures to 1e-6. It takes the verdicts from the
// plan and nothing else from the core: geometry, arithmetic, packing and names are written once more,
// from the same sources (coremltools 9.0 optimize/_utils.py, compressed-tensors pack-quantized).
//
// Tests call it, and the mutants of ./build.sh mutants are judged by it.
package plain

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"nibble/quant/plan"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
)

// Weight is one quantized weight, in row-major order.
type Weight struct {
	Values []float64 // what the source holds
	Steps  []float64 // what the codes stand for, in the arithmetic's dtype
	Codes  []int
	Scale  []float64 // one for each block, in row-major order of blocks
	Zero   []int     // zero points, of each block
	Offset []float64 // where the container has offsets, of each block, as they are stored
	block  []int     // of each weight
}

// Read is the bytes of a tensor, densely, read from its file value by value.
func Read(t *tensor.Tensor) ([]byte, error) {
	storage := make([]byte, t.Storage.End-t.Storage.Start)
	if len(storage) > 0 {
		if n, err := t.Storage.File.R.ReadAt(storage, t.Storage.Start); n < len(storage) {
			return nil, err
		}
	}
	if elements, _ := t.DType.Block(); elements > 1 { // values that are no bytes of their own lie densely
		return storage[t.Offset:][:t.Bytes()], nil
	}
	size := t.DType.Size()
	out := make([]byte, 0, t.Bytes())
	index := make([]int64, len(t.Shape))
	for range t.Elements() {
		at := t.Offset
		for axis, i := range index {
			at += i * t.Strides[axis] * size
		}
		out = append(out, storage[at:at+size]...)
		for axis := len(index) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < t.Shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
	return out, nil
}

// Unfit reports whether an entry that the plan quantizes holds a number that is none, or is without end.
func Unfit(e *plan.Entry) (bool, error) {
	raw, err := Read(e.Tensor)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(floats(raw, e.Tensor.DType),
		func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }), nil
}

// Quantize makes a weight of an entry that the plan quantizes.
func Quantize(e *plan.Entry) (*Weight, error) {
	raw, err := Read(e.Tensor)
	if err != nil {
		return nil, err
	}
	w := &Weight{Values: floats(raw, e.Tensor.DType)}
	w.lay(e)
	for _, v := range w.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%s holds %g", e.Tensor.Name, v)
		}
	}
	switch e.Scheme.Method {
	case "mlx":
		w.mlx(e)
	case "minmax":
		w.linear(minMax{arithmetic{scheme: e.Scheme, dtype: e.Tensor.DType, values: e.Tensor.DType}})
	default:
		a := arithmetic{scheme: e.Scheme, dtype: e.Tensor.DType.Arithmetic(), values: e.Tensor.DType.Arithmetic()}
		if e.Scheme.NarrowScales {
			a.values = e.Tensor.DType
		}
		w.linear(a)
	}
	if e.Scheme.Offsets && w.Offset == nil {
		for _, scale := range w.Scale {
			w.Offset = append(w.Offset, -math.Ldexp(scale, e.Scheme.Bits()-1))
		}
	}
	return w, nil
}

// ranged is an arithmetic that makes scales and zero points of ranges.
type ranged interface {
	params(low, high float64) (scale float64, zero int)
	code(v, scale float64, zero int) int
	value(code int, scale float64, zero int) float64
}

// linear makes the codes of an arithmetic.
func (w *Weight) linear(a ranged) {
	low, high := make([]float64, len(w.Scale)), make([]float64, len(w.Scale))
	for i, v := range w.Values {
		low[w.block[i]], high[w.block[i]] = min(low[w.block[i]], v), max(high[w.block[i]], v)
	}
	for k := range w.Scale {
		w.Scale[k], w.Zero[k] = a.params(low[k], high[k])
	}
	for i, v := range w.Values {
		k := w.block[i]
		q := a.code(v, w.Scale[k], w.Zero[k])
		w.Codes = append(w.Codes, q)
		w.Steps = append(w.Steps, a.value(q, w.Scale[k], w.Zero[k]))
	}
}

// lay says which block each weight is in. Blocks lie on the first two axes; the kernel axes are never
// cut.
func (w *Weight) lay(e *plan.Entry) {
	shape, blocks := e.Tensor.Shape, e.Grid.ScaleShape(len(e.Tensor.Shape))
	inner := 1
	for _, n := range shape[2:] {
		inner *= int(n)
	}
	rows, cols := int(shape[0]), int(shape[1])
	tall, wide := rows/int(blocks[0]), cols/int(blocks[1])
	w.block = make([]int, len(w.Values))
	for i := range w.block {
		row, col := i/inner/cols, i/inner%cols
		w.block[i] = row/tall*int(blocks[1]) + col/wide
	}
	w.Scale, w.Zero = make([]float64, blocks[0]*blocks[1]), make([]int, blocks[0]*blocks[1])
}

// arithmetic rounds each operation to a dtype. float64 is wide enough that an operation in it, rounded
// once more, is the operation in a narrower dtype.
type arithmetic struct {
	scheme scheme.Scheme
	dtype  tensor.Type // F16, F32 or F64; in compressed-tensors' also BF16
	values tensor.Type // of scales, and of what codes stand for
}

func (a arithmetic) round(x float64) float64 { return rounded(x, a.dtype) }

// rounded is a number in a dtype.
func rounded(x float64, d tensor.Type) float64 {
	switch d {
	case tensor.F16:
		return float64(tensor.RoundF16(float32(x)))
	case tensor.BF16:
		return float64(tensor.BF16ToF32(tensor.F32ToBF16(float32(x))))
	case tensor.F32:
		return float64(float32(x))
	}
	return x
}

// params is the scale and the zero point of a block with a range, which holds 0. Unsigned blocks of
// zeros have scale 1, where coremltools has 0.
func (a arithmetic) params(low, high float64) (scale float64, zero int) {
	least, most := a.scheme.Range()
	affine := a.scheme.Mode == scheme.Affine
	if !affine {
		high = max(-low, high)
		low = -high
	}
	span := a.round(high - low)
	scale = rounded(a.round(span/float64(most-least)), a.values)
	zero = a.scheme.FixedZeroPoint()
	if affine {
		z := a.round(a.round(a.round(float64(least)*high)-a.round(float64(most)*low)) / span)
		zero = whole(math.RoundToEven(z), least, most)
	}
	if !a.scheme.Signed() && scale == 0 {
		scale = 1
	}
	return scale, zero
}

func (a arithmetic) code(v, scale float64, zero int) int {
	least, most := a.scheme.Range()
	return whole(a.round(math.RoundToEven(a.round(v/scale))+float64(zero)), least, most)
}

// value is what a code stands for; coremltools keeps it in a float32 on the way.
func (a arithmetic) value(code int, scale float64, zero int) float64 {
	return rounded(a.round(float64(float32(float64(code-zero)*scale))), a.values)
}

// whole clips a number to a range; one that is none is 0.
func whole(x float64, least, most int) int {
	switch {
	case math.IsNaN(x):
		return 0
	case x < float64(least):
		return least
	case x > float64(most):
		return most
	}
	return int(x)
}

// floats are the values of the dtypes that weights have.
func floats(raw []byte, d tensor.Type) (out []float64) {
	size := int(d.Size())
	for ; len(raw) > 0; raw = raw[size:] {
		switch d {
		case tensor.F64:
			out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
		case tensor.F32:
			out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		case tensor.F16:
			out = append(out, float64(tensor.F16ToF32(binary.LittleEndian.Uint16(raw))))
		case tensor.BF16:
			out = append(out, float64(tensor.BF16ToF32(binary.LittleEndian.Uint16(raw))))
		}
	}
	return out
}

// stored are values as bytes of a dtype; they are exact in it, but for BF16, which rounds.
func stored(values []float64, d tensor.Type) (raw []byte) {
	for _, v := range values {
		switch d {
		case tensor.F64:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		case tensor.F32:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
		case tensor.F16:
			raw = binary.LittleEndian.AppendUint16(raw, tensor.F32ToF16(float32(v)))
		case tensor.BF16:
			raw = binary.LittleEndian.AppendUint16(raw, tensor.F32ToBF16(float32(v)))
		}
	}
	return raw
}
