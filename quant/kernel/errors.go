package kernel

import "math"

// Errors are the sums that the figures of a report come from.
//
// They are the same on every platform, in every twin and for any number of workers, because what is added to what is
// fixed. Weights that are held in float64 are summed in float64, in their order. Weights that are held in float32 are
// summed in four lanes, weight i of a call to Quantize in lane i%4: in float32 for 128 weights, and these sums in
// float64. That keeps seven digits or more of the figures, and a SIMD twin can do it at speed. Weights of groups
// whose squares float32 might not hold (see ordinary) are added in float64 one by one.
type Errors struct {
	Count        int64
	Signal       float64 // sum of w*w
	Noise        float64 // sum of (w-d)^2
	Approximated float64 // sum of d*d
	Max          float64 // largest |w-d|
}

// Cross is the sum of w*d.
func (e *Errors) Cross() float64 { return (e.Signal + e.Approximated - e.Noise) / 2 }

// Add joins the sums of later weights.
func (e *Errors) Add(o Errors) {
	e.Count += o.Count
	e.Signal += o.Signal
	e.Noise += o.Noise
	e.Approximated += o.Approximated
	e.Max = max(e.Max, o.Max)
}

// addOne adds a single weight w, which became d.
func (e *Errors) addOne(w, d float64) {
	diff := w - d
	e.Signal += float64(w * w)
	e.Noise += float64(diff * diff)
	e.Approximated += float64(d * d)
	if diff = math.Abs(diff); diff > e.Max {
		e.Max = diff
	}
}

// lanes are sums in the making: Signal, Noise and Approximated, four lanes each.
type lanes struct {
	float  [3][4]float32 // of the weights of this period
	double [3][4]float64
	most   uint32 // the bits of the largest |w-d|
	exact  Errors // of groups that are not ordinary
}

// period is how many weights are summed in float32 before the sums go to float64.
const period = 128

// add adds the weight at a place of the call; ordinary says whether its group is.
func (l *lanes) add(ordinary bool, at int, w, d float32) {
	if ordinary {
		diff, lane := w-d, at%4
		l.float[0][lane] += float32(w * w)
		l.float[1][lane] += float32(diff * diff)
		l.float[2][lane] += float32(d * d)
		l.most = max(l.most, math.Float32bits(diff)&math.MaxInt32)
	} else {
		l.exact.addOne(float64(w), float64(d))
	}
	l.endPeriodAt(at + 1)
}

// endPeriodAt moves the sums to float64 when the period ends before a place.
func (l *lanes) endPeriodAt(at int) {
	if at%period != 0 {
		return
	}
	for i := range l.float {
		for lane, x := range l.float[i] {
			l.double[i][lane] += float64(x)
		}
	}
	l.float = [3][4]float32{}
}

// finish adds the sums of a call of n weights to e.
func (l *lanes) finish(n int, e *Errors) {
	l.endPeriodAt(0)
	sum := func(i int) float64 {
		d := &l.double[i]
		return (d[0] + d[2]) + (d[1] + d[3])
	}
	l.exact.Count = int64(n)
	e.Add(l.exact)
	e.Add(Errors{Signal: sum(0), Noise: sum(1), Approximated: sum(2), Max: float64(math.Float32frombits(l.most))})
}

// ordinary reports whether a group with this scale is one that float32 arithmetic takes without care: squares of its
// weights and of its errors neither overflow nor vanish, the quotients w/scale lie within the codes but for rounding,
// and no step of float16 arithmetic overflows. Scales of 0, of numbers that are not finite and of subnormal numbers
// are not ordinary. Which groups are does not depend on the platform.
func ordinary(half bool, scale float32) bool {
	bits := math.Float32bits(scale)
	return bits-leastScale <= mostScale(half)-leastScale
}

// leastScale is the bits of the least ordinary scale, 2^-40.
const leastScale = 0x2B800000

// mostScale is the bits of the largest ordinary scale: 2^40, or 2^7 in float16 arithmetic.
func mostScale(half bool) uint32 {
	if half {
		return 0x43000000
	}
	return 0x53800000
}
