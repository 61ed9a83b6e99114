package plan

import (
	"nibble/quant/fault"
)

// KeptShare is a reason, and how much of all tensors' bytes is kept for it.
type KeptShare struct {
	Code  Code
	Text  string // what these tensors are
	Bytes int64
	Of    int64
}

// MostKept is the reason that keeps the most bytes; without bytes where nothing is kept.
func (p *Plan) MostKept() (most KeptShare) {
	shares, all := map[Code]*KeptShare{}, int64(0)
	for i := range p.Entries {
		e := &p.Entries[i]
		all += e.Tensor.Bytes()
		if e.Quantize {
			continue
		}
		s := shares[e.Reason.Code]
		if s == nil {
			s = &KeptShare{Code: e.Reason.Code, Text: p.sentence(e.Reason.Code).Many}
			shares[e.Reason.Code] = s
		}
		s.Bytes += e.Tensor.Bytes()
	}
	for i := range p.Entries { // in their order, so that of equal ones the same wins everywhere
		if s := shares[p.Entries[i].Reason.Code]; s != nil && s.Bytes > most.Bytes {
			most = *s
		}
	}
	most.Of = all
	return most
}

// refuseNone refuses a plan that quantizes nothing, unless that was asked for: by an entry of the recipe that keeps,
// by the type Module, or by the option.
func (p *Plan) refuseNone() error {
	if p.Options.AllowNone {
		return nil
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		if c := e.Reason.Code; e.Quantize || c == ByRecipe || c == SetKept || c == IsUnfit {
			return nil
		}
	}
	most, file := p.MostKept(), ""
	if len(p.Entries) > 0 {
		file = p.Entries[0].Tensor.Storage.FileName()
	}
	err := fault.Not(file, "nothing would be quantized; most of the model is kept: %s", most.Text).
		Code(fault.NoneQuantized, string(most.Code))
	if do := p.Remedy(most.Code); do != "" {
		err.Hint("%s", do)
	}
	return err
}
