package verify

import (
	"fmt"
	"math"

	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// compare dequantizes row by row in float64 and holds each weight against its source.
func (q *quantized) compare(src *tensor.Tensor, row *Row, step func(bytes int64)) error {
	tight := q.tolerance()
	worst, allowed := 0.0, 0.0
	margin := math.Inf(-1) // how far the worst weight is beyond what is allowed
	low, high := q.scheme.Range()
	largest := make([]float64, len(q.scale)) // weight of each block
	filled := make([]bool, len(q.scale))     // blocks that hold anything but 0
	codes := make([]float64, q.row)
	var a, b []byte
	for _, t := range tile.Cut(src, 1) {
		a = tensor.Buffer(a, int(t.Size(src)))
		b = tensor.Buffer(b, int(q.weights.Bytes()/q.rows*t.Rows))
		if err := t.Read(src, a); err != nil {
			return err
		}
		if err := t.Read(q.weights, b); err != nil {
			return err
		}
		step(int64(len(a)))
		want, width := widen(src.DType, a), len(b)/int(t.Rows)
		for r := range int(t.Rows) {
			raw := b[r*width : (r+1)*width]
			first := (t.Row + int64(r)) / (q.rows / q.scaleRows) * q.across
			if q.decode != nil {
				q.decode(raw, codes)
			} else {
				codes = widen(q.stored, raw)
			}
			for i, w := range want[r*int(q.row) : (r+1)*int(q.row)] {
				k := first + int64(i)/(q.row/q.across)
				s, z := q.scale[k], 0.0
				if q.zp != nil {
					z = q.zp[k]
				}
				largest[k] = max(largest[k], math.Abs(w))
				d := codes[i]
				if q.decode == nil {
					if row.Problem = q.offGrid(d, s, z); row.Problem != "" {
						return nil
					}
				} else if c := codes[i]; c >= float64(low) && c <= float64(high) {
					d = s * (c - z)
				} else {
					row.Problem = "holds a code outside the range of its scheme"
					return nil
				}
				filled[k] = filled[k] || d != 0
				e, limit := math.Abs(w-d), tight(w, s)
				if math.IsNaN(e) {
					row.Problem = "is not a number"
					return nil
				}
				if e-limit > margin {
					margin, allowed = e-limit, limit
				}
				worst = max(worst, e)
			}
		}
	}
	row.MaxAbsError, row.Allowed = &worst, &allowed
	row.Problem = q.wideScale(largest, filled)
	if margin > 0 {
		row.Problem = fmt.Sprintf("is off by up to %.3g, more than its scheme allows", worst)
	}
	return nil
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

// wideScale finds a scale that is larger than the weights of its block need: half a
// step of it would allow any error. The packed container repeats the scale of a block
// of rows for each row, so rows below each other with one scale count as one block.
// Unsigned blocks without anything to scale have scale 1.
func (q *quantized) wideScale(largest []float64, filled []bool) string {
	low, high := q.scheme.Range()
	span := float64(high - low)
	if q.decode == nil {
		span-- // the buffers do not tell affine from symmetric, which has one code less
	}
	digits, tiny := q.precision()
	for c := range q.across {
		most, any := 0.0, false
		for r := range q.scaleRows {
			k := r*q.across + c
			s := q.scale[k]
			most, any = max(most, largest[k]), any || filled[k]
			if r+1 < q.scaleRows && q.scale[k+q.across] == s {
				continue
			}
			empty := s == 1 && !q.scheme.Signed() && !any && most <= span*tiny
			if s*span > 2*most*(1+8*digits)+span*tiny && !empty {
				return fmt.Sprintf("has a scale of %.3g where the largest weight is %.3g", s, most)
			}
			most, any = 0, false
		}
	}
	return ""
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
