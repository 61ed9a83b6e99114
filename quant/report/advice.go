package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// Advice is a sentence about what would quantize more of the model, or about running the result on Apple's devices,
// after Apple's guide (docs-guides/source of coremltools: opt-quantization-overview, opt-quantization-perf,
// opt-opt1_3). Code and Args say it for other languages.
type Advice struct {
	About  string     `json:"about"` // the code; for Mostly, the reason's code follows
	Text   string     `json:"text"`
	Fits   bool       `json:"fits"` // it is of what would quantize more of the model, not of devices
	Code   AdviceCode `json:"code"`
	Args   []any      `json:"args"`   // texts and reasons
	Python string     `json:"python"` // lines that do it, which stand at the end of the text, too; mostly ""
}

// Words are the text without its lines of Python.
func (a *Advice) Words() string { return strings.TrimSpace(strings.TrimSuffix(a.Text, a.Python)) }

// AdviceCode names an advice.
type AdviceCode string

const (
	mostKept         AdviceCode = "mostly"     // percent, code of the reason that keeps most
	tiedCode         AdviceCode = "tied"       // weights, name, other name
	tiedOther        AdviceCode = "tied_other" // the same
	foldWeightNorm   AdviceCode = "fold_weight_norm"
	foldSpectralNorm AdviceCode = "fold_spectral_norm"
	foldPruning      AdviceCode = "fold_pruning"
	foldParametrized AdviceCode = "fold_parametrizations"
	needsIOS18       AdviceCode = "ios18"
	runsOnIOS16      AdviceCode = "ios16"
	blocksWantGPU    AdviceCode = "gpu"
	coarseFourBits   AdviceCode = "coarse"
)

// AdviceCodes are all of them, for those who have a sentence for each.
var AdviceCodes = []AdviceCode{
	mostKept, tiedCode, tiedOther, foldWeightNorm, foldSpectralNorm, foldPruning, foldParametrized,
	needsIOS18, runsOnIOS16, blocksWantGPU, coarseFourBits,
}

// newAdvice is an advice with its code.
func newAdvice(c AdviceCode, fits bool, text string, args ...any) Advice {
	return Advice{About: string(c), Text: text, Fits: fits, Code: c, Args: append([]any{}, args...)}
}

// foldings are the lines of Python that put a weight of several factors together again, by the ends of the names of
// two of these factors; the second may be none.
var foldings = []struct {
	code                      AdviceCode
	end, beside, text, python string
}{
	{foldWeightNorm, ".weight_g", ".weight_v", "Some weights are in two parts (weight_norm) and are kept.",
		eachModule + `if hasattr(m, "weight_g"): torch.nn.utils.remove_weight_norm(m)`},
	{foldSpectralNorm, ".weight_orig", ".weight_u",
		"Some weights are divided by their spectral norm when they run and are kept.",
		eachModule + `if hasattr(m, "weight_orig"): torch.nn.utils.remove_spectral_norm(m)`},
	{foldPruning, ".weight_orig", ".weight_mask", "Some weights are pruned when they run (a mask) and are kept.",
		"from torch.nn.utils import prune\n" + eachModule + `if hasattr(m, "weight_mask"): prune.remove(m, "weight")`},
	{foldParametrized, ".parametrizations.weight.original", "",
		"Some weights are made of others when they run (parametrizations) and are kept.",
		"from torch.nn.utils import parametrize\n" + eachModule +
			`if parametrize.is_parametrized(m, "weight"): parametrize.remove_parametrizations(m, "weight")`},
}

const (
	eachModule = "for m in model.modules():\n    "
	folding    = " To quantize them, fold them in Python, save, and convert that:\n" // the lines follow
)

// MostKept begins what About says of the reason for which most of a model is kept; the reason's code follows.
const MostKept = "mostly_"

// fitAdvice is what would quantize more of a model, or why both of two tied weights are kept.
func fitAdvice(p *plan.Plan) []Advice {
	out := []Advice{}
	if most := p.MostKept(); most.Of > 0 && most.Bytes*2 > most.Of && p.Conflict == nil && most.Code != plan.AsItIs {
		text := fmt.Sprintf("%d %% of the model is kept: %s.", most.Bytes*100/most.Of, most.Text)
		if do := p.Remedy(most.Code); do != "" {
			text += " To try: " + do + "."
		}
		a := newAdvice(mostKept, true, text, strconv.FormatInt(most.Bytes*100/most.Of, 10), string(most.Code))
		a.About = MostKept + string(most.Code)
		out = append(out, a)
	}
	out = append(out, tiedAdvice(p)...)
	names := map[string]bool{}
	for i := range p.Entries {
		names[p.Entries[i].Tensor.Name] = true
	}
	for _, row := range foldings {
		for i := range p.Entries {
			e := &p.Entries[i]
			stem, ends := strings.CutSuffix("."+strings.TrimRight(e.Tensor.Name, "01"), row.end)
			if e.Reason.Code == plan.IsSplit && ends && (row.beside == "" || names[strings.TrimPrefix(stem+row.beside, ".")]) {
				a := newAdvice(row.code, true, row.text+folding+row.python)
				a.Python = row.python
				out = append(out, a)
				break
			}
		}
	}
	return out
}

// tiedAdvice says once that weights are kept because another name of theirs is, and what quantizes both.
func tiedAdvice(p *plan.Plan) []Advice {
	if len(p.Ties) == 0 || p.Options.For != "" {
		return nil
	}
	t := p.Ties[0]
	args := []any{strconv.Itoa(len(p.Ties)), t.Kept, t.With}
	text := fmt.Sprintf("%q is one weight with %q (tied), and both are kept.", t.Kept, t.With)
	if n := len(p.Ties); n > 1 {
		text = fmt.Sprintf("%d weights have another name, too, as %q and %q (tied), and all are kept.", n, t.Kept, t.With)
	}
	if slices.ContainsFunc(p.Ties, func(t plan.Tie) bool { return t.Code != plan.IsEmbed }) {
		return []Advice{newAdvice(tiedOther, true, text+" To quantize them, set the types of both.", args...)}
	}
	text += " With embeddings quantized, too, both are quantized, which is what coremltools does to them."
	return []Advice{newAdvice(tiedCode, true, text, args...)}
}

// allAdvice is all advice on a plan; that on devices depends on which schemes it uses.
func allAdvice(p *plan.Plan) []Advice {
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
	out := fitAdvice(p)
	if p.Options.For != "" {
		return out // it is for none of Apple's devices
	}
	add := func(when bool, code AdviceCode, text string) {
		if when {
			out = append(out, newAdvice(code, false, text))
		}
	}
	add(four || blocks, needsIOS18, "4-bit linear weights, and blocks of any width, need iOS 18 or macOS 15: "+
		"convert with "+
		"minimum_deployment_target=ct.target.iOS18. With the default target the converter leaves the weights dense and "+
		"says nothing.")
	add(eight && !four && !blocks, runsOnIOS16,
		"8-bit weights with one scale per channel or tensor run from iOS 16 and macOS 13 on.")
	add(blocks, blocksWantGPU, "Blocks are for the GPU of a Mac. The Neural Engine wants one scale per channel, or a "+
		"look-up table "+
		"(coremltools' palettization); there, layers with blocks run on the CPU or GPU instead, or fail.")
	add(coarse, coarseFourBits, "4 bits with one scale per channel or tensor often cost too much accuracy: try blocks "+
		"of 64, 32 or 16, "+
		"or 8 bits where the Neural Engine must run it.")
	return out
}
