package convert

import (
	"nibble/quant/kernel"
	"nibble/quant/pack"
	"nibble/quant/plane"
	"nibble/quant/tensor"
)

// append lays the tile's share of one piece.
func (q *tileQuantizer[T]) append(dst []byte, spec pack.Spec, code pack.Code[T]) []byte {
	t := plane.Tile[T]{Rows: int(q.tile.Rows), First: q.tile.Row, GroupWidth: int(q.task.Grid.GroupWidth())}
	oneRow := q.task.Split == nil && q.task.Grid.BlockRows == 1
	switch {
	case code == nil: // literals
		return dst
	case spec.Weights():
		t.Codes, t.Values = q.codes, q.out
		if oneRow {
			t.Params = q.params
		}
	// the parameters of a split group are written once
	case oneRow || !spec.PerRow && (q.task.Split == nil || q.writesParams):
		t.Params = q.params
	case spec.PerRow:
		for r := range q.rowsBegun() {
			t.Params = t.Params.Append(q.blocks(r))
		}
	default:
		return dst
	}
	return code.Append(dst, &t)
}

// rowsBegun is how many rows, or stretches of a row in a split group, begin in the tile. Parameters are written where
// a row begins.
func (q *tileQuantizer[T]) rowsBegun() int {
	if q.tile.Col > int64(q.firstBlock())*q.task.Grid.GroupWidth() {
		return 0
	}
	return int(q.tile.Rows)
}

// bytesOf copies values as bytes.
func bytesOf[T kernel.Float](v []T) []byte {
	switch v := any(v).(type) {
	case []float64:
		return append([]byte(nil), tensor.Bytes(v)...)
	case []float32:
		return append([]byte(nil), tensor.Bytes(v)...)
	}
	return nil
}

// valuesIn is the inverse of bytesOf. It copies, since the bytes may lie at any address.
func valuesIn[T kernel.Float](raw []byte) []T {
	if raw == nil {
		return nil
	}
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

// encodeParams makes bytes of parameters, for a task that travels.
func encodeParams[T kernel.Float](p plane.Params[T]) Params {
	return Params{bytesOf(p.Scale), append([]byte(nil), p.ZeroPoint...), bytesOf(p.Offset)}
}

// decodeParams is the inverse of encodeParams.
func decodeParams[T kernel.Float](p *Params) plane.Params[T] {
	return plane.Params[T]{Scale: valuesIn[T](p.Scale), ZeroPoint: p.ZeroPoint, Offset: valuesIn[T](p.Offset)}
}
