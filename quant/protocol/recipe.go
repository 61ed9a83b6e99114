package protocol

import (
	"strings"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/pattern"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
)

// For is what a request asks quant.Plan for.
func (q *PlanRequest) For() (quant.Options, error) {
	r, err := q.recipe()
	if err != nil {
		return quant.Options{}, err
	}
	o := quant.Options{
		Policy: r, Container: string(q.Container), IncludeEmbeddings: q.Options.Embeddings,
		CoremltoolsSkips: q.Options.CoremltoolsSkips, KeepUnfit: q.Options.KeepUnfit, AllowNone: q.Options.AllowNone,
	}
	if q.HighNibble != nil {
		o.HighNibble = string(*q.HighNibble)
	}
	for _, rule := range q.Options.Types {
		o.ModuleTypes = append(o.ModuleTypes, rule.String())
	}
	for _, t := range q.Types {
		rule, err := recipe.NewType(pattern.Quote(t.Module), t.Class)
		if err != nil {
			return o, err
		}
		o.ModuleTypes = append(o.ModuleTypes, rule.String())
	}
	return o, nil
}

// recipe is the config of a request, with the edits.
func (q *PlanRequest) recipe() (*coremltools.Recipe, error) {
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
		return nil, err
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
			return nil, coremltools.WithoutLine(err)
		}
	}
	return r, nil
}

// Where is the container that a request asks for.
func (q *PlanRequest) Where() container.Options {
	o := container.Options{To: string(q.Container)}
	if q.HighNibble != nil {
		o.HighNibble = string(*q.HighNibble)
	}
	return o
}
