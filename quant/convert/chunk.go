package convert

import (
	"iter"

	"nibble/quant/kernel"
	"nibble/quant/plane"
)

// chunks cuts n values into ranges of about size, each a multiple of step. What is more than a multiple of 8 comes
// last, so that the kernels are quick with all before it.
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

// encode quantizes one chunk: weights of the tile from the place at on, in groups of so many.
func (q *tileQuantizer[T]) encode(src []T, at, width int, params plane.Params[T]) {
	codes := q.codes[at : at+len(src)]
	errors := &q.result.Errors[len(q.result.Errors)-1]
	if q.out == nil {
		q.method.Encode(src, width, params, codes, errors)
	} else {
		q.encodeAndDecode(src, width, params, codes, q.out[at:at+len(src)], errors)
	}
	if q.result.Histogram != nil {
		q.count(q.tile.Row*q.task.Grid.Row()+q.tile.Col+int64(at), src, width, params, codes)
	}
}

// encodeAndDecode is encode where a piece holds what the codes stand for. Values that are stored rounded are measured
// as they are stored.
func (q *tileQuantizer[T]) encodeAndDecode(src []T, width int, params plane.Params[T], codes []byte, out []T,
	e *kernel.Errors) {
	if !q.rounds {
		q.method.Encode(src, width, params, codes, e)
		q.method.Decode(codes, width, params, out)
		return
	}
	var before kernel.Errors
	q.method.Encode(src, width, params, codes, &before)
	q.method.Decode(codes, width, params, out)
	rounded := any(out).([]float32)
	half := make([]uint16, len(rounded))
	kernel.Narrow(half, rounded, false)
	kernel.Widen(rounded, half, false)
	kernel.Measure(kernel.Arith{}, any(src).([]float32), rounded, width, any(params.Scale).([]float32), e)
}

// count adds every so many-th weight, and what its code stands for, to the histogram; first is the index of the first
// weight in its tensor.
func (q *tileQuantizer[T]) count(first int64, src []T, width int, params plane.Params[T], codes []byte) {
	h, s := q.result.Histogram, &q.buffer.samples
	*s = samples[T]{before: s.before[:0], codes: s.codes[:0], after: s.after, params: s.params.Emptied(params)}
	if h.Every == 1 {
		s.after = grow(s.after, len(src))
		q.method.Decode(codes, width, params, s.after)
		kernel.Count(h, src, s.after)
		return
	}
	for i := int((h.Every - first%h.Every) % h.Every); i < len(src); i += int(h.Every) {
		s.before, s.codes = append(s.before, src[i]), append(s.codes, codes[i])
		s.params = s.params.Append(params.Slice(i/width, i/width+1))
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
