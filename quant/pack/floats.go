package pack

import (
	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/tensor"
)

// floats lays values, scales or offsets in a dtype, rounded to it half to even.
type floats[T kernel.Float] struct{ Spec }

// newFloats is the row's Single and Double.
func newFloats[T kernel.Float](s Spec) Code[T] { return floats[T]{s} }

// plane is the plane of the tile that the code lays.
func (c floats[T]) plane(t *plane.Tile[T]) []T {
	switch c.Plane {
	case plane.Values:
		return t.Values
	case plane.Offset:
		return t.Offset
	}
	return t.Scale
}

// Append implements Code.
func (c floats[T]) Append(dst []byte, t *plane.Tile[T]) []byte {
	switch v := any(c.plane(t)).(type) {
	case []float64:
		return append(dst, tensor.Bytes(v)...)
	case []float32:
		if c.DType == tensor.F32 {
			return append(dst, tensor.Bytes(v)...)
		}
		return c.narrow(dst, v)
	}
	return dst
}

// narrow appends half floats, some at a time, so that they stay in the nearest cache. Values of float16 are exact
// already; what groups share may not be.
func (c floats[T]) narrow(dst []byte, v []float32) []byte {
	var half [1024]uint16
	var exact [1024]float32
	for len(v) > 0 {
		n := min(len(v), len(half))
		from := v[:n]
		if c.DType == tensor.F16 && c.Plane != plane.Values {
			for i, x := range from {
				exact[i] = tensor.RoundF16(x)
			}
			from = exact[:n]
		}
		kernel.Narrow(half[:n], from, c.DType == tensor.F16)
		dst, v = append(dst, tensor.Bytes(half[:n])...), v[n:]
	}
	return dst
}

// Read implements Code.
func (c floats[T]) Read(src []byte, t *plane.Tile[T]) bool {
	switch v := any(c.plane(t)).(type) {
	case []float64:
		copy(tensor.Bytes(v), src)
	case []float32:
		if c.DType == tensor.F32 {
			copy(tensor.Bytes(v), src)
		} else {
			kernel.Widen(v, tensor.View[uint16](src)[:len(v)], c.DType == tensor.F16)
		}
	}
	return true
}
