package report

import (
	"fmt"
	"slices"
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

// fold are the lines of Python that put a weight of several parts together again, by the ends of the names of two of
// these parts; the second may be none.
var fold = []struct{ about, end, beside, text, python string }{
	{"fold_weight_norm", ".weight_g", ".weight_v", "Some weights are in two parts (weight_norm) and are kept.",
		eachModule + `if hasattr(m, "weight_g"): torch.nn.utils.remove_weight_norm(m)`},
	{"fold_spectral_norm", ".weight_orig", ".weight_u", "Some weights are divided by their spectral norm when they run and are kept.",
		eachModule + `if hasattr(m, "weight_orig"): torch.nn.utils.remove_spectral_norm(m)`},
	{"fold_pruning", ".weight_orig", ".weight_mask", "Some weights are pruned when they run (a mask) and are kept.",
		"from torch.nn.utils import prune\n" + eachModule + `if hasattr(m, "weight_mask"): prune.remove(m, "weight")`},
	{"fold_parametrizations", ".parametrizations.weight.original", "",
		"Some weights are made of others when they run (parametrizations) and are kept.",
		"from torch.nn.utils import parametrize\n" + eachModule +
			`if parametrize.is_parametrized(m, "weight"): parametrize.remove_parametrizations(m, "weight")`},
}

const (
	eachModule = "for m in model.modules():\n    "
	folding    = " To quantize them, fold them in Python, save, and convert that:\n" // the lines follow
)

// Mostly begins what About says of the reason for which most of a model is kept; the reason's code follows.
const Mostly = "mostly_"

// fitting is what would quantize more of a model, or why both of two tied weights are kept.
func fitting(p *plan.Plan) []Advice {
	out := []Advice{}
	if most := p.Mostly(); most.Of > 0 && most.Bytes*2 > most.Of && p.Conflict == nil {
		text := fmt.Sprintf("%d %% of the model is kept: %s.", most.Bytes*100/most.Of, most.Text)
		if do := p.Remedy(most.Code); do != "" {
			text += " To try: " + do + "."
		}
		out = append(out, Advice{Mostly + string(most.Code), text, true})
	}
	out = append(out, tied(p)...)
	names := map[string]bool{}
	for i := range p.Entries {
		names[p.Entries[i].Tensor.Name] = true
	}
	for _, row := range fold {
		for i := range p.Entries {
			e := &p.Entries[i]
			stem, ends := strings.CutSuffix("."+strings.TrimRight(e.Tensor.Name, "01"), row.end)
			if e.Reason.Code == plan.IsSplit && ends && (row.beside == "" || names[strings.TrimPrefix(stem+row.beside, ".")]) {
				out = append(out, Advice{row.about, row.text + folding + row.python, true})
				break
			}
		}
	}
	return out
}

// tied says once that weights are kept because another name of theirs is, and what quantizes both.
func tied(p *plan.Plan) []Advice {
	if len(p.Ties) == 0 {
		return nil
	}
	t := p.Ties[0]
	text := fmt.Sprintf("%q is one weight with %q (tied), and both are kept.", t.Kept, t.With)
	if n := len(p.Ties); n > 1 {
		text = fmt.Sprintf("%d weights have another name, too, as %q and %q (tied), and all are kept.", n, t.Kept, t.With)
	}
	if slices.ContainsFunc(p.Ties, func(t plan.Tie) bool { return t.Code != plan.IsEmbed }) {
		return []Advice{{"tied_other", text + " To quantize them, set the types of both.", true}}
	}
	return []Advice{{"tied", text + " With embeddings quantized, too, both are quantized, which is what coremltools does to them.", true}}
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
