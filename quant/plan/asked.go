package plan

// Asked is what a user asked for beyond the recipe, as reports and outputs carry it.
type Asked struct {
	ModuleTypes      []string `json:"module_types"` // PATTERN=CLASS
	Embeddings       bool     `json:"include_embeddings"`
	CoremltoolsSkips bool     `json:"coremltools_skips"`
	KeepUnfit        bool     `json:"keep_unfit"`
	AllowNone        bool     `json:"allow_none"`
	Parts            []string `json:"parts"`
}

// Asked sums the options up.
func (o Options) Asked() Asked {
	a := Asked{
		ModuleTypes: []string{}, Embeddings: o.Embeddings, CoremltoolsSkips: o.CoremltoolsSkips, KeepUnfit: o.KeepUnfit, AllowNone: o.AllowNone, Parts: append([]string{}, o.Parts...),
	}
	for _, r := range o.Types {
		a.ModuleTypes = append(a.ModuleTypes, r.Pattern+"="+r.Class)
	}
	return a
}

// Nothing reports whether the recipe alone decided.
func (a Asked) Nothing() bool {
	return len(a.ModuleTypes) == 0 && !a.Embeddings && !a.CoremltoolsSkips && !a.KeepUnfit && !a.AllowNone && len(a.Parts) == 0
}
