package safetensors_test

import (
	"testing"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/testkit"
)

// FuzzRead reads any text as the header of a file with 64 bytes of values. Whatever is
// accepted must cover exactly those bytes and survive being written again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"__metadata__":{"a":"b"}}`, `{"__metadata__":null}`,
		`{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}`,
		`{"a":{"dtype":"F16","shape":[16],"data_offsets":[32,64]},"b":{"shape":[],"data_offsets":[0,8],"dtype":"I64"},` +
			`"c":{"dtype":"U8","shape":[2,0],"data_offsets":[8,8]},"d":{"dtype":"BF16","shape":[3,4],"data_offsets":[8,32]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if len(header) > 1<<16 {
			return
		}
		file := testkit.File("x", testkit.RawSafetensors(header, 64))
		c, err := safetensors.Read(file)
		if err != nil {
			if fault.KindOf(err) == "" {
				t.Errorf("error is no fault: %v", err)
			}
			return
		}
		total := int64(0)
		var items []safetensors.Item
		for i := range c.Tensors {
			x := &c.Tensors[i]
			total += x.Bytes()
			items = append(items, safetensors.Item{Name: x.Name, DType: x.DType, Shape: x.Shape})
			testkit.Rows(t, c.Tensors[i:i+1])
		}
		if total != 64 {
			t.Errorf("%d bytes of values were accepted", total)
		}
		again, err := safetensors.Read(testkit.File("y", append(safetensors.Header(items, c.Metadata), make([]byte, 64)...)))
		if err != nil || len(again.Tensors) != len(c.Tensors) {
			t.Errorf("written again it is refused: %v", err)
		}
	})
}
