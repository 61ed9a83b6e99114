package torch_test

import (
	"strings"
	"testing"

	"nibble/quant/format/torch"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// FuzzRead runs any bytes as the pickle of a sound zip (a zip's checksums would stop
// nearly all mutations before they reach it). Whatever is accepted must lie within its
// storage.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"\x80\x02}.", "\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00}.",
		"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n" +
			"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n" +
			")RtRs.",
		"\x80\x02ccollections\nOrderedDict\n)Rq\x00}X\x09\x00\x00\x00_metadatah\x00sb.",
	} {
		f.Add([]byte(seed))
	}
	if p, err := torch.Pickle([]torch.Item{{Name: "a.weight", DType: tensor.F32, Shape: []int64{2, 2}}}, nil); err == nil {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, pickle []byte) {
		sound(t, testkit.Zip("archive/data.pkl", string(pickle), "archive/data/0", strings.Repeat("\x00", 16)), readZip)
	})
}
