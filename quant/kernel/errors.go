package kernel

// Errors are the sums that the report's figures come from, all in float64 and in
// the order of the weights, so that every platform gets the same ones.
type Errors struct {
	Count        int64
	Signal       float64 // sum of w*w
	Noise        float64 // sum of (w-d)^2
	Cross        float64 // sum of w*d
	Approximated float64 // sum of d*d
	Max          float64 // largest |w-d|
}

// Measure adds what replacing src by dst costs.
func Measure[T Float](e *Errors, src, dst []T) {
	for i, v := range src {
		w, d := float64(v), float64(dst[i])
		diff := w - d
		e.Signal += float64(w * w)
		e.Noise += float64(diff * diff)
		e.Cross += float64(w * d)
		e.Approximated += float64(d * d)
		if diff < 0 {
			diff = -diff
		}
		if diff > e.Max {
			e.Max = diff
		}
	}
	e.Count += int64(len(src))
}

// Add merges the sums of a later tile.
func (e *Errors) Add(o Errors) {
	e.Count += o.Count
	e.Signal += o.Signal
	e.Noise += o.Noise
	e.Cross += o.Cross
	e.Approximated += o.Approximated
	e.Max = max(e.Max, o.Max)
}
