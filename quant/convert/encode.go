package convert

import (
	"nibble/quant/container"
	"nibble/quant/kernel"
	"nibble/quant/tensor"
)

// encode makes the tile's share of a part.
func (q *quantized[T]) encode(p Part) []byte {
	own := q.task.Split == nil || q.leads // the scales are written once
	switch p.Content {
	case container.Dequantized:
		return store(q.out, p.DType)
	case container.Codes:
		return q.codes
	case container.NibbleCodes:
		out := make([]byte, len(q.codes))
		kernel.Low4(q.codes, out)
		return out
	case container.Packed:
		return q.pack(p.Width)
	case container.Scale:
		if own {
			return store(q.scale, p.DType)
		}
	case container.ZeroPoint:
		if own {
			return q.zp
		}
	case container.RowScale:
		if q.task.Split == nil && q.task.Grid.BlockRows == 1 {
			return store(q.scale, p.DType)
		}
		var out []T
		for r := range q.rowsBegun() {
			s, _ := q.blocks(r)
			out = append(out, s...)
		}
		return store(out, p.DType)
	case container.PackedZeroPoint: // packed by whoever writes it
		if q.task.Split == nil && q.task.Grid.BlockRows == 1 {
			return q.zp
		}
		var out []byte
		for r := range q.rowsBegun() {
			_, z := q.blocks(r)
			out = append(out, z...)
		}
		return out
	}
	return nil // literals
}

// rowsBegun is how many rows begin in the tile; where the row is in parts, those of the part.
func (q *quantized[T]) rowsBegun() int {
	if q.tile.Col > int64(q.firstBlock())*q.task.Grid.Run() {
		return 0
	}
	return int(q.tile.Rows)
}

// pack packs row by row, or all rows at once where they fill their words; width is the bytes
// of a packed row.
func (q *quantized[T]) pack(width int64) []byte {
	s, rows := q.task.Scheme, int(q.tile.Rows)
	row := len(q.codes) / rows
	if perByte := int64(8 / s.Bits()); q.tile.Cols > 0 { // tiles are cut at words
		width = min(width-q.tile.Col/perByte, (q.tile.Cols*int64(s.Bits())+31)/32*4)
	}
	out := make([]byte, int64(rows)*width)
	if row*s.Bits()/8 == int(width) {
		rows, row, width = 1, len(q.codes), int64(len(out))
	}
	for r := range rows {
		codes, dst := q.codes[r*row:(r+1)*row], out[int64(r)*width:int64(r+1)*width]
		if s.Bits() == 4 {
			kernel.Pack4(codes, s.Signed(), dst)
		} else {
			kernel.Pack8(codes, s.Signed(), dst)
		}
	}
	return out
}

// store gives values in a file's dtype; they are exact in it, but for BF16, which rounds.
// Its bytes may be those of v.
func store[T kernel.Float](v []T, d tensor.DType) []byte {
	switch d {
	case tensor.F64:
		return tensor.Bytes(any(v).([]float64))
	case tensor.F32:
		return tensor.Bytes(any(v).([]float32))
	}
	half := make([]uint16, len(v))
	kernel.Narrow(half, any(v).([]float32), d == tensor.F16)
	return tensor.Bytes(half)
}

// clone copies values as bytes.
func clone[T kernel.Float](v []T) []byte {
	switch v := any(v).(type) {
	case []float64:
		return append([]byte(nil), tensor.Bytes(v)...)
	case []float32:
		return append([]byte(nil), tensor.Bytes(v)...)
	}
	return nil
}

// viewOf is the inverse of clone; the bytes may lie anywhere.
func viewOf[T kernel.Float](raw []byte) []T {
	raw = append(tensor.Buffer(nil, len(raw))[:0], raw...)
	var out []T
	switch p := any(&out).(type) {
	case *[]float64:
		*p = tensor.View[float64](raw)
	case *[]float32:
		*p = tensor.View[float32](raw)
	}
	return out
}
