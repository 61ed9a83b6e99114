package protocol

import (
	"cmp"
	"strings"

	"nibble/quant"
	"nibble/quant/pattern"
	"nibble/quant/recipe"
)

// For is what a request asks quant.Plan for.
func (q *PlanRequest) For() (quant.Options, error) {
	o := quant.Options{
		Global: q.Global, Target: cmp.Or(string(q.Runtime), q.Options.For), Container: string(q.Container),
		IncludeEmbeddings: q.Options.Embeddings, CoremltoolsSkips: q.Options.CoremltoolsSkips,
		KeepUnfit: q.Options.KeepUnfit, AllowNone: q.Options.AllowNone,
	}
	if strings.TrimSpace(q.Config) != "" {
		o.Config = []byte(q.Config)
	}
	if q.HighNibble != nil {
		o.HighNibble = string(*q.HighNibble)
	}
	for _, e := range q.Edits {
		o.Edits = append(o.Edits, quant.Edit(e))
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
