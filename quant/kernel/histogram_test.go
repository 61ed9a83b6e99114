package kernel

import (
	"math"
	"testing"
)

// Counting in pieces, in any order, gives what one count gives; and that is what the
// definition says.
func TestHistogram(t *testing.T) {
	const n = 300_000
	before, after := make([]float32, n), make([]float32, n)
	for i := range before {
		before[i] = float32(math.Sin(float64(i)*1.7)) * float32(i) / 1000
		after[i] = float32(math.Round(float64(before[i])*4) / 4)
	}
	one := NewHistogram(n)
	Count(one, 0, before, after)
	if one.Every != 5 || one.Exponent != 9 || one.Span() != 512 {
		t.Fatalf("every %d, exponent %d", one.Every, one.Exponent)
	}
	parts := NewHistogram(n)
	for _, cut := range [][2]int{{200_001, n}, {0, 7}, {50_000, 200_001}, {7, 50_000}} {
		part := NewHistogram(n)
		Count(part, int64(cut[0]), before[cut[0]:cut[1]], after[cut[0]:cut[1]])
		parts.Add(part)
	}
	if *one != *parts {
		t.Error("counting in pieces differs")
	}
	var want [Bins]int32
	for i := 0; i < n; i += 5 {
		want[int(math.Floor(float64(before[i])/8))+64]++
	}
	if want != one.Before {
		t.Errorf("got  %v\nwant %v", one.Before, want)
	}
	total := int32(0)
	for _, c := range one.After {
		total += c
	}
	if total != n/5 {
		t.Errorf("%d counted, want %d", total, n/5)
	}
}

func TestHistogramOfEdges(t *testing.T) {
	h := NewHistogram(4)
	Count(h, 0, []float64{0, 0}, []float64{0, 0})
	if h.Span() != 0 || h.Before[Bins/2] != 2 {
		t.Errorf("zeros: %+v", h)
	}
	Count(h, 2, []float64{-1, 5e-324}, []float64{math.MaxFloat64, 1})
	if h.Exponent != 1024 || h.Before[Bins/2] != 3 || h.Before[Bins/2-1] != 1 || h.After[Bins-1] != 1 {
		t.Errorf("edges: %+v", h)
	}
}
