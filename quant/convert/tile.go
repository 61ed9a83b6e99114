package convert

import (
	"context"
	"iter"
	"math"
	"sync"

	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/kernel"
	"nibble/quant/plan"
	"nibble/quant/scheme"
	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// params are the scales of a band, one row of blocks, that is larger than a tile. The first
// of its tiles that is run fills them, in a pass over all of them.
type params struct {
	tiles []tile.Tile
	once  sync.Once
	err   error
	scale any // []float32 or []float64
	zp    []byte
}

// band is tiles that are quantized together.
type band struct {
	tiles  []tile.Tile
	params *params // nil where each tile holds whole blocks
}

// bands cuts a weight. Blocks that fit into tiles need no bands: it is one.
func bands(e *plan.Entry) (out []band) {
	g := e.Grid
	if g.BlockRows*g.Row()*e.Tensor.DType.Size() <= tile.Bytes {
		return []band{{tiles: tile.Cut(e.Tensor, g.BlockRows)}}
	}
	for r := int64(0); r < g.Rows; r += g.BlockRows {
		tiles := tile.Rows(e.Tensor, r, r+g.BlockRows, 1)
		out = append(out, band{tiles, &params{tiles: tiles}})
	}
	return out
}

// buffers belong to one worker and are reused from tile to tile.
type buffers struct {
	source []byte
	wide   []float32 // float16 and bfloat16 weights as float32
	out32  []float32
	out64  []float64
	codes  []byte
}

// run does one tile.
func (b *buffers) run(ctx context.Context, j *job) error {
	r := j.run
	j.parts = make([][]byte, len(r.Pieces))
	if r.entry == nil || j.tile.Rows == 0 {
		return nil // literals, empty tensors
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p := j.params; p != nil {
		p.once.Do(func() { p.err = b.ranges(ctx, r.entry, p) })
		if p.err != nil {
			return p.err
		}
	}
	t := r.source
	if !r.entry.Quantize {
		j.parts[0] = make([]byte, j.tile.Size(t))
		return j.tile.Read(t, j.parts[0])
	}
	b.source = tensor.Buffer(b.source, int(j.tile.Size(t)))
	if err := j.tile.Read(t, b.source); err != nil {
		return err
	}
	if t.DType == tensor.F64 {
		return quantizeTile(b, j, tensor.View[float64](b.source), &b.out64)
	}
	return quantizeTile(b, j, b.widen(t.DType), &b.out32)
}

// widen returns the tile in b.source as float32.
func (b *buffers) widen(d tensor.DType) []float32 {
	if d == tensor.F32 {
		return tensor.View[float32](b.source)
	}
	half := tensor.View[uint16](b.source)
	b.wide = grow(b.wide, len(half))
	if d == tensor.BF16 {
		for i, h := range half {
			b.wide[i] = tensor.BF16ToF32(h)
		}
	} else {
		for i, h := range half {
			b.wide[i] = tensor.F16ToF32(h)
		}
	}
	return b.wide
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func arith(e *plan.Entry) kernel.Arith {
	return kernel.Arith{Scheme: e.Scheme, Half: e.Tensor.DType == tensor.F16}
}

// ranges is the first pass over a band.
func (b *buffers) ranges(ctx context.Context, e *plan.Entry, p *params) error {
	if e.Tensor.DType == tensor.F64 {
		return rangesOf(ctx, b, e, p, func() []float64 { return tensor.View[float64](b.source) })
	}
	return rangesOf(ctx, b, e, p, func() []float32 { return b.widen(e.Tensor.DType) })
}

func rangesOf[T kernel.Float](ctx context.Context, b *buffers, e *plan.Entry, p *params, values func() []T) error {
	across := e.Grid.Across()
	lo, hi := make([]T, across), make([]T, across)
	kernel.Reset(lo, hi)
	for _, t := range p.tiles {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.source = tensor.Buffer(b.source, int(t.Size(e.Tensor)))
		if err := t.Read(e.Tensor, b.source); err != nil {
			return err
		}
		for s := range segments(e.Grid, t, values()) {
			s.blocks(e.Grid, func(part []T, block, count, length int) {
				kernel.Range(part, length, lo[block:block+count], hi[block:block+count])
			})
		}
	}
	scale, zp, err := blockParams(e, lo, hi)
	p.scale, p.zp = scale, zp
	return err
}

// blockParams turns ranges into scales and zero points, and refuses weights that have
// none: NaN, infinities, and float16 values too large for float16 arithmetic.
func blockParams[T kernel.Float](e *plan.Entry, lo, hi []T) (scale []T, zp []byte, err error) {
	for i := range lo {
		if l, h := float64(lo[i]), float64(hi[i]); l != l || math.IsInf(l, 0) || math.IsInf(h, 0) {
			what := "an infinite value"
			if l != l {
				what = "a value that is not a number (NaN)"
			}
			return nil, nil, unfit(e, "its weights hold "+what)
		}
	}
	scale = make([]T, len(lo))
	if e.Scheme.HasZeroPoint() {
		zp = make([]byte, len(lo))
	}
	a := arith(e)
	kernel.Params(a, lo, hi, scale, zp)
	kernel.NoZeroScale(a, scale)
	for i, s := range scale {
		if math.IsInf(float64(s), 0) || overflows(a, e.Tensor.DType, float64(lo[i]), float64(hi[i])) {
			return nil, nil, unfit(e, "its weights span more than "+e.Tensor.DType.Arithmetic().String()+" arithmetic can hold")
		}
	}
	return scale, zp, nil
}

// overflows finds what an infinite scale does not show. The zero point of affine codes
// comes from qmin*hi and qmax*lo, which overflow float16 long before the weights do;
// coremltools then clips an infinity and writes codes that mean nothing. And it
// dequantizes float64 weights through float32.
func overflows(a kernel.Arith, d tensor.DType, lo, hi float64) bool {
	most := math.MaxFloat32
	if d == tensor.F16 {
		most = 65504
	}
	reach := 1.0
	if a.Scheme.Mode == scheme.Affine {
		qmin, qmax := a.Scheme.Range()
		reach = float64(max(-qmin, qmax))
	}
	return max(math.Abs(lo), math.Abs(hi))*reach > most
}

func unfit(e *plan.Entry, what string) error {
	return &unfitError{fault.Not(e.Tensor.Storage.File.Name, "%s", what).In(e.Tensor.Name).
		Hint("repair the checkpoint, or keep such tensors as they are with --keep-unfit (on the page: keep what cannot be quantized)")}
}

// unfitError is a weight that the arithmetic cannot take.
type unfitError struct{ fault *fault.Error }

func (e *unfitError) Error() string { return e.fault.Error() }
func (e *unfitError) Unwrap() error { return e.fault }

// tileParams are the scales and zero points of a tile of whole blocks.
func tileParams[T kernel.Float](e *plan.Entry, src []T) (scale []T, zp []byte, err error) {
	row, across, length := int(e.Grid.Row()), int(e.Grid.Across()), int(e.Grid.Run())
	blockRows := int(e.Grid.BlockRows)
	n := len(src) / row / blockRows * across
	lo, hi := make([]T, n), make([]T, n)
	kernel.Reset(lo, hi)
	for r := range len(src) / row {
		at := r / blockRows * across
		kernel.Range(src[r*row:(r+1)*row], length, lo[at:at+across], hi[at:at+across])
	}
	return blockParams(e, lo, hi)
}

// segment is a row of a tile, or the part of a long one that the tile has.
type segment[T kernel.Float] struct {
	values []T
	at     int // of the first value in the tile
	row    int // in the tile
	col    int64
}

// segments are the rows of a tile.
func segments[T kernel.Float](g scheme.Grid, t tile.Tile, values []T) iter.Seq[segment[T]] {
	width := int(g.Row())
	if t.Cols > 0 {
		width = int(t.Cols)
	}
	return func(yield func(segment[T]) bool) {
		for r := range int(t.Rows) {
			if !yield(segment[T]{values[r*width : (r+1)*width], r * width, r, t.Col}) {
				return
			}
		}
	}
}

// blocks parts a segment into whole blocks, which come together, and the first and the last
// one, which a long row may have cut: count blocks from block on, length values each.
func (s segment[T]) blocks(g scheme.Grid, each func(part []T, block, count, length int)) {
	run := int(g.Run())
	for at := 0; at < len(s.values); {
		block := (int(s.col) + at) / run
		inside, left := (int(s.col)+at)%run, len(s.values)-at
		if inside > 0 || left < run {
			n := min(run-inside, left)
			each(s.values[at:at+n], block, 1, n)
			at += n
			continue
		}
		each(s.values[at:at+left/run*run], block, left/run, run)
		at += left / run * run
	}
}

// quantizeTile measures, quantizes and encodes one tile for every piece of the run.
func quantizeTile[T kernel.Float](b *buffers, j *job, src []T, out *[]T) error {
	e := j.run.entry
	q := quantized[T]{grid: e.Grid, tile: j.tile, whole: j.params == nil, leads: j.leads}
	if p := j.params; p != nil {
		q.scale, q.zp = p.scale.([]T), p.zp
	} else {
		var err error
		if q.scale, q.zp, err = tileParams(e, src); err != nil {
			return err
		}
	}
	if j.run.Pieces[0].Content.Weights() {
		b.codes = grow(b.codes, len(src))
		*out = grow(*out, len(src))
		q.codes, q.out = b.codes, *out
		q.run(arith(e), src)
		if e.Tensor.DType == tensor.BF16 && j.run.Pieces[0].Content == container.Dequantized {
			for i, v := range *out { // the preview is stored in bfloat16, so that is what is measured
				(*out)[i] = T(tensor.BF16ToF32(tensor.F32ToBF16(float32(v))))
			}
		}
		kernel.Measure(&j.cost.Errors, src, *out)
		if j.histogram {
			j.cost.Histogram = kernel.NewHistogram(e.Tensor.Elements())
			kernel.Count(j.cost.Histogram, j.tile.Row*e.Grid.Row()+j.tile.Col, src, *out)
		}
	}
	for i := range j.run.Pieces {
		j.parts[i] = q.encode(e, &j.run.Pieces[i])
	}
	return nil
}

// quantized is one tile after the kernels.
type quantized[T kernel.Float] struct {
	grid       scheme.Grid
	tile       tile.Tile
	whole      bool // the tile holds whole blocks; else scale is that of its band
	leads      bool // its band
	scale, out []T
	zp, codes  []byte
}

// run quantizes and dequantizes.
func (q *quantized[T]) run(a kernel.Arith, src []T) {
	for s := range segments(q.grid, q.tile, src) {
		scale, zp := q.blocks(s.row)
		at := s.at
		s.blocks(q.grid, func(part []T, block, count, length int) {
			codes, out := q.codes[at:at+len(part)], q.out[at:at+len(part)]
			var z []byte
			if zp != nil {
				z = zp[block : block+count]
			}
			kernel.Quantize(a, part, length, scale[block:block+count], z, codes)
			kernel.Dequantize(a, codes, length, scale[block:block+count], z, out)
			at += len(part)
		})
	}
}

// blocks are the scales and zero points of row r of the tile.
func (q *quantized[T]) blocks(r int) ([]T, []byte) {
	across, at := int(q.grid.Across()), 0
	if q.whole {
		at = r / int(q.grid.BlockRows) * across
	}
	if q.zp == nil {
		return q.scale[at : at+across], nil
	}
	return q.scale[at : at+across], q.zp[at : at+across]
}

// encode makes the tile's share of a piece.
func (q *quantized[T]) encode(e *plan.Entry, p *container.Piece) []byte {
	switch p.Content {
	case container.Dequantized:
		return store(q.out, p.DType)
	case container.Codes:
		return append([]byte(nil), q.codes...)
	case container.NibbleCodes:
		out := make([]byte, len(q.codes))
		for i, c := range q.codes {
			out[i] = c & 15
		}
		return out
	case container.Packed:
		return q.pack(e.Scheme, p.Shape[1]*4)
	case container.Scale:
		if q.whole || q.leads {
			return store(q.scale, p.DType)
		}
	case container.ZeroPoint:
		if q.whole || q.leads {
			return append([]byte(nil), q.zp...)
		}
	case container.RowScale:
		var out []T
		for r := range q.rowsBegun() {
			s, _ := q.blocks(r)
			out = append(out, s...)
		}
		return store(out, p.DType)
	case container.PackedZeroPoint: // packed by whoever writes it
		var out []byte
		for r := range q.rowsBegun() {
			_, z := q.blocks(r)
			out = append(out, z...)
		}
		return out
	}
	return nil // literals
}

// rowsBegun is how many rows begin in the tile.
func (q *quantized[T]) rowsBegun() int {
	if q.tile.Col > 0 {
		return 0
	}
	return int(q.tile.Rows)
}

// pack packs row by row; width is the bytes of a packed row.
func (q *quantized[T]) pack(s scheme.Scheme, width int64) []byte {
	row := len(q.codes) / int(q.tile.Rows)
	if perByte := int64(8 / s.Bits()); q.tile.Cols > 0 { // tiles are cut at words
		width = min(width-q.tile.Col/perByte, (q.tile.Cols*int64(s.Bits())+31)/32*4)
	}
	out := make([]byte, q.tile.Rows*width)
	for r := range int(q.tile.Rows) {
		codes, dst := q.codes[r*row:(r+1)*row], out[int64(r)*width:int64(r+1)*width]
		if s.Bits() == 4 {
			kernel.Pack4(codes, s.Signed(), dst)
		} else {
			kernel.Pack8(codes, s.Signed(), dst)
		}
	}
	return out
}

// store writes values in a file's dtype; they are exact in it, but for BF16, which rounds.
func store[T kernel.Float](v []T, d tensor.DType) []byte {
	switch d {
	case tensor.F64:
		return append([]byte(nil), tensor.Bytes(any(v).([]float64))...)
	case tensor.F32:
		return append([]byte(nil), tensor.Bytes(any(v).([]float32))...)
	}
	half := make([]uint16, len(v))
	for i, f := range v {
		if d == tensor.BF16 {
			half[i] = tensor.F32ToBF16(float32(f))
		} else {
			half[i] = tensor.F32ToF16(float32(f))
		}
	}
	return tensor.Bytes(half)
}
