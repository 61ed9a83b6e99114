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
// follows. What no config can say is told in notes.
func (p *Plan) Export() (*recipe.Recipe, []string) {
	var notes []string
	var rules []recipe.NameRule
	done := map[string]bool{}
	for i := range p.Entries {
		e := &p.Entries[i]
		if e.Beyond == "" || done[e.Module] {
			continue
		}
		done[e.Module] = true
		if s, ok := p.equivalent(e.Module); ok {
			rules = append(rules, recipe.NewNameRule(e.Module, recipe.Entry{Scheme: &s}))
			continue
		}
		notes = append(notes, fmt.Sprintf("coremltools would keep %s: %s", e.Tensor.Name, e.Beyond))
	}
	embeddings := 0
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize && e.Type == Embedding {
			embeddings++
		}
	}
	if embeddings > 0 {
		notes = append(notes, fmt.Sprintf("coremltools keeps embeddings, %d here; the command quantizes them with --include-embeddings", embeddings))
	}
	for _, t := range p.Options.Types {
		notes = append(notes, fmt.Sprintf("the command needs --module-type '%s=%s'; coremltools knows the class", t.Pattern, t.Class))
	}
	if p.Options.KeepUnfit {
		notes = append(notes, "tensors that cannot be quantized are kept by --keep-unfit; coremltools writes NaN for them")
	}
	return p.Recipe.With(rules), notes
}

// equivalent finds one scheme that coremltools follows to the same blocks for every
// quantized weight of a module.
func (p *Plan) equivalent(module string) (scheme.Scheme, bool) {
	var all []*Entry
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Module == module && e.Quantize {
			all = append(all, e)
		}
	}
	first := all[0]
	channel := first.Scheme
	channel.Granularity, channel.BlockSize = scheme.PerChannel, nil
	pair := first.Scheme
	pair.BlockSize = []int64{first.Grid.BlockRows, first.Grid.BlockCols}
	if transposed(first) {
		slices.Reverse(pair.BlockSize)
	}
	for _, s := range []scheme.Scheme{channel, pair} {
		same := true
		for _, e := range all {
			g, why := s.Blocks(e.Tensor.Shape, transposed(e))
			same = same && why == "" && g == e.Grid
		}
		if same {
			return s, true
		}
	}
	return scheme.Scheme{}, false
}

func transposed(e *Entry) bool { return strings.HasPrefix(e.Type, "ConvTranspose") }
