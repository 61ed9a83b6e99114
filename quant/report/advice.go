package report

import (
	"fmt"
	"strings"

	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// Advice is a sentence about what would quantize more of the model, or about running the result on Apple's devices,
// after Apple's guide (docs-guides/source of coremltools: opt-quantization-overview, opt-quantization-perf,
// opt-opt1_3). About names the sentence for translations.
type Advice struct {
	About string `json:"about"`
	Text  string `json:"text"`
	Fits  bool   `json:"fits"` // it is of what would quantize more of the model, not of devices
}

// fold are the lines of Python that put a weight of several parts together again, by what the parts are called.
var fold = []struct{ about, end, text, python string }{
	{"fold_weight_norm", ".weight_g", "Some weights are in two parts (weight_norm) and are kept.",
		`if hasattr(m, "weight_g"): torch.nn.utils.remove_weight_norm(m)`},
	{"fold_spectral_norm", ".weight_orig", "Some weights are divided by their spectral norm when they run (spectral_norm) and are kept.",
		`if hasattr(m, "weight_orig"): torch.nn.utils.remove_spectral_norm(m)`},
	{"fold_parametrizations", ".parametrizations.weight.original", "Some weights are made of others when they run (parametrizations) and are kept.",
		`if hasattr(m, "parametrizations"): torch.nn.utils.parametrize.remove_parametrizations(m, "weight")`},
}

// folding is what such lines are for; the lines follow.
const folding = " To quantize them, fold them in Python, save, and convert that:\nfor m in model.modules():\n    "

// Mostly begins what About says of the reason for which most of a model is kept; the reason's code follows.
const Mostly = "mostly_"

// fitting is what would quantize more of a model, or why both of two tied weights are kept.
func fitting(p *plan.Plan) []Advice {
	out := []Advice{}
	if most := p.Mostly(); most.Of > 0 && most.Bytes*2 > most.Of && p.Conflict == nil {
		text := fmt.Sprintf("%d %% of the model is kept: %s.", most.Bytes*100/most.Of, most.Text)
		if do := plan.Remedy(most.Code); do != "" {
			text += " To try: " + do + "."
		}
		out = append(out, Advice{Mostly + string(most.Code), text, true})
	}
	if len(p.Ties) > 0 {
		t := p.Ties[0]
		rest := " (tied), and both are kept. With embeddings quantized, too, both are quantized, which is what coremltools does to them."
		text := fmt.Sprintf("%q is one weight with %q", t.Kept, t.With) + rest
		if len(p.Ties) > 1 {
			text = fmt.Sprintf("%d weights have another name, too, as %q and %q", len(p.Ties), t.Kept, t.With) + rest
		}
		out = append(out, Advice{"tied", text, true})
	}
	for _, row := range fold {
		for i := range p.Entries {
			e := &p.Entries[i]
			if e.Code == plan.IsSplit && strings.HasSuffix(strings.TrimRight(e.Tensor.Name, "01"), row.end) {
				out = append(out, Advice{row.about, row.text + folding + row.python, true})
				break
			}
		}
	}
	return out
}

// advice depends on which schemes a plan uses.
func advice(p *plan.Plan) []Advice {
	var four, eight, blocks, coarse bool
	for _, e := range p.Entries {
		if !e.Quantize {
			continue
		}
		block := e.Scheme.Granularity == scheme.PerBlock
		four = four || e.Scheme.Bits() == 4
		eight = eight || e.Scheme.Bits() == 8
		blocks = blocks || block
		coarse = coarse || e.Scheme.Bits() == 4 && !block
	}
	out := fitting(p)
	add := func(when bool, about, text string) {
		if when {
			out = append(out, Advice{about, text, false})
		}
	}
	add(four || blocks, "ios18", "4-bit linear weights, and blocks of any width, need iOS 18 or macOS 15: convert with minimum_deployment_target=ct.target.iOS18. With the default target the converter leaves the weights dense and says nothing.")
	add(eight && !four && !blocks, "ios16", "8-bit weights with one scale per channel or tensor run from iOS 16 and macOS 13 on.")
	add(blocks, "gpu", "Blocks are for the GPU of a Mac. The Neural Engine wants one scale per channel, or a look-up table (coremltools' palettization); there, layers with blocks run on the CPU or GPU instead, or fail.")
	add(coarse, "coarse", "4 bits with one scale per channel or tensor often cost too much accuracy: try blocks of 64, 32 or 16, or 8 bits where the Neural Engine must run it.")
	return out
}
