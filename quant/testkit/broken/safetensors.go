package broken

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"nibble/quant/fault"
)

// header is a file of a header and so many bytes of values.
func header(text string, data int) func() []byte {
	return func() []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
		return append(append(b, text...), make([]byte, data)...)
	}
}

// claims is a file whose header claims a length.
func claims(n uint64, rest string) func() []byte {
	return func() []byte { return append(binary.LittleEndian.AppendUint64(nil, n), rest...) }
}

// entry is one tensor's entry.
func entry(dtype, shape, offsets string) string {
	return fmt.Sprintf(`{"dtype":%q,"shape":%s,"data_offsets":%s}`, dtype, shape, offsets)
}

// a is a header of one tensor.
func a(dtype, shape, offsets string) string { return `{"a":` + entry(dtype, shape, offsets) + `}` }

// many is a header of n empty tensors, whose names end alike.
func many(n int, ending string) func() []byte {
	var b bytes.Buffer
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%d%s":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i, ending)
	}
	b.WriteString("}")
	return header(b.String(), 0)
}

// safetensorsCases follow the checks of the reference reader (safetensors/src/tensor.rs 0.8) one
// by one, and then those that Nibble adds.
var safetensorsCases = []Case{
	{Name: "HeaderTooSmall: 7 bytes", Kind: fault.Format, At: -1, Says: "at least 8 bytes",
		Make: always("\x10\x00\x00\x00\x00\x00\x00")},
	{Name: "HeaderTooLarge: 100,000,001", Kind: fault.Format, At: 0, Says: "more than the 100000000",
		Make: claims(100_000_001, `{"a":1}`)},
	{Name: "HeaderTooLarge: 2^63", Kind: fault.Format, At: 0, Says: "more than the 100000000",
		Make: claims(1<<63, `{"a":1}`)},
	{Name: "HeaderTooLarge: 2^64-1", Kind: fault.Format, At: 0, Says: "more than the 100000000",
		Make: claims(1<<64-1, `{"a":1}`)},
	{Name: "InvalidHeaderLength: beyond the file", Kind: fault.Format, At: 0, Says: "cut short",
		Make: claims(99_000_000, `{"a":1}`)},
	{Name: "InvalidHeaderLength: by one", Kind: fault.Format, At: 0, Says: "the header claims 8 bytes, the file has 15",
		Make: claims(8, `{"a":1}`)},
	{Name: "InvalidHeader: bad UTF-8 in a name", Kind: fault.Format, At: 10, Says: "UTF-8",
		Make: header("{\"\xff\":{}}", 0)},
	{Name: "InvalidHeader: bad UTF-8 in metadata", Kind: fault.Format, At: 30, Says: "UTF-8",
		Make: header("{\"__metadata__\":{\"a\":\"\xc3\x28\"}}", 0)},
	{Name: "Deserialization: no colon", Kind: fault.Format, At: 12, Says: "not valid JSON", Make: header(`{"a" 1}`, 0)},
	{Name: "Deserialization: empty header", Kind: fault.Format, At: 8, Says: "not valid JSON", Make: claims(0, "{}")},
	{Name: "Deserialization: a list", Kind: fault.Format, At: 9, Says: "an object belongs", Make: header(`[1,2,3,4]`, 0)},
	{Name: "Deserialization: cut short", Kind: fault.Format, At: 26, Says: "not valid JSON",
		Make: header(`{"a":{"dtype":"U8"`, 0)},
	// found by fuzzing
	{Name: "Deserialization: broken null", Kind: fault.Format, At: 23, Says: "not valid JSON",
		Make: header(`{"__metadata__":nul}`, 0)},
	{Name: "Deserialization: broken list", Kind: fault.Format, At: 37, Says: "not valid JSON",
		Make: header(`{"a":{"dtype":"U8","shape":[1,}}`, 0)},
	{Name: "Deserialization: goes on", Kind: fault.Format, At: 12, Says: "goes on", Make: header(`{} {}`, 0)},
	{Name: "Deserialization: a comment", Kind: fault.Format, At: 9, Says: "not valid JSON",
		Make: header(`{/* */"a":1}`, 0)},
	{Name: "Deserialization: NaN", Kind: fault.Format, At: 12, Says: "not valid JSON", Make: header(`{"a":NaN}`, 0)},
	{Name: "Deserialization: trailing comma", Kind: fault.Format, At: 26, Says: "not valid JSON",
		Make: header(`{"__metadata__":{},}`, 0)},
	{Name: "Deserialization: entry is a number", Kind: fault.Format, At: 14, Says: "an object belongs",
		Make: header(`{"a":1}`, 0)},
	{Name: "Deserialization: unknown dtype", Kind: fault.Format, Tensor: "a", At: 61, Says: `"F99"`,
		Make: header(a("F99", "[1]", "[0,1]"), 1)},
	{Name: "Deserialization: dtype in lower case", Kind: fault.Format, Tensor: "a", At: 61, Says: `"f32"`,
		Make: header(a("f32", "[1]", "[0,4]"), 4)},
	{Name: "Deserialization: dtype is a number", Kind: fault.Format, Tensor: "a", At: 23, Says: "dtype is not a string",
		Make: header(`{"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}}`, 1)},
	{Name: "Deserialization: negative size", Kind: fault.Format, Tensor: "a", At: 38, Says: "-1 is not a size",
		Make: header(a("U8", "[-1]", "[0,1]"), 1)},
	{Name: "Deserialization: fraction", Kind: fault.Format, Tensor: "a", At: 39, Says: "1.0 is not a size",
		Make: header(a("U8", "[1.0]", "[0,1]"), 1)},
	{Name: "Deserialization: exponent", Kind: fault.Format, Tensor: "a", At: 39, Says: "1e0 is not a size",
		Make: header(a("U8", "[1e0]", "[0,1]"), 1)},
	{Name: "Deserialization: size in quotes", Kind: fault.Format, Tensor: "a", At: 39, Says: "is not a size",
		Make: header(a("U8", `["1"]`, "[0,1]"), 1)},
	{Name: "Deserialization: size of 20 digits", Kind: fault.Format, Tensor: "a", At: 56, Says: "not a size",
		Make: header(a("U8", "[99999999999999999999]", "[0,1]"), 1)},
	{Name: "Deserialization: shape is true", Kind: fault.Format, Tensor: "a", At: 39, Says: "not a list",
		Make: header(a("U8", "true", "[0,1]"), 1)},
	{Name: "Deserialization: negative offset", Kind: fault.Format, Tensor: "a", At: 57, Says: "-1 is not a size",
		Make: header(a("U8", "[1]", "[-1,0]"), 1)},
	{Name: "Deserialization: one offset", Kind: fault.Format, Tensor: "a", At: 58, Says: "a pair of data_offsets",
		Make: header(a("U8", "[1]", "[1]"), 1)},
	{Name: "Deserialization: three offsets", Kind: fault.Format, Tensor: "a", At: 62, Says: "a pair of data_offsets",
		Make: header(a("U8", "[1]", "[0,1,2]"), 1)},
	{Name: "Deserialization: no dtype", Kind: fault.Format, Tensor: "a", At: 47, Says: "lacks",
		Make: header(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1)},
	{Name: "Deserialization: no shape", Kind: fault.Format, Tensor: "a", At: 48, Says: "lacks",
		Make: header(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1)},
	{Name: "Deserialization: no offsets", Kind: fault.Format, Tensor: "a", At: 39, Says: "lacks",
		Make: header(`{"a":{"dtype":"U8","shape":[1]}}`, 1)},
	{Name: "Deserialization: metadata of numbers", Kind: fault.Format, At: 30, Says: "not a string",
		Make: header(`{"__metadata__":{"a":1}}`, 0)},
	{Name: "Deserialization: metadata nests", Kind: fault.Format, At: 30, Says: "not a string",
		Make: header(`{"__metadata__":{"a":{"b":"c"}}}`, 0)},
	{Name: "Deserialization: metadata is text", Kind: fault.Format, At: 28, Says: "an object belongs",
		Make: header(`{"__metadata__":"pt"}`, 0)},
	{Name: "InvalidOffset: first begins late", Kind: fault.Format, Tensor: "a", At: 62, Says: "hole",
		Make: header(a("U8", "[1]", "[1,2]"), 2)},
	{Name: "InvalidOffset: hole", Kind: fault.Format, Tensor: "b", At: 115, Says: "hole",
		Make: header(`{"a":`+entry("U8", "[1]", "[0,1]")+`,"b":`+entry("U8", "[1]", "[2,3]")+`}`, 3)},
	{Name: "InvalidOffset: overlap", Kind: fault.Format, Tensor: "b", At: 114, Says: "overlaps",
		Make: header(`{"a":`+entry("U8", "[2]", "[0,2]")+`,"b":`+entry("U8", "[2]", "[1,3]")+`}`, 3)},
	{Name: "InvalidOffset: the same bytes twice", Kind: fault.Format, Tensor: "b", At: 113, Says: "overlaps",
		Make: header(`{"a":`+entry("U8", "[2]", "[0,2]")+`,"b":`+entry("U8", "[2]", "[0,2]")+`}`, 2)},
	{Name: "InvalidOffset: ends before it begins", Kind: fault.Format, Tensor: "a", At: 60, Says: "data_offsets",
		Make: header(a("U8", "[0]", "[4,0]"), 4)},
	{Name: "ValidationOverflow: product of the shape", Kind: fault.Format, Tensor: "a", At: 87, Says: "overflows",
		Make: header(a("F32", "[1000000000000,1000000000000]", "[0,1]"), 1)},
	{Name: "a size of 0 after sizes that overflow", Kind: fault.Format, Tensor: "a", At: 94, Says: "overflows",
		Make: header(a("F32", "[2147483647,2147483647,2147483647,0]", "[0,0]"), 0)},
	{Name: "a size of 0 before sizes that overflow", Kind: fault.Format, Tensor: "a", At: 94, Says: "overflows",
		Make: header(a("F32", "[0,2147483647,2147483647,2147483647]", "[0,0]"), 0)},
	{Name: "ValidationOverflow: bytes", Kind: fault.Format, Tensor: "a", At: 79, Says: "overflows",
		Make: header(a("F64", "[1152921504606846975]", "[0,8]"), 8)},
	{Name: "MisalignedSlice: half a byte", Kind: fault.Format, Tensor: "a", At: 60,
		Says: "shape [1] of F4 does not fill its last byte", Make: header(a("F4", "[1]", "[0,1]"), 1)},
	{Name: "MisalignedSlice: six bits", Kind: fault.Format, Tensor: "a", At: 65,
		Says: "shape [1] of F6_E2M3 does not fill its last byte", Make: header(a("F6_E2M3", "[1]", "[0,1]"), 1)},
	{Name: "TensorInvalidInfo: too few bytes", Kind: fault.Format, Tensor: "a", At: 61, Says: "takes 8 bytes",
		Make: header(a("F32", "[2]", "[0,4]"), 4)},
	{Name: "TensorInvalidInfo: too many bytes", Kind: fault.Format, Tensor: "a", At: 62, Says: "takes 8 bytes",
		Make: header(a("F32", "[2]", "[0,12]"), 12)},
	{Name: "TensorInvalidInfo: empty with bytes", Kind: fault.Format, Tensor: "a", At: 63, Says: "takes 0 bytes",
		Make: header(a("F32", "[0,5]", "[0,4]"), 4)},
	{Name: "MetadataIncompleteBuffer: bytes left over", Kind: fault.Format, At: 62, Says: "no tensor",
		Make: header(a("U8", "[1]", "[0,1]"), 9)},
	{Name: "MetadataIncompleteBuffer: cut short", Kind: fault.Format, At: 64, Says: "cut short",
		Make: header(a("U8", "[9]", "[0,9]"), 3)},
	{Name: "no tensors", Kind: fault.Unsupported, At: -1, Says: "no tensors", Make: header(`{}`, 0)}, // found by fuzzing
	{Name: "doubled name", Kind: fault.Format, Tensor: "a", At: -1, Says: `the header holds two tensors of this name`,
		Make: header(`{"a":`+entry("U8", "[1]", "[0,1]")+`,"a":`+entry("U8", "[1]", "[0,1]")+`}`, 1)},
	{Name: "doubled name, escaped", Kind: fault.Format, Tensor: "a", At: -1,
		Says: `the header holds two tensors of this name`,
		Make: header(`{"a":`+entry("U8", "[1]", "[0,1]")+`,"\u0061":`+entry("U8", "[1]", "[1,2]")+`}`, 2)},
	{Name: "doubled field", Kind: fault.Format, Tensor: "a", At: 34, Says: `its entry has dtype twice`,
		Make: header(`{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}`, 1)},
	{Name: "doubled metadata", Kind: fault.Format, At: 41, Says: `the header has __metadata__ twice`,
		Make: header(`{"__metadata__":{},"__metadata__":{}}`, 0)},
	{Name: "lone surrogate", Kind: fault.Format, At: 9, Says: "not valid JSON",
		Make: header(`{"\ud800":`+entry("U8", "[1]", "[0,1]")+`}`, 1)},
	{Name: "byte order mark", Kind: fault.Format, At: 8, Says: "not valid JSON", Make: header("\ufeff{}", 0)},
	{Name: "65 axes", Kind: fault.Format, Tensor: "a", At: 165, Says: "more than 64",
		Make: header(a("U8", "[1"+strings.Repeat(",1", 64)+"]", "[0,1]"), 1)},
	{Name: "nests 20,000 deep", Kind: fault.Format, At: 144, Says: "not valid JSON",
		Make: header(`{"a":{"x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`}}`, 0)},
	{Name: "200,000 entries of metadata", Kind: fault.Unsupported, At: -1, Says: "more than 100000 entries",
		Make: func() []byte {
			var b strings.Builder
			for i := range 200_000 {
				fmt.Fprintf(&b, `,"%d":""`, i)
			}
			return header(`{"__metadata__":{`+b.String()[1:]+`}}`, 0)()
		}},
	{Name: "200,000 members without a meaning", Kind: fault.Format, At: 200018, Says: "too many members",
		Make: func() []byte {
			return header(`{"a":{"x":[0`+strings.Repeat(",0", 200_000)+`]}}`, 0)()
		}},
	{Name: "70,000 tensors of 64 axes", Kind: fault.Unsupported, At: -1, Says: "take more room", Make: func() []byte {
		var b strings.Builder
		for i := range 70_000 {
			fmt.Fprintf(&b, `,"%d":%s`, i, entry("U8", "[0"+strings.Repeat(",0", 63)+"]", "[0,0]"))
		}
		return header(`{`+b.String()[1:]+`}`, 0)()
	}},
	{Name: "300,000 tensors", Kind: fault.Unsupported, At: 14831163, Says: "more than 262144 tensors",
		Make: func() []byte { return many(300_000, "")() }},
	{Name: "a name of 5,000 bytes", Kind: fault.Unsupported, At: 5059,
		Says: "a tensor has a name of 5000 bytes, more than 4096",
		Make: header(`{"`+times("n", 5000)+`":`+entry("U8", "[1]", "[0,1]")+`}`, 1)},
	{Name: "51 MB of metadata", Kind: fault.Unsupported, At: -1, Says: "__metadata__ takes more than 48 MB",
		Make: func() []byte {
			long := times("m", 17<<20)
			return header(`{"__metadata__":{"a":"`+long+`","b":"`+long+`","c":"`+long+`"}}`, 0)()
		}},
	{Name: "600,000 scales", Kind: fault.Unsupported, At: 32919105, Says: "more than 262144 tensors",
		Make: func() []byte { return many(600_000, "_scale")() }},
	{Name: "a string of 44 MB", Kind: fault.Unsupported, At: 41943050, Says: "longer than",
		Make: func() []byte { return header(`{"`+strings.Repeat("x", 42<<20)+`":1}`, 0)() }},
}
