package protocol

import (
	"strings"

	"nibble/quant/container"
	"nibble/quant/pattern"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
)

// Recipe is the recipe that a request stands for, and what it asks for beyond it.
func (q *PlanRequest) Recipe() (*coremltools.Recipe, recipe.Options, error) {
	own := strings.TrimSpace(q.Config) != ""
	text := []byte(q.Config)
	if !own {
		text = q.Global.Config()
	}
	r, err := coremltools.Parse("", text)
	if err != nil {
		if !own {
			err = coremltools.WithoutLine(err)
		}
		return nil, q.Options, err
	}
	var edits []coremltools.Edit
	for _, e := range q.Edits {
		if e.Entry == nil {
			edits = append(edits, coremltools.Kept(e.Module))
		} else {
			edits = append(edits, e.Entry.Edit(e.Module))
		}
	}
	if len(edits) > 0 {
		if r, err = r.Edited(edits); err != nil {
			return nil, q.Options, coremltools.WithoutLine(err)
		}
	}
	o := q.Options
	for _, t := range q.Types {
		rule, err := recipe.NewType(pattern.Quote(t.Module), t.Class)
		if err != nil {
			return nil, o, err
		}
		o.Types = append(o.Types, rule)
	}
	return r, o, nil
}

// Where is the container that a request asks for.
func (q *PlanRequest) Where() container.Options {
	o := container.Options{To: string(q.Container)}
	if q.HighNibble != nil {
		o.HighNibble = string(*q.HighNibble)
	}
	return o
}
