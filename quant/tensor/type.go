// Package tensor holds the nouns of Nibble and does no I/O: Type, Tensor (shape,
// strides, where its bytes lie), StateDict, and the conversions of float16 and
// bfloat16. Names of types are those of safetensors; format/torch translates its
// own. Everything is little-endian, as both file formats are.
//
// Only package quant is stable.
package tensor

// Type is the type of a tensor's elements. Its block is what can be addressed in bytes: one element of most types,
// several of those that are narrower than a byte.
type Type uint8

const (
	Invalid Type = iota
	Bool
	U8
	I8
	I16
	U16
	I32
	U32
	I64
	U64
	F4
	F6E2M3
	F6E3M2
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

// types is the literal table of the types Nibble can carry: name, elements and bytes of a block.
var types = [...]struct {
	name            string
	elements, bytes int64
}{
	Invalid:    {"invalid", 1, 0},
	Bool:       {"BOOL", 1, 1},
	U8:         {"U8", 1, 1},
	I8:         {"I8", 1, 1},
	I16:        {"I16", 1, 2},
	U16:        {"U16", 1, 2},
	I32:        {"I32", 1, 4},
	U32:        {"U32", 1, 4},
	I64:        {"I64", 1, 8},
	U64:        {"U64", 1, 8},
	F4:         {"F4", 2, 1},
	F6E2M3:     {"F6_E2M3", 4, 3},
	F6E3M2:     {"F6_E3M2", 4, 3},
	F8E5M2:     {"F8_E5M2", 1, 1},
	F8E4M3:     {"F8_E4M3", 1, 1},
	F8E5M2FNUZ: {"F8_E5M2FNUZ", 1, 1},
	F8E4M3FNUZ: {"F8_E4M3FNUZ", 1, 1},
	F8E8M0:     {"F8_E8M0", 1, 1},
	F16:        {"F16", 1, 2},
	BF16:       {"BF16", 1, 2},
	F32:        {"F32", 1, 4},
	F64:        {"F64", 1, 8},
	C64:        {"C64", 1, 8},
}

// ParseType finds a type by its safetensors name, case included.
func ParseType(name string) (Type, bool) {
	for d, row := range types {
		if d != int(Invalid) && row.name == name {
			return Type(d), true
		}
	}
	return Invalid, false
}

func (d Type) String() string { return types[d].name }

// Block is how many elements lie together, and their bytes.
func (d Type) Block() (elements, bytes int64) { return types[d].elements, types[d].bytes }

// Size is bytes per element of a type whose block is one element; of others it is the bytes of a block, by which
// values are aligned.
func (d Type) Size() int64 { return types[d].bytes }

// Bytes is the size of n elements; ok is false where they do not fill their last block.
func (d Type) Bytes(n int64) (bytes int64, ok bool) {
	return n / types[d].elements * types[d].bytes, n%types[d].elements == 0
}

// Align is what the offset of values must be a multiple of for readers that view them in place.
func (d Type) Align() int64 {
	if types[d].elements > 1 {
		return 1
	}
	return types[d].bytes
}

// Weight reports whether Nibble can quantize a tensor of this type: the float
// types coremltools takes, and bfloat16.
func (d Type) Weight() bool { return d == F16 || d == BF16 || d == F32 || d == F64 }

// Fractional reports whether a type has numbers with a fraction, which in PyTorch take gradients.
func (d Type) Fractional() bool { return d >= F4 }

// Arithmetic is the type that quantization runs in, which is also the type of
// the scales: the weight's own, and F32 for BF16, which coremltools refuses.
func (d Type) Arithmetic() Type {
	if d == BF16 {
		return F32
	}
	return d
}
