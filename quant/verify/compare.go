package verify

import (
	"fmt"
	"math"

	"nibble/quant/tensor"
	"nibble/quant/tile"
)

// compare dequantizes row by row in float64 and holds each weight against its source.
func (q *quantized) compare(src *tensor.Tensor, row *Row) error {
	tight := q.tolerance()
	worst, allowed := 0.0, 0.0
	margin := math.Inf(-1) // how far the worst weight is beyond what is allowed
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
				d := codes[i]
				if q.decode != nil {
					d = s * (codes[i] - z)
				} else if problem := q.offGrid(d, s, z); problem != "" {
					row.Problem = problem
					return nil
				}
				e, limit := math.Abs(w-d), tight(w, s)
				if !(e-limit <= margin) {
					margin, allowed = e-limit, limit
				}
				worst = max(worst, e)
			}
		}
	}
	row.MaxAbsError, row.Allowed = &worst, &allowed
	if !(margin <= 0) {
		row.Problem = fmt.Sprintf("is off by up to %.3g, more than its scheme allows", worst)
	}
	return nil
}

// tolerance is the error that rounding to the nearest code allows for a weight w with
// scale s: half a step, plus what the arithmetic itself rounds away. That is a few
// units in the last place of the codes' span, and where scales are subnormal numbers,
// half the smallest one per code.
func (q *quantized) tolerance() func(w, s float64) float64 {
	digits := map[tensor.DType]float64{tensor.F16: 0x1p-11, tensor.F32: 0x1p-24, tensor.F64: 0x1p-24}[q.arithmetic]
	tiny := map[tensor.DType]float64{tensor.F16: 0x1p-24, tensor.F32: 0x1p-149, tensor.F64: 0x1p-149}[q.arithmetic]
	span := float64(int(1) << q.scheme.Bits())
	stored := digits
	if q.stored == tensor.BF16 && q.decode == nil {
		stored = 0x1p-8 // the preview is rounded to bfloat16
	}
	return func(w, s float64) float64 {
		return s*(0.5+4*span*digits) + span*tiny + math.Abs(w)*stored + s*stored
	}
}

// offGrid checks that a stored float is a code times its scale.
func (q *quantized) offGrid(d, s, z float64) string {
	if s == 0 {
		if d != 0 {
			return fmt.Sprintf("holds %g where the scale is 0", d)
		}
		return ""
	}
	code := math.RoundToEven(d/s) + z
	low, high := -float64(int(1)<<(q.scheme.Bits()-1)), float64(int(1)<<(q.scheme.Bits()-1)-1)
	if !q.scheme.Signed() {
		low, high = 0, high*2+1
	}
	if !(code >= low && code <= high) {
		return fmt.Sprintf("holds %g, which is code %g at scale %g", d, code, s)
	}
	return ""
}
