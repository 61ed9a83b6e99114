package quant_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// place is where a file goes that, once closed, takes the place of another.
type place struct {
	bytes.Buffer
	did   []string
	fails error
}

func (p *place) Close() error { p.did = append(p.did, "close"); return nil }

func (p *place) Abandon() { p.did = append(p.did, "abandon") }

func (p *place) Write(b []byte) (int, error) {
	if p.fails != nil {
		return 0, p.fails
	}
	return p.Buffer.Write(b)
}

// A file that will not be whole is abandoned, and never closed: closing might put it in the place of a whole one.
func TestFilesThatAreNotWholeAreNotClosed(t *testing.T) {
	disk := errors.New("there is no more room")
	for name, c := range map[string]struct {
		last  float32
		fails error
		want  []string
	}{
		"all is well":     {1, nil, []string{"close"}},
		"weights of none": {float32(math.NaN()), nil, []string{"abandon"}},
		"no room":         {1, disk, []string{"abandon"}},
	} {
		in := testkit.Safetensors(testkit.F32("a.weight", []int64{64, 64}, 1, 2, 3),
			testkit.F32("b.weight", []int64{64, 64}, 1, c.last))
		m, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
		if err != nil {
			t.Fatal(err)
		}
		j, err := testkit.Plan(m, parse(t, `{"global_config":{"weight_dtype":"int4"}}`), recipe.Options{},
			container.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := &place{fails: c.fails}
		r, err := quant.ConvertTo(context.Background(), j, func(string, int64) (io.WriteCloser, error) { return p, nil },
			quant.Options{Workers: 2})
		if !slices.Equal(p.did, c.want) || (err == nil) != (c.want[0] == "close") || (r == nil) == (err == nil) {
			t.Errorf("%s: %v, report %v, error %v", name, p.did, r != nil, err)
		}
		if c.fails != nil && !errors.Is(err, disk) || c.last != 1 && fault.CodeOf(err) != fault.Unfit {
			t.Errorf("%s: %v", name, err)
		}
	}
}
