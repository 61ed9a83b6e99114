package kernel

import (
	"math"
	"testing"
)

// count adds every so many-th weight, and the halves that int8 codes stand for; first is the index of the first weight.
func count(h *Histogram, first int, before []float32, codes []byte) {
	for i, w := range before {
		if int64(first+i)%h.Every == 0 {
			Count(h, []float32{w}, []float32{float32(int8(codes[i])) / 2})
		}
	}
}

// Counting some at a time, in any order, gives what one count gives; and that is what the
// definition says.
func TestHistogram(t *testing.T) {
	const n = 80_000
	before, after, codes := make([]float32, n), make([]float32, n), make([]byte, n)
	for i := range before {
		before[i] = float32(math.Sin(float64(i)*1.7)) * float32(i) / 1000
		codes[i] = byte(i)
		after[i] = float32(int8(codes[i])) / 2
	}
	one := NewHistogram(HistogramStep(n, 1<<14))
	count(one, 0, before, codes)
	if one.Every != 5 || one.Exponent != 7 || one.Span() != 128 {
		t.Fatalf("every %d, exponent %d", one.Every, one.Exponent)
	}
	joined := NewHistogram(HistogramStep(n, 1<<14))
	for _, cut := range [][2]int{{60_001, n}, {0, 7}, {50_000, 60_001}, {7, 50_000}} {
		some := NewHistogram(HistogramStep(n, 1<<14))
		count(some, cut[0], before[cut[0]:cut[1]], codes[cut[0]:cut[1]])
		joined.Add(some)
	}
	if *one != *joined {
		t.Error("counting some at a time differs")
	}
	for what, of := range map[string]struct {
		values []float32
		counts [Bins]int32
	}{"before": {before, one.Before}, "after": {after, one.After}} {
		var want [Bins]int32
		for i := 0; i < n; i += 5 {
			want[int(math.Floor(float64(of.values[i])/2))+64]++
		}
		if want != of.counts {
			t.Errorf("%s: got  %v\nwant %v", what, of.counts, want)
		}
	}
	total := int32(0)
	for _, c := range one.After {
		total += c
	}
	if total != n/5 {
		t.Errorf("%d counted, want %d", total, n/5)
	}
}

// The first value does not decide: negative powers of two, which end a span, once widened one that
// had room for them.
func TestHistogramOfAnyOrder(t *testing.T) {
	for _, order := range [][]float64{{0.75, -1, 3, -4}, {-1, 0.75, -4, 3}, {-4, 3, -1, 0.75}} {
		h := NewHistogram(1)
		bins := h.bins()
		for _, v := range order {
			h.Before[bins.of(v)]++
		}
		if h.Exponent != 2 || h.Before[0] != 1 || h.Before[64-16] != 1 || h.Before[64+12] != 1 || h.Before[64+48] != 1 {
			t.Errorf("%v: %+v", order, h)
		}
	}
}

func TestHistogramOfEdges(t *testing.T) {
	h := NewHistogram(1)
	bins := h.bins()
	for _, zero := range []float64{0, math.Copysign(0, -1)} {
		h.Before[bins.of(zero)]++
	}
	if h.Span() != 0 || h.Before[Bins/2] != 2 {
		t.Errorf("zeros: %+v", h)
	}
	for _, v := range []float64{-1, 5e-324, -5e-324} {
		h.Before[bins.of(v)]++
	}
	for _, v := range []float64{math.MaxFloat64, 1, -math.MaxFloat64} {
		h.After[bins.of(v)]++
	}
	if h.Exponent != 1024 || h.Before[Bins/2] != 3 || h.Before[Bins/2-1] != 2 || h.After[Bins-1] != 1 || h.After[0] != 1 ||
		h.After[Bins/2] != 1 {
		t.Errorf("edges: %+v", h)
	}
	tiny := NewHistogram(1)
	bins = tiny.bins()
	tiny.Before[bins.of(-5e-324)]++
	if tiny.Before[Bins/2-1] != 1 {
		t.Errorf("tiny: %+v", tiny)
	}
}
