package coremltools

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// said is a reason's sentence.
func said(r plan.Reason) string {
	if r.Code == "" {
		return ""
	}
	return fmt.Sprintf(Own[r.Code].Text, r.Args...)
}

// Each row was observed of coremltools 9.0: the scale shape, or that the layer is skipped.
func TestBlocks(t *testing.T) {
	for _, c := range []struct {
		name       string
		grain      scheme.Granularity
		block      []int64
		shape      []int64
		transposed bool
		scales     []int64 // nil: skipped
		why        string
	}{
		{"linear block", scheme.PerBlock, []int64{32}, []int64{32, 64}, false, []int64{32, 2}, ""},
		{"linear channel", scheme.PerChannel, nil, []int64{32, 64}, false, []int64{32, 1}, ""},
		{"linear tensor", scheme.PerTensor, nil, []int64{32, 64}, false, []int64{1, 1}, ""},
		{"conv block", scheme.PerBlock, []int64{16}, []int64{8, 64, 3, 3}, false, []int64{8, 4, 1, 1}, ""},
		{"conv1d channel", scheme.PerChannel, nil, []int64{8, 6, 5}, false, []int64{8, 1, 1}, ""},
		{"convtranspose channel", scheme.PerChannel, nil, []int64{8, 4, 2, 2}, true, []int64{1, 4, 1, 1}, ""},
		{"convtranspose block", scheme.PerBlock, []int64{4}, []int64{8, 16, 2, 2}, true, []int64{2, 16, 1, 1}, ""},
		{"convtranspose wrongly skipped", scheme.PerBlock, []int64{4}, []int64{8, 4, 2, 2}, true, nil,
			"not smaller than its 4 input channels"},
		{"convtranspose true axis", scheme.PerBlock, []int64{4}, []int64{6, 8, 2, 2}, true, nil, "do not fit"},
		{"pair", scheme.PerBlock, []int64{2, 4}, []int64{8, 16}, false, []int64{4, 4}, ""},
		{"pair of kernels", scheme.PerBlock, []int64{2, 4, 0, 3}, []int64{8, 16, 3, 3}, false, []int64{4, 4, 1, 1}, ""},
		{"kernel split", scheme.PerBlock, []int64{2, 4, 1}, []int64{8, 16, 3, 3}, false, nil, "never split"},
		{"too long", scheme.PerBlock, []int64{1, 4, 0}, []int64{8, 16}, false, nil, "3 entries"},
		{"whole row as int", scheme.PerBlock, []int64{64}, []int64{32, 64}, false, nil, "not smaller"},
		{"whole row as pair", scheme.PerBlock, []int64{1, 64}, []int64{32, 64}, false, []int64{32, 1}, ""},
		{"zero and block", scheme.PerBlock, []int64{0, 32}, []int64{32, 64}, false, []int64{32, 2}, ""},
		{"large and block", scheme.PerBlock, []int64{99999, 32}, []int64{32, 64}, false, []int64{32, 2}, ""},
		{"block and whole", scheme.PerBlock, []int64{2, 0}, []int64{32, 64}, false, []int64{16, 1}, ""},
		{"block and too large", scheme.PerBlock, []int64{2, 99999}, []int64{32, 64}, false, nil, "do not fit"},
		{"zero", scheme.PerBlock, []int64{0}, []int64{32, 64}, false, nil, "cuts no axis"},
		{"negative", scheme.PerBlock, []int64{-4}, []int64{32, 64}, false, nil, "cuts no axis"},
		{"input not divisible", scheme.PerBlock, []int64{32}, []int64{32, 70}, false, nil, "70 input channels"},
		{"output not divisible", scheme.PerBlock, []int64{5, 32}, []int64{32, 64}, false, nil, "32 output channels"},
		{"depthwise", scheme.PerBlock, []int64{32}, []int64{64, 1, 3, 3}, false, nil, "1 input channels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, why := Blocks(scheme.Scheme{Granularity: c.grain, BlockSize: c.block}, c.shape, c.transposed)
			if c.scales == nil {
				if text := said(why); text == "" || !strings.Contains(text, c.why) {
					t.Errorf("why is %q, want %q", why, c.why)
				}
				return
			}
			if got := g.ScaleShape(len(c.shape)); why.Code != "" || !reflect.DeepEqual(got, c.scales) {
				t.Errorf("%v %q, want %v", got, why, c.scales)
			}
			if g.Scales()*g.BlockRows*g.GroupWidth() != g.Rows*g.Row() {
				t.Errorf("%+v does not cover the weight", g)
			}
		})
	}
}

