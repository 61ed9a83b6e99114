package convert

import (
	"iter"

	"nibble/quant/kernel"
	"nibble/quant/plane"
)

// chunks cuts n values into parts of about size, each a multiple of step. What is left of a
// multiple of 8 comes last, for the kernels to be quick with all before it.
func chunks(n, step, size int) iter.Seq2[int, int] {
	size = max(size/step, 1) * step
	return func(yield func(from, to int) bool) {
		for from := 0; from < n; {
			to := min(from+size, n)
			if rest := (to - from) % 8; step == 1 && rest > 0 && to-from > rest {
				to -= rest
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// part quantizes some runs of the tile, which begin at a place in it.
func (q *quantized[T]) part(src []T, at, run int, params plane.Params[T]) {
	codes := q.codes[at : at+len(src)]
	errors := &q.result.Errors[len(q.result.Errors)-1]
	if q.out == nil {
		q.method.Encode(src, run, params, codes, errors)
	} else {
		q.preview(src, run, params, codes, q.out[at:at+len(src)], errors)
	}
	if q.result.Histogram != nil {
		q.count(q.tile.Row*q.task.Grid.Row()+q.tile.Col+int64(at), src, run, params, codes)
	}
}

// preview is for dequantized weights. Those that are stored rounded are measured rounded.
func (q *quantized[T]) preview(src []T, run int, params plane.Params[T], codes []byte, out []T, e *kernel.Errors) {
	if !q.rounds {
		q.method.Encode(src, run, params, codes, e)
		q.method.Decode(codes, run, params, out)
		return
	}
	var before kernel.Errors
	q.method.Encode(src, run, params, codes, &before)
	q.method.Decode(codes, run, params, out)
	rounded := any(out).([]float32)
	half := make([]uint16, len(rounded))
	kernel.Narrow(half, rounded, false)
	kernel.Widen(rounded, half, false)
	kernel.Measure(kernel.Arith{}, any(src).([]float32), rounded, run, any(params.Scale).([]float32), e)
}

// count adds every so many-th weight, and what its code stands for, to the histogram; first is the index of the first
// weight in its tensor.
func (q *quantized[T]) count(first int64, src []T, run int, params plane.Params[T], codes []byte) {
	h, s := q.result.Histogram, &q.buffer.samples
	*s = samples[T]{before: s.before[:0], codes: s.codes[:0], after: s.after, params: s.params.Emptied(params)}
	if h.Every == 1 {
		s.after = grow(s.after, len(src))
		q.method.Decode(codes, run, params, s.after)
		kernel.Count(h, src, s.after)
		return
	}
	for i := int((h.Every - first%h.Every) % h.Every); i < len(src); i += int(h.Every) {
		s.before, s.codes = append(s.before, src[i]), append(s.codes, codes[i])
		s.params = s.params.Append(params.Slice(i/run, i/run+1))
	}
	s.after = grow(s.after, len(s.codes))
	q.method.Decode(s.codes, 1, s.params, s.after)
	kernel.Count(h, s.before, s.after)
}

// samples are the weights that a histogram counts, each with the parameters of its group.
type samples[T kernel.Float] struct {
	before, after []T
	codes         []byte
	params        plane.Params[T]
}
