package verify

import (
	"fmt"
	"math"

	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// compare dequantizes row by row in float64 and holds each weight against its source.
func (q *quantized) compare(src *tensor.Tensor, row *Row, step func(bytes int64)) error {
	x := &comparison{quantized: q, tight: q.tolerance(), margin: math.Inf(-1)}
	x.low, x.high = q.scheme.Range()
	x.largest, x.filled = make([]float64, q.across), make([]bool, q.across)
	var a, b []byte
	for _, t := range tile.Cut(src, 1, limit) {
		stored := q.stores(t)
		a, b = tensor.Buffer(a, int(t.Size(src))), tensor.Buffer(b, int(stored.Size(q.weights)))
		if err := t.Read(src, a, window); err != nil {
			return err
		}
		if err := stored.Read(q.weights, b, window); err != nil {
			return err
		}
		step(int64(len(a)))
		if err := x.tile(t, widen(src.DType, a), b); err != nil {
			return err
		}
		if row.Problem = q.problem; row.Problem != "" {
			return nil
		}
	}
	row.MaxAbsError, row.Allowed = &x.worst, &x.allowed
	x.endBlocks(nil)
	row.Problem = q.problem
	if x.margin > 0 {
		row.Problem = fmt.Sprintf("is off by up to %.3g, more than its scheme allows", x.worst)
	}
	return nil
}

// stores is where the output has the weights of a tile: packed ones in words.
func (q *quantized) stores(t tile.Tile) tile.Tile {
	if per := int64(32 / max(q.scheme.Bits(), 1)); t.Cols > 0 && q.weights.DType == tensor.I32 {
		t.Col, t.Cols = t.Col/per, (t.Cols+per-1)/per
	}
	return t
}

// comparison is one weight on its way through compare.
type comparison struct {
	*quantized
	tight          func(w, s float64) float64
	low, high      int
	worst, allowed float64
	margin         float64 // how far the worst weight is beyond what is allowed
	codes          []float64

	// the blocks that the last rows belong to
	current []float64 // their scales
	row     int64     // of scales
	largest []float64 // weight of each
	filled  []bool    // they hold anything but 0
}

// tile compares the weights of a tile with what the output stores for it.
func (x *comparison) tile(t tile.Tile, want []float64, stored []byte) error {
	repeat := x.rows / x.scaleRows
	if err := x.load(t.Row/repeat, (t.Row+t.Rows-1)/repeat+1); err != nil || x.problem != "" {
		return err
	}
	wide, width := len(want)/int(t.Rows), len(stored)/int(t.Rows)
	for r := range int(t.Rows) {
		k := (t.Row + int64(r)) / repeat
		first := (k - x.at) * x.across
		scale := x.scale[first : first+x.across]
		if x.current == nil || k != x.row {
			x.endBlocks(scale)
			x.row, x.current = k, append(x.current[:0], scale...)
		}
		var zp []float64
		if x.points != nil {
			zp = x.zp[first : first+x.across]
		}
		x.segment(t.Col, want[r*wide:(r+1)*wide], stored[r*width:(r+1)*width], scale, zp)
		if x.problem != "" {
			return nil
		}
	}
	return nil
}

// segment compares consecutive weights of one row, from a column on.
func (x *comparison) segment(col int64, want []float64, stored []byte, scale, zp []float64) {
	if x.decode != nil {
		if len(x.codes) < len(want) {
			x.codes = make([]float64, len(want))
		}
		x.decode(stored, x.codes[:len(want)])
	} else {
		x.codes = widen(x.stored, stored)
	}
	run := x.quantized.row / x.across
	for i, w := range want {
		k := (col + int64(i)) / run
		s, z := scale[k], 0.0
		if zp != nil {
			z = zp[k]
		}
		x.largest[k] = max(x.largest[k], math.Abs(w))
		d := x.codes[i]
		if x.decode == nil {
			if x.problem = x.offGrid(d, s, z); x.problem != "" {
				return
			}
		} else if d >= float64(x.low) && d <= float64(x.high) {
			d = s * (d - z)
		} else {
			x.problem = "holds a code outside the range of its scheme"
			return
		}
		x.filled[k] = x.filled[k] || d != 0
		e, limit := math.Abs(w-d), x.tight(w, s)
		if math.IsNaN(e) {
			x.problem = "is not a number"
			return
		}
		if e-limit > x.margin {
			x.margin, x.allowed = e-limit, limit
		}
		x.worst = max(x.worst, e)
	}
}

// endBlocks ends the blocks above a row of scales; nil is the end of the weight. It finds
// a scale that is larger than the weights of its block need: half a step of it would allow
// any error. The packed container repeats the scale of a block of rows for each row, so
// rows below each other with one scale count as one block. Unsigned blocks without anything
// to scale have scale 1.
func (x *comparison) endBlocks(next []float64) {
	span := float64(x.high - x.low)
	if x.decode == nil {
		span-- // the buffers do not tell affine from symmetric, which has one code less
	}
	digits, tiny := x.precision()
	for k, s := range x.current {
		if next != nil && next[k] == s {
			continue
		}
		most := x.largest[k]
		empty := s == 1 && !x.scheme.Signed() && !x.filled[k] && most <= span*tiny
		if s*span > 2*most*(1+8*digits)+span*tiny && !empty && x.problem == "" {
			x.problem = fmt.Sprintf("has a scale of %.3g where the largest weight is %.3g", s, most)
		}
		x.largest[k], x.filled[k] = 0, false
	}
}

// tolerance is the error that rounding to the nearest code allows for a weight w with
// scale s: half a step, plus what the arithmetic itself rounds away. That is a few
// units in the last place of the codes' span, and where scales are subnormal numbers,
// half the smallest one per code.
func (q *quantized) tolerance() func(w, s float64) float64 {
	digits, tiny := q.precision()
	span := float64(int(1) << q.scheme.Bits())
	stored := digits
	if q.stored == tensor.BF16 && q.decode == nil {
		stored = 0x1p-8 // the preview is rounded to bfloat16
	}
	return func(w, s float64) float64 {
		return s*(0.5+4*span*digits) + span*tiny + math.Abs(w)*stored + s*stored
	}
}

// precision is half a unit in the last place of 1, and the smallest number, of the
// dtype the arithmetic ran in.
func (q *quantized) precision() (digits, tiny float64) {
	if q.arithmetic == tensor.F16 {
		return 0x1p-11, 0x1p-24
	}
	return 0x1p-24, 0x1p-149
}

// offGrid checks that a stored float is a code times its scale.
func (q *quantized) offGrid(d, s, z float64) string {
	if s == 0 {
		if d != 0 {
			return fmt.Sprintf("holds %g where the scale is 0", d)
		}
		return ""
	}
	digits, tiny := q.precision()
	if q.stored == tensor.BF16 {
		digits, tiny = 0x1p-8, 0x1p-133
	}
	steps := math.RoundToEven(d / s)
	low, high := q.scheme.Range()
	// A preview so small that its dtype has hardly any digits left for it does not tell
	// the code exactly.
	slack := math.Round(tiny / s) // 0 for every scale that is not as small
	if code := steps + z; !(code >= float64(low)-slack && code <= float64(high)+slack) || math.IsInf(steps, 0) {
		return fmt.Sprintf("holds %g, which is code %g at scale %g", d, code, s)
	}
	if math.Abs(d-steps*s) > 2*digits*math.Abs(d)+tiny {
		return fmt.Sprintf("holds %g, which is no multiple of its scale %g", d, s)
	}
	return ""
}
