//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"unsafe"
)

// quantizeSymmetric is the twin for symmetric codes in float32 arithmetic and runs of a
// multiple of 32 weights. What Params made of a symmetric range keeps the quotients within
// the codes but for rounding, so nothing is clipped.
func quantizeSymmetric(a Arith, src []float32, run int, scale []float32, zp []byte, codes []byte, e *Errors) {
	c := newSymmetricCodec(a)
	base, excess, flip := c.base, c.excess, c.flip
	unsigned := splatWord(math.MaxInt32)
	var sums vectorLanes
	var t tally
	weights, bytes := unsafe.Pointer(&src[0]), unsafe.Pointer(&codes[0])
	at := 0
	for j, x := range scale {
		if !ordinary(false, x) {
			rest := t
			sums.slowRun(a, src, j, run, scale, zp, codes, &rest)
			t = rest
			at += run
			continue
		}
		s := splat(x)
		for end := at + run; at < end; {
			p, q := unsafe.Add(weights, 4*at), unsafe.Add(bytes, at)
			w := loadFloats(p, 0)
			y, d := symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum := y
			w = loadFloats(p, 16)
			y, d = symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(8))
			w = loadFloats(p, 32)
			y, d = symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(16))
			w = loadFloats(p, 48)
			y, d = symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(24))
			storeOctets(q, 0, inBytes(sum, excess, flip))
			w = loadFloats(p, 64)
			y, d = symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum = y
			w = loadFloats(p, 80)
			y, d = symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(8))
			w = loadFloats(p, 96)
			y, d = symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(16))
			w = loadFloats(p, 112)
			y, d = symmetric(w, s, base)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(24))
			storeOctets(q, 16, inBytes(sum, excess, flip))
			if at += 32; at%period == 0 {
				addLanes(&sums.double[0], t.signal)
				addLanes(&sums.double[1], t.noise)
				addLanes(&sums.double[2], t.approx)
				t.signal, t.noise, t.approx = splat(0), splat(0), splat(0)
			}
		}
	}
	sums.finish(len(src), t, e)
}
