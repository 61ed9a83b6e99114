//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"math"
	"simd/archsimd"
	"unsafe"
)

// dequantizeVector is the twin of dequantize, 4 weights at a time. Runs whose scales are not
// ordinary are the generic twin's.
func dequantizeVector(a Arith, codes []byte, run int, scale []float32, zp []byte, dst []float32) {
	if len(codes) == 0 {
		return
	}
	flip := uint32(0)
	if a.Signed {
		flip = 128
	}
	base, q := splat(float32(magic+int(flip))), newQuantizer[float32](a)
	for j, x := range scale {
		q.run(j, scale, zp)
		if !ordinary(a.Half, x) {
			for i := j * run; i < (j+1)*run; i++ {
				dst[i] = q.weight(codes[i])
			}
			continue
		}
		s, z := splat(x), splat(q.zero)
		for i := j * run; i < (j+1)*run; i += 4 {
			d := fourCodes(*(*uint32)(unsafe.Pointer(&codes[i])), flip).BitsToFloat32().Sub(base).Sub(z).Mul(s)
			if a.Half {
				d = roundHalf(d)
			}
			storeFloats(unsafe.Pointer(&dst[i]), 0, d)
		}
	}
}

// spread puts the first four bytes into four words.
var spread = [16]int8{0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1}

// fourCodes are the magic numbers of four codes; flip is 128 for two's complement, which is
// then also what they have too much.
func fourCodes(codes, flip uint32) words {
	v := splatWord(codes ^ flip*0x01010101).ReshapeToUint8s()
	return arrange(v, archsimd.LoadInt8x16Array(&spread)).ReshapeToUint32s().Or(splatWord(magicBits))
}

// measureVector is the twin of measure.
func measureVector(a Arith, src, dst []float32, run int, scale []float32, e *Errors) {
	if len(src) == 0 {
		return
	}
	unsigned := splatWord(math.MaxInt32)
	var sums vectorLanes
	var t tally
	at := 0
	for j, x := range scale {
		if !ordinary(a.Half, x) {
			l := lanes{apart: sums.apart}
			measureRun(a, src, dst, j, run, scale, &l)
			sums.apart = l.apart
			if at/period != (at+run)/period {
				sums.turn(&t)
			}
			at += run
			continue
		}
		for end := at + run; at < end; {
			p, q := unsafe.Pointer(&src[at]), unsafe.Pointer(&dst[at])
			t = t.add(loadFloats(p, 0), loadFloats(q, 0), unsigned).add(loadFloats(p, 16), loadFloats(q, 16), unsigned)
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
