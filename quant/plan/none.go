package plan

import (
	"nibble/quant/fault"
)

// NoneQuantized is the code of a plan that quantizes nothing.
const NoneQuantized = "none_quantized"

// remedies are what can be tried with tensors that are kept for a reason, where there is something.
var remedies = map[Code]string{
	NotFloat:  "take the checkpoint from before it was quantized or cast",
	IsEmbed:   "quantize embeddings, too",
	IsConv1D:  "set the type of these layers to Conv1D",
	IsExperts: "set the type of these tensors to Conv1d, with a block_size of 1",
	IsRouter:  "set the type of these layers to Linear",
	IsSplit:   "fold the parts of these weights in Python, and convert what comes out",
	Doubtful:  "set the types of these layers",
	NoRule:    "name them in the recipe, or add a global_config",
	NoBlocks:  "choose a block size that divides the inputs of these layers, or one scale per channel",
	Beyond:    "choose a smaller block size, or one scale per channel",
	NoLayer:   "set the types of their modules, where they are layers",
}

// Remedy is what can be tried with tensors that are kept for a reason; "" where nothing can.
func Remedy(c Code) string { return remedies[c] }

// Share is a reason, and how much of all tensors' bytes is kept for it.
type Share struct {
	Code  Code
	Text  string // what these tensors are
	Bytes int64
	Of    int64
}

// Mostly is the reason that keeps the most bytes; without bytes where nothing is kept.
func (p *Plan) Mostly() (most Share) {
	shares, all := map[Code]*Share{}, int64(0)
	for i := range p.Entries {
		e := &p.Entries[i]
		all += e.Tensor.Bytes()
		if e.Quantize {
			continue
		}
		s := shares[e.Code]
		if s == nil {
			s = &Share{Code: e.Code, Text: kinds[e.Code]}
			shares[e.Code] = s
		}
		s.Bytes += e.Tensor.Bytes()
	}
	for i := range p.Entries { // in their order, so that equal ones are told apart alike everywhere
		if s := shares[p.Entries[i].Code]; s != nil && s.Bytes > most.Bytes {
			most = *s
		}
	}
	most.Of = all
	return most
}

// nothing refuses a plan that quantizes nothing, unless that was asked for: by an entry of the recipe that keeps, by
// the type Module, or by the option.
func (p *Plan) nothing() error {
	if p.Options.AllowNone {
		return nil
	}
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize || e.Code == ByRecipe || e.Code == SetKept || e.Code == IsUnfit {
			return nil
		}
	}
	most, file := p.Mostly(), ""
	if len(p.Entries) > 0 {
		file = p.Entries[0].Tensor.Storage.FileName()
	}
	err := fault.Not(file, "nothing would be quantized; most of the model is kept: %s", most.Text).Code(NoneQuantized)
	if do := Remedy(most.Code); do != "" {
		err.Hint("%s", do)
	}
	return err
}
