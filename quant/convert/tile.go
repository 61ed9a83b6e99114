package convert

import (
	"context"
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

// params are the scales of a weight whose blocks reach over all rows.
type params struct {
	once  sync.Once
	err   error
	scale any // []float32 or []float64
	zp    []byte
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
	if r.params != nil {
		r.params.once.Do(func() { r.params.err = b.ranges(ctx, r) })
		if r.params.err != nil {
			return r.params.err
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

// ranges is the first pass over a weight whose blocks reach over all rows.
func (b *buffers) ranges(ctx context.Context, r *run) error {
	if r.entry.Tensor.DType == tensor.F64 {
		return rangesOf(ctx, b, r, func() []float64 { return tensor.View[float64](b.source) })
	}
	return rangesOf(ctx, b, r, func() []float32 { return b.widen(r.entry.Tensor.DType) })
}

func rangesOf[T kernel.Float](ctx context.Context, b *buffers, r *run, values func() []T) error {
	e := r.entry
	across := int(e.Grid.Across())
	lo, hi := make([]T, across), make([]T, across)
	kernel.Reset(lo, hi)
	for _, t := range tile.Cut(e.Tensor, 1) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.source = tensor.Buffer(b.source, int(t.Size(e.Tensor)))
		if err := t.Read(e.Tensor, b.source); err != nil {
			return err
		}
		src, row := values(), int(e.Grid.Row())
		for at := 0; at < len(src); at += row {
			kernel.Range(src[at:at+row], int(e.Grid.Run()), lo, hi)
		}
	}
	scale, zp, err := blockParams(e, lo, hi)
	r.params.scale, r.params.zp = scale, zp
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

// tileParams are the scales and zero points of a tile whose blocks lie within it.
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

// quantizeTile measures, quantizes and encodes one tile for every piece of the run.
func quantizeTile[T kernel.Float](b *buffers, j *job, src []T, out *[]T) error {
	e := j.run.entry
	g, a := e.Grid, arith(e)
	row, across, length := int(g.Row()), int(g.Across()), int(g.Run())
	blockRows := int(g.BlockRows)
	var scale []T
	var zp []byte
	if p := j.run.params; p != nil {
		scale, zp = p.scale.([]T), p.zp
	} else {
		var err error
		if scale, zp, err = tileParams(e, src); err != nil {
			return err
		}
	}
	values := quantized[T]{scale: scale, zp: zp, across: across, row: row, rows: len(src) / row, blockRows: blockRows}
	if j.run.Pieces[0].Content.Weights() {
		b.codes = grow(b.codes, len(src))
		*out = grow(*out, len(src))
		values.codes, values.out = b.codes, *out
		for r := range values.rows {
			s, z := values.blocks(r)
			from, to := r*row, (r+1)*row
			kernel.Quantize(a, src[from:to], length, s, z, b.codes[from:to])
			kernel.Dequantize(a, b.codes[from:to], length, s, z, (*out)[from:to])
		}
		if e.Tensor.DType == tensor.BF16 && j.run.Pieces[0].Content == container.Dequantized {
			for i, v := range *out { // the preview is stored in bfloat16, so that is what is measured
				(*out)[i] = T(tensor.BF16ToF32(tensor.F32ToBF16(float32(v))))
			}
		}
		kernel.Measure(&j.cost.Errors, src, *out)
		j.cost.Histogram = kernel.NewHistogram(e.Tensor.Elements())
		kernel.Count(j.cost.Histogram, j.tile.Row*g.Row(), src, *out)
	}
	for i := range j.run.Pieces {
		// Per-tensor parameters belong to the file once, not once per tile.
		if c := j.run.Pieces[i].Content; j.run.params != nil && !j.first && (c == container.Scale || c == container.ZeroPoint) {
			continue
		}
		j.parts[i] = values.encode(e, &j.run.Pieces[i])
	}
	return nil
}

// quantized is one tile after the kernels.
type quantized[T kernel.Float] struct {
	scale, out      []T
	zp, codes       []byte
	across, row     int
	rows, blockRows int
}

// blocks are the scales and zero points of row r.
func (q *quantized[T]) blocks(r int) ([]T, []byte) {
	at := r / q.blockRows * q.across
	if len(q.scale) == q.across { // one row of blocks serves all
		at = 0
	}
	if q.zp == nil {
		return q.scale[at : at+q.across], nil
	}
	return q.scale[at : at+q.across], q.zp[at : at+q.across]
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
		return q.pack(e.Scheme, int(p.Shape[1]*4))
	case container.Scale:
		return store(q.scale, p.DType)
	case container.ZeroPoint:
		return append([]byte(nil), q.zp...)
	case container.RowScale:
		var out []T
		for r := range q.rows {
			s, _ := q.blocks(r)
			out = append(out, s...)
		}
		return store(out, p.DType)
	case container.PackedZeroPoint: // packed when the run ends
		var out []byte
		for r := range q.rows {
			_, z := q.blocks(r)
			out = append(out, z...)
		}
		return out
	}
	return nil // literals
}

// pack packs row by row; width is the bytes of a packed row.
func (q *quantized[T]) pack(s scheme.Scheme, width int) []byte {
	out := make([]byte, q.rows*width)
	for r := range q.rows {
		codes, dst := q.codes[r*q.row:(r+1)*q.row], out[r*width:(r+1)*width]
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
