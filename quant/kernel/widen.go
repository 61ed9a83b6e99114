package kernel

import "nibble/quant/tensor"

// Widen turns float16 (half) or bfloat16 values into float32, exactly.
func Widen(dst []float32, src []uint16, half bool) { widenOf(dst[:len(src)], src, half) }

// Narrow is the inverse of Widen: exact for float16, which values must be already, rounded
// half to even for bfloat16. Values are finite.
func Narrow(dst []uint16, src []float32, half bool) { narrowOf(dst[:len(src)], src, half) }

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
