package verify

import (
	"bytes"
	"fmt"
	"math"

	"nibble/quant/kernel"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// derive makes the weight once more, by the scheme that the output names, from the source's blocks,
// and compares every scale, zero point and code with what the output stores. Where the output names
// none, one scheme must explain the whole weight.
func (q *quantized) derive(src *tensor.Tensor, row *Row, l tile.Limits, step func(bytes int64)) error {
	best, counted := int64(-1), int64(0)
	for _, s := range q.schemes {
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
		if reached > best {
			best, row.Problem = reached, problem
		}
	}
	if len(q.schemes) > 1 {
		row.Problem = "no scheme explains all of it: it " + row.Problem
	}
	return nil
}

// by derives by one scheme. It says how many rows it reached, the largest error of a weight, and what
// is wrong, "" when nothing is.
func (q *quantized) by(s scheme.Scheme, src *tensor.Tensor, l tile.Limits, step func(int64)) (reached int64, worst float64, problem string, err error) {
	if src.DType == tensor.F64 {
		return newDerivation[float64](q, s, src, l, step).run()
	}
	return newDerivation[float32](q, s, src, l, step).run()
}

// derivation is one weight on its way through derive; T is what its arithmetic is done in.
type derivation[T kernel.Float] struct {
	*quantized
	scheme scheme.Scheme
	arith  kernel.Arith
	limits tile.Limits
	step   func(bytes int64)

	source, stored, scales, points *rows // points is nil without zero points

	wide      []T // half floats as float32
	low, high []T // of the blocks of a panel
	scale     []T
	zp        []byte
	codes     []byte
	out       []T
	made      []byte // what the output should store
	worst     float64
}

func newDerivation[T kernel.Float](q *quantized, s scheme.Scheme, src *tensor.Tensor, l tile.Limits, step func(int64)) *derivation[T] {
	d := &derivation[T]{quantized: q, scheme: s, arith: kernel.NewArith(s, src.DType == tensor.F16), limits: l, step: step}
	d.source, d.stored, d.scales = newRows(src, l), newRows(q.weights, l), newRows(q.scales, l)
	if q.points != nil {
		d.points = newRows(q.points, l)
	}
	return d
}

// run goes through the weight panel by panel: some blocks that lie side by side.
func (d *derivation[T]) run() (reached int64, worst float64, problem string, err error) {
	g := d.grid
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
	g, size := d.grid, d.source.tensor.DType.Size()
	if g.BlockRows*g.Row()*size <= d.limits.Tile {
		return g.Across()
	}
	n := d.limits.Scales
	if g.BlockRows == 1 {
		n = min(n, d.limits.Tile/(g.Run()*size))
	}
	return max(n/tile.Word, 1) * tile.Word
}

// blocks derives a panel: its ranges, its scales and then, row by row, its codes.
func (d *derivation[T]) blocks(row, block, count int64) (problem string, err error) {
	d.low, d.high, d.scale = resize(d.low, count), resize(d.high, count), resize(d.scale, count)
	kernel.Reset(d.low, d.high)
	err = d.each(row, block, count, func(_, col int64, values []T) (bool, error) {
		d.perBlock(block, col, len(values), func(from, to, run int, k, n int64) {
			kernel.Range(values[from:to], run, d.low[k:k+n], d.high[k:k+n])
		})
		return true, nil
	})
	if err != nil {
		return "", err
	}
	if d.zp = nil; d.scheme.HasZeroPoint() {
		d.zp = make([]byte, count)
	}
	if unfit := kernel.Fit(d.arith, d.low, d.high, d.scale, d.zp); unfit != "" {
		return "is quantized, and " + unfit, nil
	}
	for r := row; r < row+d.grid.BlockRows; r++ {
		if r > row && d.form != packedWords { // others store the scales of a block once
			break
		}
		if problem, err = d.params(r, block, count); problem != "" || err != nil {
			return problem, err
		}
	}
	err = d.each(row, block, count, func(r, col int64, values []T) (bool, error) {
		d.step(int64(len(values)) * d.source.tensor.DType.Size())
		problem, err = d.weightsOf(r, block, col, values)
		return problem == "", err
	})
	return problem, err
}

// each reads a panel row by row, and long rows in parts that end where packed words do, until use has
// seen enough.
func (d *derivation[T]) each(row, block, count int64, use func(row, col int64, values []T) (more bool, err error)) error {
	g := d.grid
	most := max(d.limits.Tile/d.source.tensor.DType.Size()/tile.Word, 1) * tile.Word
	for r := row; r < row+g.BlockRows; r++ {
		end := (block + count) * g.Run()
		for col := block * g.Run(); col < end; col += most {
			n := min(most, end-col)
			raw, err := d.source.part(r, col, n)
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
	d.wide = resize(d.wide, int64(len(raw)/2))
	kernel.Widen(any(d.wide).([]float32), tensor.View[uint16](raw), d.arith.Half)
	return d.wide
}

// perBlock parts n values from a column on by blocks: those from from to to are n blocks, the first of
// which is number k of the panel, of run values each. Blocks that begin and end there come together.
func (d *derivation[T]) perBlock(block, col int64, count int, use func(from, to, run int, k, n int64)) {
	run := d.grid.Run()
	for at := int64(0); at < int64(count); {
		k, inside, left := (col+at)/run, (col+at)%run, int64(count)-at
		n, length := max(left/run, 1), run
		if inside > 0 || left < run {
			n, length = 1, min(run-inside, left)
		}
		use(int(at), int(at+n*length), int(length), k-block, n)
		at += n * length
	}
}

// params compares the scales and zero points that a row of the weight has.
func (d *derivation[T]) params(row, block, count int64) (string, error) {
	at := row
	if d.form != packedWords {
		at = row / d.grid.BlockRows
	}
	raw, err := d.scales.part(at, block, count)
	if err != nil {
		return "", err
	}
	if want := stored(d.scale, d.scales.tensor.DType); !bytes.Equal(raw, want) {
		k := firstDifference(raw, want) / int(d.scales.tensor.DType.Size())
		return fmt.Sprintf("has another scale in row %d, block %d than its weights make (%g)", row, block+int64(k), float64(d.scale[k])), nil
	}
	switch {
	case d.zp == nil:
		return "", nil
	case d.form == packedWords:
		return d.packedPoints(row, block, count)
	}
	if raw, err = d.points.part(at, block, count); err != nil {
		return "", err
	}
	if !bytes.Equal(raw, d.zp) {
		return fmt.Sprintf("has another zero point in row %d, block %d than its weights make", row, block+int64(firstDifference(raw, d.zp))), nil
	}
	return "", nil
}

// packedPoints compares zero points that are packed along axis 0: those of 8 rows, or of 4, in a word.
func (d *derivation[T]) packedPoints(row, block, count int64) (string, error) {
	bits := int64(d.scheme.Bits())
	per := 32 / bits
	raw, err := d.points.part(row/per, block, count)
	if err != nil {
		return "", err
	}
	mask, flip := uint32(1)<<bits-1, uint32(0)
	if d.scheme.Signed() {
		flip = 1 << (bits - 1)
	}
	for k, word := range tensor.View[int32](raw) {
		rest := uint32(word) >> (row % per * bits)
		if rest&mask != uint32(d.zp[k])&mask^flip {
			return fmt.Sprintf("has another zero point in row %d, block %d than its weights make", row, block+int64(k)), nil
		}
		if row == d.grid.Rows-1 && uint64(rest)>>bits != 0 {
			return fmt.Sprintf("has zero points below its last row, in block %d", block+int64(k)), nil
		}
	}
	return "", nil
}

// weightsOf compares what is stored for values of a row from a column on.
func (d *derivation[T]) weightsOf(row, block, col int64, values []T) (string, error) {
	n := int64(len(values))
	if int64(len(d.codes)) < n {
		d.codes = make([]byte, n)
	}
	codes, e := d.codes[:n], kernel.Errors{}
	d.perBlock(block, col, len(values), func(from, to, run int, k, n int64) {
		kernel.Quantize(d.arith, values[from:to], run, d.scale[k:k+n], d.zpOf(k, n), codes[from:to], &e)
	})
	want := d.storedAs(row, block, col, codes)
	if d.form == floats && d.stored.tensor.DType == tensor.BF16 {
		d.measure(values, want)
	} else {
		d.worst = max(d.worst, e.Max)
	}
	per := int64(1)
	if d.form == packedWords {
		per = int64(32 / d.scheme.Bits())
	}
	got, err := d.stored.part(row, col/per, int64(len(want))/d.stored.tensor.DType.Size())
	if err != nil || bytes.Equal(got, want) {
		return "", err
	}
	at := int64(firstDifference(got, want)) * n / int64(len(want))
	return fmt.Sprintf("differs in row %d, at column %d or near it, from what %s %s makes of the source", row, col+at, d.scheme.WeightDType, d.scheme.Mode), nil
}

// zpOf is the zero points of some blocks of the panel.
func (d *derivation[T]) zpOf(k, n int64) []byte {
	if d.zp == nil {
		return nil
	}
	return d.zp[k : k+n]
}

// storedAs is what the output should hold for codes of a row from a column on; with the last column
// come the zeros that fill a packed row.
func (d *derivation[T]) storedAs(row, block, col int64, codes []byte) []byte {
	n := len(codes)
	switch d.form {
	case packedWords:
		d.made = tensor.Buffer(d.made, (n*d.scheme.Bits()+31)/32*4)
		if d.scheme.Bits() == 4 {
			kernel.Pack4(codes, d.scheme.Signed(), d.made)
		} else {
			kernel.Pack8(codes, d.scheme.Signed(), d.made)
		}
		return d.made
	case lowNibbles:
		d.made = tensor.Buffer(d.made, n)
		kernel.Low4(codes, d.made)
		return d.made
	case floats:
		d.out = resize(d.out, int64(n))
		d.perBlock(block, col, n, func(from, to, run int, k, n int64) {
			kernel.Dequantize(d.arith, codes[from:to], run, d.scale[k:k+n], d.zpOf(k, n), d.out[from:to])
		})
		return stored(d.out, d.stored.tensor.DType)
	}
	return codes
}

// measure finds the largest error of weights that the output holds in bfloat16, which rounds once more
// what their codes stand for.
func (d *derivation[T]) measure(values []T, want []byte) {
	for i, half := range tensor.View[uint16](want) {
		d.worst = max(d.worst, math.Abs(float64(values[i])-float64(tensor.BF16ToF32(half))))
	}
}

// stored are values as bytes of a dtype; they are exact in it, but for BF16, which rounds.
func stored[T kernel.Float](v []T, t tensor.DType) []byte {
	switch v := any(v).(type) {
	case []float64:
		return tensor.Bytes(v)
	case []float32:
		if t == tensor.F32 {
			return tensor.Bytes(v)
		}
		half := make([]uint16, len(v))
		kernel.Narrow(half, v, t == tensor.F16)
		return tensor.Bytes(half)
	}
	return nil
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return 0
}

func resize[T any](s []T, n int64) []T {
	if int64(cap(s)) < n {
		return make([]T, n)
	}
	return s[:n]
}
