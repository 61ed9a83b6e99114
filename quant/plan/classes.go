package plan

import (
	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
)

// classes answers which class a module has, and from where that is known.
type classes struct {
	rules []recipe.TypeRule
	used  map[string]bool // patterns of rules that reached a weight
	file  map[string]string
	seen  map[string]*recipe.TypeRule // module -> its rule, nil for none
}

func newClasses(state *tensor.StateDict, rules []recipe.TypeRule) *classes {
	return &classes{rules: rules, used: map[string]bool{}, file: state.Classes, seen: map[string]*recipe.TypeRule{}}
}

// of is the class that the user set or the file says, "" when neither does.
func (c *classes) of(module string) (class string, source Source, err error) {
	rule, known := c.seen[module]
	for i := 0; !known && rule == nil && i < len(c.rules); i++ {
		ok, err := c.rules[i].Matches(module)
		if err != nil {
			return "", "", err
		}
		if ok {
			rule = &c.rules[i]
		}
	}
	if c.seen[module] = rule; rule != nil {
		return rule.Class, FromUser, nil
	}
	if class := c.file[module]; class != "" {
		return class, FromFile, nil
	}
	return "", "", nil
}

// fits checks a class that the user set against the weight it landed on.
func (c *classes) fits(t *tensor.Tensor, p param) error {
	c.used[c.seen[p.set].String()] = true
	if want := layer.Of(p.class); !want.Varied && len(t.Shape) != want.Rank {
		return fault.Not(t.Storage.FileName(), "its type was set to %s, whose weight has %d axes; this one has %d", p.class,
			want.Rank, len(t.Shape)).
			In(t.Name).Hint("set another type")
	}
	return nil
}

// unused finds a rule that reached no weight: most likely a typo.
func (c *classes) unused() error {
	for _, r := range c.rules {
		if !c.used[r.String()] {
			return fault.Not("", "the module type %s=%s is set for no module that has a weight", r.Pattern, r.Class).
				Hint("patterns match whole module names, without the .weight at their end, and the first that matches wins")
		}
	}
	return nil
}
