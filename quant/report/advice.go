package report

import (
	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// Advice is a sentence about running the result on Apple's devices, after Apple's guide
// (docs-guides/source of coremltools: opt-quantization-overview, opt-quantization-perf,
// opt-opt1_3). About names the sentence for translations.
type Advice struct {
	About string `json:"about"`
	Text  string `json:"text"`
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
	out := []Advice{}
	add := func(when bool, about, text string) {
		if when {
			out = append(out, Advice{about, text})
		}
	}
	add(four || blocks, "ios18", "4-bit linear weights, and blocks of any width, need iOS 18 or macOS 15: convert with minimum_deployment_target=ct.target.iOS18. With the default target the converter leaves the weights dense and says nothing.")
	add(eight && !four && !blocks, "ios16", "8-bit weights with one scale per channel or tensor run from iOS 16 and macOS 13 on.")
	add(blocks, "gpu", "Blocks are for the GPU of a Mac. The Neural Engine wants one scale per channel, or a look-up table (coremltools' palettization); there, layers with blocks run on the CPU or GPU instead, or fail.")
	add(coarse, "coarse", "4 bits with one scale per channel or tensor often cost too much accuracy: try blocks of 64, 32 or 16, or 8 bits where the Neural Engine must run it.")
	return out
}
