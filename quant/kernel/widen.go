package kernel

import "nibble/quant/tensor"

// Widen turns float16 (half) or bfloat16 values into float32, exactly.
func Widen(dst []float32, src []uint16, half bool) { widenOf(dst[:len(src)], src, half) }

// Narrow is the inverse of Widen. float16 values must be exact already; for bfloat16 values are rounded half to even.
// They are finite.
func Narrow(dst []uint16, src []float32, half bool) { narrowOf(dst[:len(src)], src, half) }

// widen is the generic twin of Widen.
func widen(dst []float32, src []uint16, half bool) {
	if half {
		for i, h := range src {
			dst[i] = tensor.F16ToF32(h)
		}
		return
	}
	for i, h := range src {
		dst[i] = tensor.BF16ToF32(h)
	}
}

// narrow is the generic twin of Narrow.
func narrow(dst []uint16, src []float32, half bool) {
	if half {
		for i, f := range src {
			dst[i] = tensor.F32ToF16(f)
		}
		return
	}
	for i, f := range src {
		dst[i] = tensor.F32ToBF16(f)
	}
}
