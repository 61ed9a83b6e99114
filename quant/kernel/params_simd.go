//go:build goexperiment.simd && (amd64 || arm64 || wasm)

package kernel

import (
	"simd/archsimd"
	"unsafe"
)

// leastSpan and the others are bits of the smallest and the largest magnitude in a group that paramsVector takes:
// there scales are ordinary, and no step overflows.
const (
	leastSpan, mostSpan         = 0x30800000, 0x4E800000 // 2^-30 to 2^30
	leastSpanHalf, mostSpanHalf = 0x37000000, 0x42FFFFFF // 2^-17 to below 2^7, for float16
)

// spans is what paramsVector computes with.
type spans struct {
	half, brain bool
	affine      bool
	qmin, qmax  floats
	steps       floats // qmax - qmin
}

// paramsVector is the twin of paramsSingle, four groups at a time. Four groups of which one is not usual, and the
// last few, go to paramsSingle. It reports whether all groups are usual.
func paramsVector(a Arith, lo, hi, scale []float32, zp []byte) bool {
	qmin, qmax := a.Min, a.Max
	x := spans{a.Half, a.Brain, a.Affine, splat(float32(qmin)), splat(float32(qmax)), splat(float32(qmax - qmin))}
	least, most := uint32(leastSpan), uint32(mostSpan)
	if x.half {
		least, most = leastSpanHalf, mostSpanHalf
	}
	if zp != nil && !x.affine {
		fill(zp, byte(a.Zero))
	}
	good, i := true, 0
	for ; i+4 <= len(scale); i += 4 {
		l, h := loadFloats(unsafe.Pointer(&lo[i]), 0), loadFloats(unsafe.Pointer(&hi[i]), 0)
		m := magnitude(l).Max(h.ToBits())
		if largest(m.Sub(splatWord(least))) > most-least {
			good = paramsRest(a, lo[i:i+4], hi[i:i+4], scale[i:i+4], zp, i) && good
			continue
		}
		span := m.BitsToFloat32().Add(m.BitsToFloat32())
		switch {
		case a.MinMax && x.affine:
			s := x.stored(x.stored(h.Sub(l)).Div(x.steps))
			z := x.stored(x.qmin.Sub(x.stored(l.Div(s))))
			*(*uint32)(unsafe.Pointer(&zp[i])) = x.bytes(z)
			storeFloats(unsafe.Pointer(&scale[i]), 0, s)
			continue
		case x.affine:
			span = x.round(h.Sub(l))
			*(*uint32)(unsafe.Pointer(&zp[i])) = x.zeros(l, h, span)
		}
		storeFloats(unsafe.Pointer(&scale[i]), 0, x.stored(x.round(span.Div(x.steps))))
	}
	return paramsRest(a, lo[i:], hi[i:], scale[i:], zp, i) && good
}

// paramsRest leaves the groups from i on to the generic twin.
func paramsRest(a Arith, lo, hi, scale []float32, zp []byte, i int) bool {
	if zp != nil {
		zp = zp[i : i+len(scale)]
	}
	return paramsSingle(a, lo, hi, scale, zp)
}

// fill sets all bytes to x.
func fill(b []byte, x byte) {
	for i := range b {
		b[i] = x
	}
}

// zeros makes four zero points, the first in the lowest byte.
func (x *spans) zeros(l, h, span floats) uint32 {
	up, down := x.round(h.Mul(x.qmin)), x.round(l.Mul(x.qmax))
	return x.bytes(x.round(x.round(up.Sub(down)).Div(span)))
}

// bytes rounds four zero points and clips them.
func (x *spans) bytes(z floats) uint32 {
	z = z.Add(splat(magic))
	bottom, top := x.qmin.Add(splat(magic)), x.qmax.Add(splat(magic))
	c := z.ToBits().BitsToInt32().Max(bottom.ToBits().BitsToInt32()).Min(top.ToBits().BitsToInt32()).ToBits()
	return arrange(c.ReshapeToUint8s(), archsimd.LoadInt8x16Array(&inOrder)).ReshapeToUint32s().GetElem(0)
}

// stored brings four values to the dtype that they are stored in.
func (x *spans) stored(v floats) floats {
	if x.brain {
		return roundBrains(v)
	}
	return x.round(v)
}

// round is the generic round for four values, none of which overflows float16. A negative 0 may lose its sign.
func (x *spans) round(v floats) floats {
	if !x.half {
		return v
	}
	// Below 2^-14, float16 has multiples of 2^-24, which is also the unit of the last
	// place next to 0.75.
	subnormal := splatInt(0x38800000).Greater(magnitude(v).BitsToInt32()).ToInt32x4().ToBits()
	coarse, fine := roundHalf(v).ToBits(), v.Add(splat(0.75)).Sub(splat(0.75)).ToBits()
	return coarse.Xor(coarse.Xor(fine).And(subnormal)).BitsToFloat32()
}
