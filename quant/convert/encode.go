package convert

import (
	"nibble/quant/kernel"
	"nibble/quant/pack"
	"nibble/quant/plane"
	"nibble/quant/tensor"
)

// append lays the tile's share of a piece.
func (q *quantized[T]) append(dst []byte, spec pack.Spec, code pack.Code[T]) []byte {
	t := plane.Tile[T]{Rows: int(q.tile.Rows), First: q.tile.Row, Run: int(q.task.Grid.Run())}
	oneRow := q.task.Split == nil && q.task.Grid.BlockRows == 1
	switch {
	case code == nil: // literals
		return dst
	case spec.Weights():
		t.Codes, t.Values = q.codes, q.out
		if oneRow {
			t.Params = q.params
		}
	case oneRow || !spec.PerRow && (q.task.Split == nil || q.leads): // the parameters of a split group are written once
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

// rowsBegun is how many rows begin in the tile; where the row is in parts, those of the part.
func (q *quantized[T]) rowsBegun() int {
	if q.tile.Col > int64(q.firstBlock())*q.task.Grid.Run() {
		return 0
	}
	return int(q.tile.Rows)
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

// sent is the parameters as bytes, for a task.
func sent[T kernel.Float](p plane.Params[T]) Params {
	return Params{clone(p.Scale), append([]byte(nil), p.ZeroPoint...), clone(p.Offset)}
}

// received is the inverse of sent.
func received[T kernel.Float](p *Params) plane.Params[T] {
	return plane.Params[T]{Scale: viewOf[T](p.Scale), ZeroPoint: p.ZeroPoint, Offset: viewOf[T](p.Offset)}
}
