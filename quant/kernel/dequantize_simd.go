//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"simd/archsimd"
	"unsafe"
)

// dequantizeVector is the twin of dequantize, 4 weights at a time. Groups whose scales are not ordinary are left to
// the generic twin.
func dequantizeVector(a Arith, codes []byte, group int, scale []float32, zp []byte, dst []float32) {
	if len(codes) == 0 {
		return
	}
	flip := uint32(0)
	if a.Signed {
		flip = 128
	}
	base, q := splat(float32(magic+int(flip))), newQuantizer[float32](a)
	for j, x := range scale {
		q.setGroup(j, scale, zp)
		if !ordinary(a.Half, x) {
			for i := j * group; i < (j+1)*group; i++ {
				dst[i] = q.weight(codes[i])
			}
			continue
		}
		s, z := splat(x), splat(q.zero)
		for i := j * group; i < (j+1)*group; i += 4 {
			d := fourCodes(*(*uint32)(unsafe.Pointer(&codes[i])), flip).BitsToFloat32().Sub(base).Sub(z).Mul(s)
			switch {
			case a.Half:
				d = roundHalf(d)
			case a.Brain:
				d = roundBrains(d)
			}
			storeFloats(unsafe.Pointer(&dst[i]), 0, d)
		}
	}
}

// bytesToWords puts the first four bytes into four words.
var bytesToWords = [16]int8{0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1}

// fourCodes are the magic numbers of four codes. flip is 128 for two's complement, and is then also what they have
// too much.
func fourCodes(codes, flip uint32) words {
	v := splatWord(codes ^ flip*0x01010101).ReshapeToUint8s()
	return arrange(v, archsimd.LoadInt8x16Array(&bytesToWords)).ReshapeToUint32s().Or(splatWord(magicBits))
}
