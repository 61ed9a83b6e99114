package verify

import (
	"bytes"
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

// derive makes the weight once more, by the scheme that the output names, from the source's blocks,
// and compares every plane with what the output stores. Where the output names no scheme, one must
// explain the whole weight.
func (q *quantized) derive(src *tensor.Tensor, row *Row, l tile.Limits, step func(bytes int64)) error {
	best, counted := int64(0), int64(0)
	for i, s := range q.Schemes {
		seen := int64(0)
		reached, worst, problem, err := q.by(s, src, l, func(n int64) {
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

// by derives by one scheme. It says how many rows it reached, the largest error of a weight, and what
// is wrong, "" when nothing is.
func (q *quantized) by(s scheme.Scheme, src *tensor.Tensor, l tile.Limits, step func(int64)) (reached int64, worst float64, problem string, err error) {
	if src.DType == tensor.F64 {
		return run[float64](q, s, src, l, step)
	}
	return run[float32](q, s, src, l, step)
}

func run[T kernel.Float](q *quantized, s scheme.Scheme, src *tensor.Tensor, l tile.Limits, step func(int64)) (int64, float64, string, error) {
	d, err := newDerivation[T](q, s, src, l, step)
	if err != nil {
		return 0, 0, "", err
	}
	return d.run()
}

// derivation is one weight on its way through derive; T is what its arithmetic is done in.
type derivation[T kernel.Float] struct {
	*quantized
	scheme scheme.Scheme
	method method.Method[T]
	spread method.Spread[T] // the same, where groups may lie apart; else nil
	limits tile.Limits
	step   func(bytes int64)

	source *rows
	whole  bool // a piece lays groups whole
	pieces []piece[T]

	wide   []T // half floats as float32
	stats  plane.Stats[T]
	params plane.Params[T] // of a panel
	points []byte          // zero points that the output has for them
	codes  []byte
	out    []T
	made   []byte // what the output should store
	worst  float64
}

// piece is one piece of the weight as it is stored, and its code.
type piece[T kernel.Float] struct {
	layout.Piece
	code pack.Code[T]
	rows *rows
}

func newDerivation[T kernel.Float](q *quantized, s scheme.Scheme, src *tensor.Tensor, l tile.Limits, step func(int64)) (*derivation[T], error) {
	m, err := method.Of[T](s, src.DType)
	if err != nil {
		return nil, err
	}
	d := &derivation[T]{quantized: q, scheme: s, method: m, limits: l, step: step, source: newRows(src, l)}
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
		d.pieces = append(d.pieces, piece[T]{p, code, newRows(q.found[i], l)})
	}
	return d, nil
}

// run goes through the weight panel by panel: some blocks that lie side by side.
func (d *derivation[T]) run() (reached int64, worst float64, problem string, err error) {
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

// panel is how many blocks are derived at a time: all side by side where they fit a tile, else so many
// that their ranges are few and their columns begin where packed words do.
func (d *derivation[T]) panel() int64 {
	g, size := d.Grid, d.source.tensor.DType.Size()
	if g.BlockRows*g.Row()*size <= d.limits.Tile {
		return g.Across()
	}
	n := d.limits.Scales
	if g.BlockRows == 1 {
		n = min(n, d.limits.Tile/(g.Run()*size))
	}
	return max(n/tile.Word, 1) * tile.Word
}

// blocks derives a panel: its parameters and then, row by row, its codes.
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
			if problem, err = d.shared(p, r, block, count); problem != "" || err != nil {
				return problem, err
			}
		}
	}
	err = d.each(row, block, count, func(r, col int64, values []T) (bool, error) {
		d.step(int64(len(values)) * d.source.tensor.DType.Size())
		problem, err = d.weightsOf(r, block, col, values)
		return problem == "", err
	})
	return problem, err
}

// fit makes the parameters of a panel.
func (d *derivation[T]) fit(row, block, count int64) (unfit kernel.Unfit, err error) {
	if d.spread == nil {
		err = d.each(row, block, count, func(_, col int64, values []T) (bool, error) {
			run := int(d.Grid.Run())
			k := int(col)/run - int(block)
			n := len(values) / run
			unfit = d.method.Fit(values, run, d.stats.Slice(k, k+n), d.params.Slice(k, k+n))
			return unfit == "", nil
		})
		return unfit, err
	}
	d.spread.Reset(d.stats)
	err = d.each(row, block, count, func(_, col int64, values []T) (bool, error) {
		d.perBlock(block, col, len(values), func(from, to, run, k, n int) {
			d.spread.Range(values[from:to], run, d.stats.Slice(k, k+n))
		})
		return true, nil
	})
	if err != nil {
		return "", err
	}
	return d.spread.Settle(d.stats, d.params), nil
}

// each reads a panel row by row, and long rows in parts that end where packed words do and, where that matters, where
// blocks do, until use has seen enough.
func (d *derivation[T]) each(row, block, count int64, use func(row, col int64, values []T) (more bool, err error)) error {
	g, step := d.Grid, int64(tile.Word)
	if d.whole || d.spread == nil {
		for step = g.Run(); step%tile.Word != 0; step *= 2 {
		}
	}
	most := max(d.limits.Tile/d.source.tensor.DType.Size()/step, 1) * step
	for r := row; r < row+g.BlockRows; r++ {
		end := (block + count) * g.Run()
		for col := block * g.Run(); col < end; col += most {
			n := min(most, end-col)
			raw, err := d.source.part(r, col*d.source.size, n*d.source.size)
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

// perBlock parts n values from a column on by blocks: those from from to to are n blocks, the first of
// which is number k of the panel, of run values each. Blocks that begin and end there come together.
func (d *derivation[T]) perBlock(block, col int64, count int, use func(from, to, run, k, n int)) {
	run := d.Grid.Run()
	for at := int64(0); at < int64(count); {
		k, inside, left := (col+at)/run, (col+at)%run, int64(count)-at
		n, length := max(left/run, 1), run
		if inside > 0 || left < run {
			n, length = 1, min(run-inside, left)
		}
		use(int(at), int(at+n*length), int(length), int(k-block), int(n))
		at += n * length
	}
}

// itemRow is which row of a piece's items a row of the weight has, and whether it is the last: each its own, or those of
// blocks once.
func (d *derivation[T]) itemRow(p *piece[T], row int64) (own int64, last bool) {
	rows := d.Grid.Rows
	if !p.Code.Weights() && !p.Code.PerRow {
		row, rows = row/d.Grid.BlockRows, d.Grid.Down()
	}
	return row, row == rows-1
}

// names of what groups share, for people.
var names = map[plane.Kind]string{plane.Scale: "scale", plane.ZeroPoint: "zero point", plane.Offset: "offset"}

// shared compares what the blocks of a panel share, as a piece has it for a row of the weight.
func (d *derivation[T]) shared(p *piece[T], row, block, count int64) (string, error) {
	own, last := d.itemRow(p, row)
	got, err := p.rows.part(own/p.Code.Rows(), p.Code.Bytes(block), p.Code.Bytes(count))
	if err != nil {
		return "", err
	}
	other, same := 0, true
	if p.Code.Rows() == 1 {
		if d.made = p.code.Append(d.made[:0], &plane.Tile[T]{Rows: 1, First: own, Params: d.params}); !bytes.Equal(got, d.made) {
			other, same = firstDifference(got, d.made)/int(p.Code.Bytes(1)), false
		}
	} else { // the row's own are taken out of what several rows share
		d.points = resize(d.points, int(count))
		clean := p.code.Read(got, &plane.Tile[T]{Rows: 1, First: own, Last: last, Params: plane.Params[T]{ZeroPoint: d.points}})
		if !bytes.Equal(d.points, d.params.ZeroPoint) {
			other, same = firstDifference(d.points, d.params.ZeroPoint), false
		} else if !clean {
			return fmt.Sprintf("has a %s below its last row, in block %d or near it", names[p.Code.Plane], block), nil
		}
	}
	if !same {
		return fmt.Sprintf("has another %s in row %d, block %d than its weights make", names[p.Code.Plane], row, block+int64(other)), nil
	}
	return "", nil
}
