package plan

import (
	"fmt"
	"slices"

	"nibble/quant/fault"
	"nibble/quant/scheme"
)

// Tie is two names of one weight, of which at least one was to be kept, and so both are.
type Tie struct{ Kept, With string }

// tied looks at weights that are one view of one storage under two names, and at names that a file leaves
// out because they are another's. coremltools writes the quantized values over both without a word. Here, where
// one is kept for what it is (an embedding), so is the other; where the recipe wants two things, it is an error.
func (p *Plan) tied() error {
	first := map[string]int{}
	for i := range p.Entries {
		b := &p.Entries[i]
		if b.Tensor.Storage.File == nil || b.Tensor.Elements() == 0 {
			continue
		}
		view := b.Tensor.View()
		k, seen := first[view]
		if !seen {
			first[view] = i
			continue
		}
		a := &p.Entries[k]
		if a.Quantize == b.Quantize && (!a.Quantize || a.Grid == b.Grid && sameScheme(a.Scheme, b.Scheme)) {
			continue
		}
		switch {
		case a.keepsTwin(b):
			p.keepWith(b, a.Tensor.Name, a.Reason)
		case b.keepsTwin(a):
			p.keepWith(a, b.Tensor.Name, b.Reason)
		default:
			file := b.Tensor.Storage.FileName()
			return fault.Not(file, "it is one weight with %q (tied), but %s and %s", a.Tensor.Name, verdict(b), verdict(a)).
				In(b.Tensor.Name).Code("tied").Hint("write one rule of module_name_configs that matches both")
		}
	}
	return nil
}

// keepsTwin reports whether an entry is kept for what it is, so that a twin of it is, too. What the recipe
// says by name of the twin is not overruled in silence.
func (e *Entry) keepsTwin(twin *Entry) bool {
	return !e.Quantize && (e.Rule == "" && e.Code != NoRule || e.Code == IsTied) && !twin.byName
}

// keepWith keeps a tensor because another name of the same weight is kept.
func (p *Plan) keepWith(e *Entry, other string, why string) {
	e.keep(Reason{IsTied, fmt.Sprintf("one weight with %q (tied), which is kept (%s)", other, why)})
	p.Ties = append(p.Ties, Tie{e.Tensor.Name, other})
}

// absent decides on the names that the file leaves out, as if they were in it.
func (p *Plan) absent(facts *facts, known *classes) error {
	if len(p.State.Absent) == 0 {
		return nil
	}
	byName := make(map[string]*Entry, len(p.Entries))
	for i := range p.Entries {
		byName[p.Entries[i].Tensor.Name] = &p.Entries[i]
	}
	for _, a := range p.State.Absent {
		e := byName[a.Of]
		if e == nil || !e.Quantize {
			continue
		}
		twin := *e.Tensor
		twin.Name = a.Name
		m, err := place(&twin, facts, known)
		if err != nil {
			return err
		}
		other := Entry{Tensor: &twin}
		if err := p.decide(&other, m); err != nil {
			return err
		}
		if other.keepsTwin(e) {
			p.keepWith(e, a.Name, other.Reason)
		}
	}
	return nil
}

func sameScheme(a, b scheme.Scheme) bool {
	return a.WeightDType == b.WeightDType && a.Granularity == b.Granularity && a.Mode == b.Mode &&
		slices.Equal(a.BlockSize, b.BlockSize)
}

// verdict is half a sentence about one of two tied weights.
func verdict(e *Entry) string {
	if e.Quantize {
		return fmt.Sprintf("%s becomes %s by %s", e.Tensor.Name, e.Scheme, e.Rule)
	}
	return fmt.Sprintf("%s is kept (%s)", e.Tensor.Name, e.Reason)
}
