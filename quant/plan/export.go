package plan

import (
	"fmt"
	"slices"
	"strings"

	"nibble/quant/recipe"
	"nibble/quant/scheme"
)

// Export is the recipe that makes coremltools itself quantize what this plan does, with
// the same blocks: layers that it would skip get an entry of their own, in words that it
// follows, and so do layers that are kept because they cannot be quantized. What no
// config can say is told in notes.
func (p *Plan) Export() (*recipe.Recipe, []string) {
	if p.whole != nil {
		return p.whole.Export()
	}
	var notes []string
	var rules []recipe.NameRule
	said := map[string]bool{} // modules that a rule speaks for
	reached := map[string][]*Entry{}
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Rule != "" {
			reached[e.Module] = append(reached[e.Module], e)
		}
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		unfit := e.Code == IsUnfit || e.Code == IsTied
		switch {
		case said[e.Module]:
			continue
		case e.Code == Doubtful || e.Code == IsRouter: // coremltools knows the class, and may quantize it
			said[e.Module] = true
			rules = append(rules, recipe.NewNameRule(e.Module, recipe.Entry{}))
			continue
		case e.Beyond == "" && !unfit:
			continue
		}
		entry, ok := equivalent(reached[e.Module])
		switch {
		case ok:
			said[e.Module] = true
			rules = append(rules, recipe.NewNameRule(e.Module, entry))
		case unfit:
			notes = append(notes, fmt.Sprintf("coremltools would quantize %s, which %s", e.Tensor.Name, e.Reason))
		default:
			notes = append(notes, fmt.Sprintf("coremltools would keep %s: %s", e.Tensor.Name, e.Beyond))
		}
	}
	out := p.Recipe.With(rules)
	return out, append(notes, p.beyondConfigs(out)...)
}

// beyondConfigs is what a user asked for that a config has no words for.
func (p *Plan) beyondConfigs(r *recipe.Recipe) (notes []string) {
	if r.Lists() {
		notes = append(notes, "coremltools takes a block_size of several axes as a tuple only: turn the lists into tuples in Python; its from_yaml cannot")
	}
	embeddings := 0
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize && e.Type == Embedding {
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
	return notes
}

// equivalent finds one entry that coremltools follows to the same verdicts and blocks
// for every weight of a module that the recipe reaches, which these are.
func equivalent(reached []*Entry) (recipe.Entry, bool) {
	var first *Entry
	for _, e := range reached {
		if first == nil && e.Quantize {
			first = e
		}
	}
	if first == nil {
		return recipe.Entry{}, true // all are kept
	}
	channel, pair := first.Scheme, first.Scheme
	channel.Granularity, channel.BlockSize = scheme.PerChannel, nil
	pair.Granularity, pair.BlockSize = scheme.PerBlock, []int64{first.Grid.BlockRows, first.Grid.BlockCols}
	if transposed(first) {
		slices.Reverse(pair.BlockSize)
	}
	for _, s := range []scheme.Scheme{channel, pair} {
		if !slices.ContainsFunc(reached, func(e *Entry) bool {
			g, why := s.Blocks(e.Tensor.Shape, transposed(e))
			return (why == "") != e.Quantize || e.Quantize && g != e.Grid
		}) {
			return recipe.Entry{Scheme: &s}, true
		}
	}
	return recipe.Entry{}, false
}

// transposed reports whether the weight's first axis is the inputs'.
func transposed(e *Entry) bool { return strings.HasPrefix(e.Type, "ConvTranspose") || e.Type == Conv1D }
