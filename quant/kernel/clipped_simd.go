//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"unsafe"
)

// quantizeClipped is the twin for codes with zero points, in float32 arithmetic, and runs
// of a multiple of 32 weights.
func quantizeClipped(a Arith, src []float32, run int, scale []float32, zp []byte, codes []byte, e *Errors) {
	c := newCodec(a)
	base, bottom, top, excess, flip := c.base, c.bottom, c.top, c.excess, c.flip
	signed := a.Signed
	signed, unsigned := a.Signed, splatWord(math.MaxInt32)
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
		s, z := splat(x), splatInt(0)
		if zp != nil {
			z = splatInt(zeroPoint(zp[j], signed))
		}
		for end := at + run; at < end; {
			p, q := unsafe.Add(weights, 4*at), unsafe.Add(bytes, at)
			w := loadFloats(p, 0)
			y, d := clipped(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum := y
			w = loadFloats(p, 16)
			y, d = clipped(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(8))
			w = loadFloats(p, 32)
			y, d = clipped(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(16))
			w = loadFloats(p, 48)
			y, d = clipped(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(24))
			storeOctets(q, 0, inBytes(sum, excess, flip))
			w = loadFloats(p, 64)
			y, d = clipped(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = y
			w = loadFloats(p, 80)
			y, d = clipped(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(8))
			w = loadFloats(p, 96)
			y, d = clipped(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(16))
			w = loadFloats(p, 112)
			y, d = clipped(w, s, base, z, bottom, top)
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

// quantizeHalf is quantizeClipped, written out once more since in wasm a branch for each
// vector costs much, in float16 arithmetic, for symmetric codes too: scales
// that are subnormal numbers of float16 are coarse, and quotients then leave the codes.
func quantizeHalf(a Arith, src []float32, run int, scale []float32, zp []byte, codes []byte, e *Errors) {
	c := newCodec(a)
	base, bottom, top, excess, flip := c.base, c.bottom, c.top, c.excess, c.flip
	signed := a.Signed
	signed, unsigned := a.Signed, splatWord(math.MaxInt32)
	var sums vectorLanes
	var t tally
	weights, bytes := unsafe.Pointer(&src[0]), unsafe.Pointer(&codes[0])
	at := 0
	for j, x := range scale {
		if !ordinary(true, x) {
			rest := t
			sums.slowRun(a, src, j, run, scale, zp, codes, &rest)
			t = rest
			at += run
			continue
		}
		s, z := splat(x), splatInt(0)
		if zp != nil {
			z = splatInt(zeroPoint(zp[j], signed))
		}
		for end := at + run; at < end; {
			p, q := unsafe.Add(weights, 4*at), unsafe.Add(bytes, at)
			w := loadFloats(p, 0)
			y, d := clippedHalf(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum := y
			w = loadFloats(p, 16)
			y, d = clippedHalf(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(8))
			w = loadFloats(p, 32)
			y, d = clippedHalf(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(16))
			w = loadFloats(p, 48)
			y, d = clippedHalf(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(24))
			storeOctets(q, 0, inBytes(sum, excess, flip))
			w = loadFloats(p, 64)
			y, d = clippedHalf(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = y
			w = loadFloats(p, 80)
			y, d = clippedHalf(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(8))
			w = loadFloats(p, 96)
			y, d = clippedHalf(w, s, base, z, bottom, top)
			t = t.add(w, d, unsigned)
			sum = sum.Add(y.ShiftAllLeft(16))
			w = loadFloats(p, 112)
			y, d = clippedHalf(w, s, base, z, bottom, top)
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

// quantizeShort is the twin for runs of a multiple of 8 weights, in either arithmetic.
func quantizeShort(a Arith, src []float32, run int, scale []float32, zp []byte, codes []byte, e *Errors) {
	c := newCodec(a)
	base, bottom, top, excess, flip := c.base, c.bottom, c.top, c.excess, c.flip
	half, signed := a.Half, a.Signed
	half, signed, unsigned := a.Half, a.Signed, splatWord(math.MaxInt32)
	var sums vectorLanes
	var t tally
	weights, bytes := unsafe.Pointer(&src[0]), unsafe.Pointer(&codes[0])
	at := 0
	for j, x := range scale {
		if !ordinary(half, x) {
			rest := t
			sums.slowRun(a, src, j, run, scale, zp, codes, &rest)
			t = rest
			at += run
			continue
		}
		s, z := splat(x), splatInt(0)
		if zp != nil {
			z = splatInt(zeroPoint(zp[j], signed))
		}
		for end := at + run; at < end; {
			p, q := unsafe.Add(weights, 4*at), unsafe.Add(bytes, at)
			w0, w1 := loadFloats(p, 0), loadFloats(p, 16)
			var y0, y1 words
			var d0, d1 floats
			if half {
				y0, d0 = clippedHalf(w0, s, base, z, bottom, top)
				y1, d1 = clippedHalf(w1, s, base, z, bottom, top)
			} else {
				y0, d0 = clipped(w0, s, base, z, bottom, top)
				y1, d1 = clipped(w1, s, base, z, bottom, top)
			}
			t = t.add(w0, d0, unsigned).add(w1, d1, unsigned)
			eight := inBytes(y0.Add(y1.ShiftAllLeft(8)), excess, flip)
			*(*uint64)(q) = eight.ReshapeToUint64s().GetElem(0)
			if at += unit; at%period == 0 {
				addLanes(&sums.double[0], t.signal)
				addLanes(&sums.double[1], t.noise)
				addLanes(&sums.double[2], t.approx)
				t.signal, t.noise, t.approx = splat(0), splat(0), splat(0)
			}
		}
	}
	sums.finish(len(src), t, e)
}