// What coremltools skips and Nibble cuts by the layer's own axes; where coremltools
// does not skip, both agree.
func TestTrueBlocks(t *testing.T) {
	for _, c := range []struct {
		name       string
		block      []int64
		shape      []int64
		transposed bool
		scales     []int64 // nil: kept
		why        string
	}{
		{"whole row", []int64{64}, []int64{32, 64}, false, []int64{32, 1}, ""},
		{"longer than a row", []int64{100}, []int64{32, 64}, false, []int64{32, 1}, ""},
		{"longer than a row, rows together", []int64{2, 99999}, []int64{32, 64}, false, []int64{16, 1}, ""},
		{"longer than both axes", []int64{99999, 99999}, []int64{32, 64}, false, []int64{32, 1}, ""},
		{"depthwise", []int64{32}, []int64{64, 1, 3, 3}, false, []int64{64, 1, 1, 1}, ""},
		{"convtranspose", []int64{4}, []int64{8, 4, 2, 2}, true, []int64{2, 4, 1, 1}, ""},
		{"convtranspose, output not divisible", []int64{4}, []int64{8, 6, 2}, true, []int64{2, 6, 1}, ""},
		{"convtranspose, whole input", []int64{8}, []int64{8, 4, 2}, true, []int64{1, 4, 1}, ""},
		{"convtranspose pair", []int64{3, 4}, []int64{8, 6, 2}, true, []int64{2, 2, 1}, ""},
		{"convtranspose, true axis", []int64{4}, []int64{6, 8, 2, 2}, true, nil, "its 6 input channels cannot be cut"},
		{"input not divisible", []int64{32}, []int64{32, 70}, false, nil, "70 input channels"},
		{"output not divisible", []int64{5, 128}, []int64{32, 64}, false, nil, "32 output channels"},
		{"zero", []int64{0}, []int64{32, 64}, false, nil, "cuts no axis"},
		{"negative", []int64{-4}, []int64{32, 64}, false, nil, "cuts no axis"},
		{"rows only, too many", []int64{32, 0}, []int64{32, 64}, false, nil, "cuts no axis"},
		{"kernel split", []int64{2, 4, 1}, []int64{8, 16, 3, 3}, false, nil, "never split"},
		{"too long", []int64{1, 4, 0}, []int64{8, 16}, false, nil, "3 entries"},
	} {
		s := scheme.Scheme{Granularity: scheme.PerBlock, BlockSize: c.block}
		if _, why := Blocks(s, c.shape, c.transposed); why.Code == "" {
			t.Errorf("%s: coremltools does not skip it", c.name)
		}
		g, why := trueBlocks(s, c.shape, c.transposed)
		switch {
		case c.scales == nil:
			if text := said(why); text == "" || !strings.Contains(text, c.why) {
				t.Errorf("%s: why is %q, want %q", c.name, why, c.why)
			}
		case why.Code != "" || !reflect.DeepEqual(g.ScaleShape(len(c.shape)), c.scales):
			t.Errorf("%s: %v %q, want %v", c.name, g.ScaleShape(len(c.shape)), why, c.scales)
		case g.Scales()*g.BlockRows*g.GroupWidth() != g.Rows*g.Row():
			t.Errorf("%s: %+v does not cover the weight", c.name, g)
		}
	}
}
