package plan

import (
	"fmt"
	"slices"
	"strconv"

	"nibble/quant/fault"
	"nibble/quant/scheme"
)

// Tie is two names of one weight, of which one was to be kept for what it is, and so both are.
type Tie struct {
	Kept, With string
	Code       Code // why With is kept
}

// unifyTied looks at weights that are one view of one storage under several names, and at names that a file leaves
// out because they are another's. Where one is kept for what it is (an embedding), so are the others, so that it does
// not change unnoticed; where the recipe wants two things, it is an error.
func (p *Plan) unifyTied(facts *facts, known *classes) error {
	absent, err := p.absentNames(facts, known)
	if err != nil {
		return err
	}
	groups, order := map[string][]*Entry{}, []string{}
	for i := range p.Entries {
		e := &p.Entries[i]
		if e.Tensor.Storage.File == nil || e.Tensor.Elements() == 0 || e.Reason.Code == IsTiedHead {
			continue // the place that reads the model knows of the tie
		}
		view := e.Tensor.View()
		if groups[view] == nil {
			order = append(order, view)
		}
		groups[view] = append(groups[view], e)
	}
	for _, view := range order {
		group := groups[view]
		for _, e := range group {
			for _, twin := range absent[e.Tensor.Name] {
				group = append(group, twin)
			}
		}
		if err := p.unify(group); err != nil {
			return err
		}
	}
	return nil
}

// unify gives the names of one weight one verdict, or says that there are two.
func (p *Plan) unify(group []*Entry) error {
	for _, b := range group[1:] {
		a := group[0]
		if a.Quantize == b.Quantize && (!a.Quantize || a.Grid == b.Grid && sameScheme(a.Scheme, b.Scheme)) {
			continue
		}
		if p.keepAll(group) {
			return nil
		}
		file := b.Tensor.Storage.FileName()
		return fault.Not(file, "it is one weight with %q (tied), but %s and %s", a.Tensor.Name, verdict(b), verdict(a)).
			In(b.Tensor.Name).Code(fault.Tied, a.Tensor.Name, b.Tensor.Name).
			Hint("write one rule of the recipe that matches both by name")
	}
	return nil
}

// keepAll keeps all names of a weight where one is kept for what it is, and the recipe asks for none by name.
func (p *Plan) keepAll(group []*Entry) bool {
	var keeper *Entry
	for _, e := range group {
		if e.Quantize && e.ByName {
			return false
		}
		if keeper == nil && !e.Quantize && e.Rule == "" && e.Reason.Code != NoRule {
			keeper = e
		}
	}
	if keeper == nil {
		return false
	}
	for _, e := range group {
		if e.Quantize {
			e.Quantize, e.Reason = false, Because(IsTied, strconv.Quote(keeper.Tensor.Name), keeper.Reason)
			p.fillText(&e.Reason)
			p.Ties = append(p.Ties, Tie{e.Tensor.Name, keeper.Tensor.Name, keeper.Reason.Code})
		}
	}
	return true
}

// absentNames decides on the names that the file leaves out, as if they were in it: by the tensor that they stand
// for. Only the verdict on an embedding counts: any other name alone could be anything.
func (p *Plan) absentNames(facts *facts, known *classes) (map[string][]*Entry, error) {
	if len(p.State.Absent) == 0 {
		return nil, nil
	}
	byName := make(map[string]*Entry, len(p.Entries))
	for i := range p.Entries {
		byName[p.Entries[i].Tensor.Name] = &p.Entries[i]
	}
	out := map[string][]*Entry{}
	for _, a := range p.State.Absent {
		e := byName[a.Of]
		if e == nil {
			continue
		}
		twin := *e.Tensor
		twin.Name = a.Name
		m, err := findModule(&twin, facts, known)
		if err != nil {
			return nil, err
		}
		other, err := p.decide(&twin, m)
		if err != nil {
			return nil, err
		}
		if other.Reason.Code == IsEmbed {
			out[a.Of] = append(out[a.Of], &other)
		}
	}
	return out, nil
}

// sameScheme reports whether two schemes are equal.
func sameScheme(a, b scheme.Scheme) bool {
	return a.Method == b.Method && a.WeightDType == b.WeightDType && a.Granularity == b.Granularity && a.Mode == b.Mode &&
		slices.Equal(a.BlockSize, b.BlockSize)
}

// verdict is half a sentence about one of two tied weights.
func verdict(e *Entry) string {
	if e.Quantize {
		return fmt.Sprintf("%s becomes %s by %s", e.Tensor.Name, e.Scheme, e.Rule)
	}
	return fmt.Sprintf("%s is kept (%s)", e.Tensor.Name, e.Reason.Text)
}
