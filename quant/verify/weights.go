package verify

import (
	"bytes"
	"fmt"
	"math"

	"nibble/quant/kernel"
	"nibble/quant/plane"
	"nibble/quant/tensor"
)

// weightsOf compares what the pieces with something of each weight store for values of a row from a column on. With the
// last column come the bits that fill a row.
func (d *derivation[T]) weightsOf(row, block, col int64, values []T) (string, error) {
	d.codes = resize(d.codes, len(values))
	e := kernel.Errors{}
	d.eachBlock(block, col, len(values), func(from, to, width, k, n int) {
		d.method.Encode(values[from:to], width, d.params.Slice(k, k+n), d.codes[from:to], &e)
	})
	for i := range d.pieces {
		p := &d.pieces[i]
		if !p.Code.Weights() {
			continue
		}
		t := plane.Tile[T]{Rows: 1, First: row, GroupWidth: int(d.Grid.GroupWidth()), Codes: d.codes}
		switch {
		case p.Code.Plane == plane.Values:
			t.Values = d.decoded(block, col)
		case p.Code.Whole():
			k := int(col/d.Grid.GroupWidth() - block)
			t.Params = d.params.Slice(k, k+len(values)/t.GroupWidth)
		}
		d.made = p.code.Append(d.made[:0], &t)
		if p.Code.Plane == plane.Values && p.DType == tensor.BF16 {
			e.Max = largest(values, d.made)
		}
		got, err := p.rows.read(row, p.Code.Bytes(col), int64(len(d.made)))
		if err != nil {
			return "", err
		}
		if !bytes.Equal(got, d.made) {
			at := int64(firstDifference(got, d.made)) * int64(len(values)) / int64(len(d.made))
			return fmt.Sprintf("differs in row %d, at column %d or near it, from what %s %s makes of the source",
				row, col+at, d.scheme.WeightDType, d.scheme.Mode), nil
		}
	}
	d.worst = max(d.worst, e.Max)
	return "", nil
}

// decoded is what the codes from a column on stand for.
func (d *derivation[T]) decoded(block, col int64) []T {
	d.out = resize(d.out, len(d.codes))
	d.eachBlock(block, col, len(d.codes), func(from, to, width, k, n int) {
		d.method.Decode(d.codes[from:to], width, d.params.Slice(k, k+n), d.out[from:to])
	})
	return d.out
}

// largest is the largest error of weights that the output holds in bfloat16, which rounds once more what their codes
// stand for.
func largest[T kernel.Float](values []T, stored []byte) (worst float64) {
	for i, half := range tensor.View[uint16](stored) {
		worst = max(worst, math.Abs(float64(values[i])-float64(tensor.BF16ToF32(half))))
	}
	return worst
}

// firstDifference is where a and b, of one length, differ first; 0 where they do not.
func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return 0
}

func resize[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
