package coremltools

import (
	"fmt"
	"slices"

	"nibble/quant/layer"
	"nibble/quant/plan"
	"nibble/quant/scheme"
)

// Export implements plan.Policy: it is the recipe that makes coremltools itself quantize what this plan does, with
// the same blocks: layers that it would skip get an entry of their own, in words that it
// follows, and so do layers that are kept because they cannot be quantized. What no
// config can say stands in notes.
func (r *Recipe) Export(p *plan.Plan) (plan.Config, []string) {
	var notes []string
	var rules []NameRule
	said := map[string]bool{} // modules that have a rule
	reached := map[string][]*plan.Entry{}
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Rule != "" {
			reached[e.Module] = append(reached[e.Module], e)
		}
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		unfit := e.Reason.Code == plan.IsUnfit || e.Reason.Code == plan.IsTied
		switch {
		case said[e.Module]:
			continue
		// coremltools knows the class, and may quantize it
		case e.Reason.Code == plan.Doubtful || e.Reason.Code == plan.IsRouter:
			said[e.Module] = true
			rules = append(rules, NewNameRule(e.Module, Entry{}))
			continue
		case e.Beyond.Code == "" && !unfit:
			continue
		}
		entry, ok := equivalent(reached[e.Module])
		switch {
		case ok:
			said[e.Module] = true
			rules = append(rules, NewNameRule(e.Module, entry))
		case unfit:
			notes = append(notes, fmt.Sprintf("coremltools would quantize %s, which %s", e.Tensor.Name, e.Reason.Text))
		default:
			notes = append(notes, fmt.Sprintf("coremltools would keep %s: %s", e.Tensor.Name, e.Beyond.Text))
		}
	}
	out := r.With(rules).Asking(p.Options)
	return out, append(notes, out.cannotSay(p)...)
}

// cannotSay is what a user asked for that a config has no words for.
func (r *Recipe) cannotSay(p *plan.Plan) (notes []string) {
	if r.Lists() {
		notes = append(notes, "coremltools takes a block_size of several axes as a tuple only: turn the lists into tuples "+
			"in Python; its from_yaml cannot")
	}
	embeddings := 0
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize && e.Class.Name == layer.Embedding {
			embeddings++
		}
	}
	if embeddings > 0 {
		notes = append(notes, fmt.Sprintf("coremltools keeps embeddings, of which %d are quantized here", embeddings))
	}
	for _, t := range p.Options.Types {
		notes = append(notes, fmt.Sprintf("the type of %s was set to %s; coremltools knows the class", t.Pattern, t.Class))
	}
	if p.Options.KeepUnfit {
		notes = append(notes, "tensors that cannot be quantized are kept; coremltools writes NaN for them")
	}
	if !p.Options.IsZero() {
		notes = append(notes, "its key nibble is Nibble's own, and coremltools refuses it: take it out for coremltools")
	}
	return notes
}

// equivalent finds one entry that coremltools follows to the same verdicts and blocks
// for every weight of a module that the recipe reaches, which these are.
func equivalent(reached []*plan.Entry) (Entry, bool) {
	var first *plan.Entry
	for _, e := range reached {
		if first == nil && e.Quantize {
			first = e
		}
	}
	if first == nil {
		return Entry{}, true // all are kept
	}
	channel, pair := first.Scheme, first.Scheme
	channel.Granularity, channel.BlockSize = scheme.PerChannel, nil
	pair.Granularity, pair.BlockSize = scheme.PerBlock, []int64{first.Grid.BlockRows, first.Grid.BlockCols}
	if first.Class.Transposed() {
		slices.Reverse(pair.BlockSize)
	}
	for _, s := range []scheme.Scheme{channel, pair} {
		if !slices.ContainsFunc(reached, func(e *plan.Entry) bool {
			g, why := Blocks(s, e.Tensor.Shape, e.Class.Transposed())
			return (why.Code == "") != e.Quantize || e.Quantize && g != e.Grid
		}) {
			return Entry{Scheme: &s}, true
		}
	}
	return Entry{}, false
}
