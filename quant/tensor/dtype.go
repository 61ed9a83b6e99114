// Package tensor holds the nouns of Nibble and does no I/O: DType, Tensor (shape,
// strides, where its bytes lie), StateDict, and the conversions of float16 and
// bfloat16. Names of dtypes are those of safetensors; format/torch translates its
// own. Everything is little-endian, as both file formats are.
package tensor

// DType is the type of one element.
type DType uint8

const (
	Invalid DType = iota
	Bool
	U8
	I8
	I16
	U16
	I32
	U32
	I64
	U64
	F8E5M2
	F8E4M3
	F8E5M2FNUZ
	F8E4M3FNUZ
	F8E8M0
	F16
	BF16
	F32
	F64
	C64
)

// dtypes is the literal table of the types Nibble can carry.
var dtypes = [...]struct {
	name string
	size int64
}{
	Invalid:    {"invalid", 0},
	Bool:       {"BOOL", 1},
	U8:         {"U8", 1},
	I8:         {"I8", 1},
	I16:        {"I16", 2},
	U16:        {"U16", 2},
	I32:        {"I32", 4},
	U32:        {"U32", 4},
	I64:        {"I64", 8},
	U64:        {"U64", 8},
	F8E5M2:     {"F8_E5M2", 1},
	F8E4M3:     {"F8_E4M3", 1},
	F8E5M2FNUZ: {"F8_E5M2FNUZ", 1},
	F8E4M3FNUZ: {"F8_E4M3FNUZ", 1},
	F8E8M0:     {"F8_E8M0", 1},
	F16:        {"F16", 2},
	BF16:       {"BF16", 2},
	F32:        {"F32", 4},
	F64:        {"F64", 8},
	C64:        {"C64", 8},
}

// ParseDType finds a dtype by its safetensors name, case included.
func ParseDType(name string) (DType, bool) {
	for d, row := range dtypes {
		if d != int(Invalid) && row.name == name {
			return DType(d), true
		}
	}
	return Invalid, false
}

func (d DType) String() string { return dtypes[d].name }

// Size is bytes per element.
func (d DType) Size() int64 { return dtypes[d].size }

// Weight reports whether Nibble can quantize a tensor of this type: the float
// types coremltools takes, and bfloat16.
func (d DType) Weight() bool { return d == F16 || d == BF16 || d == F32 || d == F64 }

// Fractional reports whether a type has numbers with a fraction, which in PyTorch take gradients.
func (d DType) Fractional() bool { return d >= F8E5M2 }

// Arithmetic is the dtype that quantization runs in, which is also the dtype of
// the scales: the weight's own, and F32 for BF16, which coremltools refuses.
func (d DType) Arithmetic() DType {
	if d == BF16 {
		return F32
	}
	return d
}
