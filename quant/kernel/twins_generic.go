//go:build !goexperiment.simd || !(amd64 || arm64 || wasm)

package kernel

// Without SIMD there is one twin.

// GenericOnly has nothing to switch off.
func GenericOnly() (undo func()) { return func() {} }

var (
	rangeOf     = rangeSingle
	paramsOf    = paramsSingle
	quantizeOf  = quantizeSingle
	measureOf   = measure
	edgesOf     = edges
	offsetsOf   = offsets
	widenOf     = widen
	narrowOf    = narrow
	pack4Of     = pack4
	maskBytesOf = maskBytes

	quantizeOffsetOf = quantizeOffset
)

func dequantizeOf(a Arith, codes []byte, group int, scale []float32, zp []byte, dst []float32) {
	dequantize(a, codes, group, scale, zp, dst)
}
