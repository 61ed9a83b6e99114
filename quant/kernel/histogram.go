package kernel

import "math"

// Bins is the number of bins of a histogram.
const Bins = 128

// Histogram counts weights before and after quantizing in bins of one width. It spans [-2^Exponent, 2^Exponent). A
// larger value doubles the span and joins neighbouring bins, which is exact, so that the counts do not depend on the
// order of the values or on who counted them. Of a large tensor every Every-th weight is counted.
type Histogram struct {
	Every         int64
	Spans         bool        // a weight that is not 0 was counted
	Exponent      int         // of the span, valid when it Spans
	Before, After [Bins]int32 // no more than samples and one, a tensor
}

// leastExponent is the smallest exponent of a span: what is smaller falls into the middle.
const leastExponent = -900 // the smallest exponent of a span: what is smaller falls into the middle

// HistogramStep is the Every with which about so many samples of a tensor's weights are counted. It is odd, so that
// it does not fall into step with rows, whose lengths seldom are.
func HistogramStep(weights, samples int64) int64 { return (weights+samples-1)/samples | 1 }

// NewHistogram is empty; it counts every so many-th weight.
func NewHistogram(every int64) *Histogram {
	return &Histogram{Every: every}
}

// Count adds weights, and what their codes stand for.
func Count[T Float](h *Histogram, before, after []T) {
	bins := h.bins()
	for i := range before {
		h.Before[bins.of(float64(before[i]))]++
		h.After[bins.of(float64(after[i]))]++
	}
}

// bins finds the bin of a value.
type bins struct {
	h      *Histogram
	factor float64 // bins per unit
}

// bins finds bins at the histogram's present span.
func (h *Histogram) bins() bins { return bins{h, math.Ldexp(Bins/2, -h.Exponent)} }

// of is the bin that a value falls in, once the histogram has room for it.
func (b *bins) of(v float64) int {
	if v == 0 || v != v {
		return Bins / 2
	}
	x := v * b.factor
	if !b.h.Spans || x >= Bins/2 || x < -Bins/2 {
		b.h.widen(exponentOf(v))
		*b = b.h.bins()
		x = v * b.factor
	}
	i := int(x)
	if x < float64(i) {
		i-- // towards the lower end, not towards 0
	}
	if x < 0 && i == 0 {
		i = -1 // v is too small for x
	}
	return min(max(i, -Bins/2), Bins/2-1) + Bins/2
}

// exponentOf is the exponent of the smallest span that holds a value: -1 is in [-1, 1), 1 is not. Were it not the
// smallest, the span would depend on which value came first.
func exponentOf(v float64) int {
	fraction, exponent := math.Frexp(v)
	if fraction == -0.5 {
		exponent--
	}
	return exponent
}

// widen makes room for values from -2^exponent to below 2^exponent.
func (h *Histogram) widen(exponent int) {
	exponent = max(exponent, leastExponent)
	if !h.Spans {
		h.Spans, h.Exponent = true, exponent // all counts so far are zeros, in the bin that stays the middle
	}
	for ; h.Exponent < exponent; h.Exponent++ {
		h.Before, h.After = halved(h.Before), halved(h.After)
	}
}

// halved joins each two neighbouring bins, so that the counts fill half the bins around the middle.
func halved(old [Bins]int32) (wide [Bins]int32) {
	for i, n := range old {
		wide[(i-Bins/2)>>1+Bins/2] += n
	}
	return wide
}

// Add joins the counts of other weights of the same tensor.
func (h *Histogram) Add(o *Histogram) {
	other := *o
	if other.Spans {
		h.widen(other.Exponent)
		other.widen(h.Exponent)
	}
	for i := range h.Before {
		h.Before[i] += other.Before[i]
		h.After[i] += other.After[i]
	}
}

// Span is half the width that the bins cover; 0 when all weights are 0.
func (h *Histogram) Span() float64 {
	if !h.Spans {
		return 0
	}
	return math.Ldexp(1, h.Exponent)
}
