package testkit

import (
	"nibble/quant"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/recipe"
)

// Plan is quant.Plan for what tests have: a policy, the options beyond its config, and those of the container.
func Plan(m *model.Model, p plan.Policy, o recipe.Options, c layout.Options) (*quant.Job, error) {
	options := quant.Options{
		Policy: p, Container: c.To, HighNibble: c.HighNibble, IncludeEmbeddings: o.Embeddings,
		CoremltoolsSkips: o.CoremltoolsSkips, KeepUnfit: o.KeepUnfit, AllowNone: o.AllowNone, Unfit: o.Keep, Least: o.Least,
	}
	for _, rule := range o.Types {
		options.ModuleTypes = append(options.ModuleTypes, rule.String())
	}
	return quant.Plan(m, options)
}
