package verify

import (
	"bytes"
	"context"
	"fmt"

	"nibble/quant/kernel"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/pack"
	"nibble/quant/plane"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// derive makes the weight once more from the source, by the scheme that the output names, and compares every plane
// with what the output stores. Where the output names no scheme, one scheme must explain the whole weight.
func (q *storedWeight) derive(ctx context.Context, src *tensor.Tensor, row *Row, l tile.Limits,
	step func(bytes int64)) error {
	best, counted := int64(0), int64(0)
	for i, s := range q.Schemes {
		seen := int64(0)
		reached, worst, problem, err := q.deriveBy(ctx, s, src, l, func(n int64) {
			if seen += n; seen > counted { // each byte counts once
				step(seen - counted)
				counted = seen
			}
		})
		if err != nil {
			return err
		}
		if problem == "" {
			row.Problem, row.MaxAbsError = "", &worst
			return nil
		}
		if i == 0 || reached > best {
			best, row.Problem = reached, problem
		}
	}
	if len(q.Schemes) > 1 {
		row.Problem = "no scheme explains all of it: it " + row.Problem
	}
	return nil
}

// deriveBy derives the weight by one scheme. It says how many rows it reached, the largest error of a weight, and
// what is wrong; "" when nothing is.
func (q *storedWeight) deriveBy(ctx context.Context, s scheme.Scheme, src *tensor.Tensor, l tile.Limits,
	step func(int64)) (reached int64,
	worst float64, problem string, err error) {
	if src.DType == tensor.F64 {
		return deriveWith[float64](ctx, q, s, src, l, step)
	}
	return deriveWith[float32](ctx, q, s, src, l, step)
}

// deriveWith is deriveBy in the arithmetic T.
func deriveWith[T kernel.Float](ctx context.Context, q *storedWeight, s scheme.Scheme, src *tensor.Tensor,
	l tile.Limits,
	step func(int64)) (int64, float64, string, error) {
	d, err := newDerivation[T](ctx, q, s, src, l, step)
	if err != nil {
		return 0, 0, "", err
	}
	return d.compare()
}

// derivation is one weight that is derived by one scheme; T is what its arithmetic is done in.
type derivation[T kernel.Float] struct {
	*storedWeight
	scheme scheme.Scheme
	method method.Method[T]
	spread method.Spread[T] // the same, where groups may lie apart; else nil
	limits tile.Limits
	step   func(bytes int64)

	source *rows
	whole  bool // a piece lays groups whole
	pieces []storedPiece[T]

	wide   []T // half floats as float32
	stats  plane.Stats[T]
	params plane.Params[T] // of a panel
	points []byte          // zero points that the output has for them
	codes  []byte
	out    []T
	made   []byte // what the output should store
	worst  float64
}

// storedPiece is one piece of the weight as it is stored, and its code.
type storedPiece[T kernel.Float] struct {
	layout.Piece
	code pack.Code[T]
	rows *rows
}

// newDerivation finds the scheme's method and the codes of the weight's pieces.
func newDerivation[T kernel.Float](ctx context.Context, q *storedWeight, s scheme.Scheme, src *tensor.Tensor,
	l tile.Limits,
	step func(int64)) (*derivation[T], error) {
	m, err := method.Of[T](s, src.DType)
	if err != nil {
		return nil, err
	}
	d := &derivation[T]{storedWeight: q, scheme: s, method: m, limits: l, step: step, source: newRows(ctx, src, l)}
	d.spread, _ = m.(method.Spread[T])
	for i, p := range q.Pieces {
		if p.Literal != nil {
			continue
		}
		code, err := pack.Of[T](p.Code)
		if err != nil {
			return nil, err
		}
		d.whole = d.whole || p.Code.Whole()
		d.pieces = append(d.pieces, storedPiece[T]{p, code, newRows(ctx, q.found[i], l)})
	}
	return d, nil
}

// compare derives the weight panel by panel and stops at the first difference. A panel is some groups that lie side
// by side.
func (d *derivation[T]) compare() (reached int64, worst float64, problem string, err error) {
	g := d.Grid
	n := d.panel()
	for row := int64(0); row < g.Rows; row += g.BlockRows {
		for block := int64(0); block < g.Across(); block += n {
			problem, err := d.blocks(row, block, min(n, g.Across()-block))
			if problem != "" || err != nil {
				return row, d.worst, problem, err
			}
		}
	}
	return g.Rows, d.worst, "", nil
}

// panel is how many groups are derived at a time: all side by side where they fit a tile, else so many that their
// ranges are few and their columns begin where packed words do.
func (d *derivation[T]) panel() int64 {
	g, size := d.Grid, d.source.tensor.DType.Size()
	if g.BlockRows*g.Row()*size <= d.limits.Tile {
		return g.Across()
	}
	n := d.limits.Scales
	if g.BlockRows == 1 {
		n = min(n, d.limits.Tile/(g.GroupWidth()*size))
	}
	return max(n/tile.Word, 1) * tile.Word
}

// blocks derives one panel: its parameters and then, row by row, its codes.
func (d *derivation[T]) blocks(row, block, count int64) (problem string, err error) {
	d.params, d.stats = d.params.Make(d.method.Has(), int(count)), d.stats.Make(int(count))
	unfit, err := d.fit(row, block, count)
	switch {
	case err != nil:
		return "", err
	case unfit != "":
		return "is quantized, and " + unfit.String(), nil
	}
	for r := row; r < row+d.Grid.BlockRows; r++ {
		for i := range d.pieces {
			p := &d.pieces[i]
			if p.Code.Weights() || r > row && !p.Code.PerRow {
				continue
			}
			if problem, err = d.compareShared(p, r, block, count); problem != "" || err != nil {
				return problem, err
			}
		}
	}
	err = d.eachRow(row, block, count, func(r, col int64, values []T) (bool, error) {
		d.step(int64(len(values)) * d.source.tensor.DType.Size())
		problem, err = d.weightsOf(r, block, col, values)
		return problem == "", err
	})
	return problem, err
}

// fit makes the parameters of a panel.
func (d *derivation[T]) fit(row, block, count int64) (unfit kernel.Unfit, err error) {
	if d.spread == nil {
		err = d.eachRow(row, block, count, func(_, col int64, values []T) (bool, error) {
			width := int(d.Grid.GroupWidth())
			k := int(col)/width - int(block)
			n := len(values) / width
			unfit = d.method.Fit(values, width, d.stats.Slice(k, k+n), d.params.Slice(k, k+n))
			return unfit == "", nil
		})
		return unfit, err
	}
	d.spread.Reset(d.stats)
	err = d.eachRow(row, block, count, func(_, col int64, values []T) (bool, error) {
		d.eachBlock(block, col, len(values), func(from, to, width, k, n int) {
			d.spread.Range(values[from:to], width, d.stats.Slice(k, k+n))
		})
		return true, nil
	})
	if err != nil {
		return "", err
	}
	return d.spread.Settle(d.stats, d.params), nil
}

// eachRow reads a panel row by row, until use has seen enough. A long row comes in stretches, which end where packed
// words do and, where that matters, where groups do.
func (d *derivation[T]) eachRow(row, block, count int64,
	use func(row, col int64, values []T) (more bool, err error)) error {
	g, step := d.Grid, int64(tile.Word)
	if d.whole || d.spread == nil {
		for step = g.GroupWidth(); step%tile.Word != 0; step *= 2 {
		}
	}
	most := max(d.limits.Tile/d.source.tensor.DType.Size()/step, 1) * step
	for r := row; r < row+g.BlockRows; r++ {
		end := (block + count) * g.GroupWidth()
		for col := block * g.GroupWidth(); col < end; col += most {
			n := min(most, end-col)
			raw, err := d.source.read(r, col*d.source.size, n*d.source.size)
			if err != nil {
				return err
			}
			if more, err := use(r, col, d.values(raw)); !more || err != nil {
				return err
			}
		}
	}
	return nil
}

// values are weights as what the arithmetic is done in.
func (d *derivation[T]) values(raw []byte) []T {
	switch d.source.tensor.DType {
	case tensor.F64:
		return any(tensor.View[float64](raw)).([]T)
	case tensor.F32:
		return any(tensor.View[float32](raw)).([]T)
	}
	d.wide = resize(d.wide, len(raw)/2)
	kernel.Widen(any(d.wide).([]float32), tensor.View[uint16](raw), d.source.tensor.DType == tensor.F16)
	return d.wide
}

// eachBlock calls use for the groups in a stretch of a row that begins at column col: [from, to) are n groups of
// width values each, the first of which is number k of the panel. Whole groups come together; one that an end of the
// stretch cuts comes alone.
func (d *derivation[T]) eachBlock(block, col int64, count int, use func(from, to, width, k, n int)) {
	width := d.Grid.GroupWidth()
	for at := int64(0); at < int64(count); {
		k, inside, left := (col+at)/width, (col+at)%width, int64(count)-at
		n, length := max(left/width, 1), width
		if inside > 0 || left < width {
			n, length = 1, min(width-inside, left)
		}
		use(int(at), int(at+n*length), int(length), int(k-block), int(n))
		at += n * length
	}
}

// itemRow is the row of a piece's items that a row of the weight has, and whether it is the last: each row has its
// own, or the rows of a group have one.
func (d *derivation[T]) itemRow(p *storedPiece[T], row int64) (own int64, last bool) {
	rows := d.Grid.Rows
	if !p.Code.Weights() && !p.Code.PerRow {
		row, rows = row/d.Grid.BlockRows, d.Grid.Down()
	}
	return row, row == rows-1
}

// names are what people call the planes that groups share.
var names = map[plane.Kind]string{plane.Scale: "scale", plane.ZeroPoint: "zero point", plane.Offset: "offset"}

// compareShared compares what the groups of a panel share, as a piece has it for one row of the weight.
func (d *derivation[T]) compareShared(p *storedPiece[T], row, block, count int64) (string, error) {
	own, last := d.itemRow(p, row)
	got, err := p.rows.read(own/p.Code.Rows(), p.Code.Bytes(block), p.Code.Bytes(count))
	if err != nil {
		return "", err
	}
	other, same := 0, true
	if p.Code.Rows() == 1 {
		d.made = p.code.Append(d.made[:0], &plane.Tile[T]{Rows: 1, First: own, Params: d.params})
		if !bytes.Equal(got, d.made) {
			other, same = firstDifference(got, d.made)/int(p.Code.Bytes(1)), false
		}
	} else { // the row's own are taken out of what several rows share
		d.points = resize(d.points, int(count))
		clean := p.code.Read(got, &plane.Tile[T]{Rows: 1, First: own, Last: last,
			Params: plane.Params[T]{ZeroPoint: d.points}})
		if !bytes.Equal(d.points, d.params.ZeroPoint) {
			other, same = firstDifference(d.points, d.params.ZeroPoint), false
		} else if !clean {
			return fmt.Sprintf("has a %s below its last row, in block %d or near it", names[p.Code.Plane], block), nil
		}
	}
	if !same {
		return fmt.Sprintf("has another %s in row %d, block %d than its weights make", names[p.Code.Plane], row,
			block+int64(other)), nil
	}
	return "", nil
}
