package kernel

import "math"

// Bins of a histogram.
const Bins = 128

// Histogram counts weights before and after in bins of one width. It spans
// [-2^Exponent, 2^Exponent); a larger value doubles the span and joins neighbouring
// bins, which is exact, so the counts do not depend on the order of the values or on
// who counted them. Large tensors are sampled: every Every-th weight is counted.
type Histogram struct {
	Every         int64
	Exponent      int         // of the span; noValue before the first weight that is not 0
	Before, After [Bins]int32 // no more than samples and one, a tensor
}

const noValue = -2000 // below any float's

// samples is about how many weights of a tensor are counted.
const samples = 1 << 16

// NewHistogram is empty, for a tensor of so many weights. The step is odd, so that it
// does not fall into step with rows, whose lengths seldom are.
func NewHistogram(weights int64) *Histogram {
	return &Histogram{Every: (weights+samples-1)/samples | 1, Exponent: noValue}
}

// Count adds weights and what they became; first is the index of the first one in its
// tensor.
func Count[T Float](h *Histogram, first int64, before, after []T) {
	from := (h.Every - first%h.Every) % h.Every
	most := 0.0
	for i := from; i < int64(len(before)); i += h.Every {
		most = max(most, math.Abs(float64(before[i])), math.Abs(float64(after[i])))
	}
	if _, exponent := math.Frexp(most); most > 0 {
		h.widen(exponent)
	}
	for i := from; i < int64(len(before)); i += h.Every {
		h.Before[h.bin(float64(before[i]))]++
		h.After[h.bin(float64(after[i]))]++
	}
}

// bin is which bin a value falls in.
func (h *Histogram) bin(v float64) int {
	if v == 0 {
		return Bins / 2
	}
	return int(math.Floor(math.Ldexp(v, -h.Exponent)*(Bins/2))) + Bins/2
}

// widen makes room for values below 2^exponent.
func (h *Histogram) widen(exponent int) {
	if h.Exponent == noValue {
		h.Exponent = exponent // all counts so far are zeros, in the bin that stays the middle
	}
	for ; h.Exponent < exponent; h.Exponent++ {
		h.Before, h.After = joined(h.Before), joined(h.After)
	}
}

// joined halves the number of filled bins around the middle.
func joined(old [Bins]int32) (wide [Bins]int32) {
	for i, n := range old {
		wide[(i-Bins/2)>>1+Bins/2] += n
	}
	return wide
}

// Add joins the counts of another part of the same tensor.
func (h *Histogram) Add(o *Histogram) {
	part := *o
	if part.Exponent != noValue {
		h.widen(part.Exponent)
		part.widen(h.Exponent)
	}
	for i := range h.Before {
		h.Before[i] += part.Before[i]
		h.After[i] += part.After[i]
	}
}

// Span is half the width that the bins cover; 0 when all weights are 0.
func (h *Histogram) Span() float64 {
	if h.Exponent == noValue {
		return 0
	}
	return math.Ldexp(1, h.Exponent)
}
