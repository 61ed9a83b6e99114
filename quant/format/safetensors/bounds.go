package safetensors

import (
	"bytes"
	"io"

	"nibble/quant/tensor"
)

// Bounds on a header, beside tensor.MaxWeights. The header's own limit leaves no room for more of the
// rest. A text is the recipe of the whole model at its longest.
const (
	maxString  = 40 << 20 // bytes of a name or a value of __metadata__, as they are written
	maxMembers = 100_000  // of __metadata__, or of a value that is skipped
	maxSizes   = 4 << 20  // sizes in all shapes

	maxMetadata = 48 << 20 // bytes of all of __metadata__
)

// long is a header, in bytes, whose tensors are counted before it is read: a list that grows holds
// half of them twice.
const long = 4 << 20

// count is how many tensors a long header holds, or a few more; 0 for other headers.
func count(r io.Reader, n int64) (tensors int, err error) {
	if n < long {
		return 0, nil
	}
	const key = `"data_offsets"`
	b, kept := make([]byte, 1<<20), 0
	for err == nil {
		var got int
		got, err = r.Read(b[kept:])
		text := b[:kept+got]
		tensors += bytes.Count(text, []byte(key))
		kept = copy(b, text[max(0, len(text)-len(key)+1):])
	}
	if err != io.EOF {
		return 0, err
	}
	const shortest = 47 // bytes of an entry with an empty name
	return min(tensors, int(n/shortest), tensor.MostTensors), nil
}
