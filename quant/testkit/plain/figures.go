package plain

import (
	"fmt"
	"math"

	"nibble/quant/kernel"
	"nibble/quant/report"
)

// Figures is what quantizing a weight cost, by definition.
type Figures struct {
	RMSE, Cosine, Max float64
	Signal, Noise     float64
	Histogram         kernel.Histogram
}

// figuresOf compares a weight with the values that stand for it. The histogram counts what the codes
// stand for, before bfloat16 rounds it.
func figuresOf(w *Weight, steps []float64, samples int64) *Figures {
	f, cross, other := &Figures{Cosine: 1}, 0.0, 0.0
	for i, v := range w.Values {
		d := steps[i]
		f.Noise += (v - d) * (v - d)
		f.Signal += v * v
		cross += v * d
		other += d * d
		f.Max = max(f.Max, math.Abs(v-d))
	}
	f.RMSE = math.Sqrt(f.Noise / float64(len(w.Values)))
	switch norm := math.Sqrt(f.Signal) * math.Sqrt(other); {
	case norm > 0:
		f.Cosine = cross / norm
	case f.Signal > 0:
		f.Cosine = 0
	}
	f.Histogram = histogram(w, samples)
	return f
}

// histogram counts in 128 bins over the smallest span of a power of two that has room for all.
func histogram(w *Weight, samples int64) kernel.Histogram {
	n := int64(len(w.Values))
	h := kernel.Histogram{Every: (n+samples-1)/samples | 1, Exponent: -900}
	var before, after []float64
	empty := true
	for i := int64(0); i < n; i += h.Every {
		before, after = append(before, w.Values[i]), append(after, w.Steps[i])
		for _, v := range []float64{w.Values[i], w.Steps[i]} {
			empty = empty && v == 0
			for v < -math.Ldexp(1, h.Exponent) || v >= math.Ldexp(1, h.Exponent) {
				h.Exponent++
			}
		}
	}
	bin := func(v float64) int {
		if v == 0 {
			return kernel.Bins / 2
		}
		return int(math.Floor(math.Ldexp(v, -h.Exponent)*(kernel.Bins/2))) + kernel.Bins/2
	}
	for i := range before {
		h.Before[bin(before[i])]++
		h.After[bin(after[i])]++
	}
	if h.Spans = !empty; empty {
		h.Exponent = 0
	}
	return h
}

// Differ says how a row of the report differs from these figures, by more than 1e-6 of them; "" when
// it does not. Sums of float32 carry seven digits.
func (f *Figures) Differ(r *report.Tensor, histograms bool) string {
	if r.RMSE == nil || r.Cosine == nil || r.MaxAbsError == nil {
		return "figures are missing"
	}
	near := func(a, b, slack float64) bool { return a == b || math.Abs(a-b) <= 1e-6*math.Abs(b)+slack }
	switch {
	case !near(*r.RMSE, f.RMSE, 0):
		return fmt.Sprintf("rmse is %v, not %v", *r.RMSE, f.RMSE)
	case !near(*r.Cosine, f.Cosine, 1e-6):
		return fmt.Sprintf("cosine is %v, not %v", *r.Cosine, f.Cosine)
	case !near(*r.MaxAbsError, f.Max, 0):
		return fmt.Sprintf("max_abs_error is %v, not %v", *r.MaxAbsError, f.Max)
	case (r.SQNR != nil) != (f.Noise > 0 && f.Signal > 0):
		return fmt.Sprintf("sqnr_db is there: %v", r.SQNR != nil)
	case r.SQNR != nil && !near(*r.SQNR, 10*math.Log10(f.Signal/f.Noise), 1e-5):
		return fmt.Sprintf("sqnr_db is %v, not %v", *r.SQNR, 10*math.Log10(f.Signal/f.Noise))
	case (r.Histogram != nil) != histograms:
		return fmt.Sprintf("a histogram is there: %v", r.Histogram != nil)
	case histograms && *r.Histogram != f.Histogram:
		return fmt.Sprintf("the histogram is\n%+v, not\n%+v", *r.Histogram, f.Histogram)
	}
	return ""
}
