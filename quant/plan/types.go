package plan

import (
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/pattern"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
)

// Module is the class that stands for any other: its weights are kept.
const Module = "Module"

// rank is how many axes the weight of a class has.
var rank = map[string]int{
	Linear: 2, MHA: 2, Embedding: 2, Conv1D: 2,
	"Conv1d": 3, "Conv2d": 4, "Conv3d": 5, "ConvTranspose1d": 3, "ConvTranspose2d": 4, "ConvTranspose3d": 5,
}

// TypeRule sets the class of the modules whose names a pattern matches whole, as
// Python's re.fullmatch does. The first rule that matches wins.
type TypeRule struct {
	Pattern, Class string
	match          *pattern.Pattern
}

// ParseType reads PATTERN=CLASS.
func ParseType(text string) (TypeRule, error) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return TypeRule{}, fault.Not("", "the module type %q has no =", text).Hint("write PATTERN=CLASS, such as 'decoder\\.up=ConvTranspose2d'")
	}
	return NewType(text[:i], text[i+1:])
}

// NewType makes a rule.
func NewType(text, class string) (TypeRule, error) {
	known := class == Module
	for c := range rank {
		known = known || c == class
	}
	if !known {
		var all []string
		for c := range rank {
			all = append(all, c)
		}
		slices.Sort(all)
		return TypeRule{}, fault.Not("", "there is no module type %q", class).
			Hint("use one of %s, or Module for anything else, which is kept", strings.Join(all, ", "))
	}
	match, err := pattern.Compile(text)
	if err != nil {
		return TypeRule{}, fault.Not("", "%q is not a pattern: %v", text, err).Hint("patterns are those of Python's re.fullmatch")
	}
	return TypeRule{text, class, match}, nil
}

// classes answers which class a module has, and from where that is known.
type classes struct {
	rules []TypeRule
	used  []bool
	file  map[string]string
	seen  map[string]int // module -> index of its rule, -1 for none
}

func newClasses(state *tensor.StateDict, rules []TypeRule) *classes {
	return &classes{rules: rules, used: make([]bool, len(rules)), file: state.Classes, seen: map[string]int{}}
}

// of is the class set by the user or told by the file, "" when neither says.
func (c *classes) of(module string) (class, source string, err error) {
	i, known := c.seen[module]
	if !known {
		i = -1
		for k, r := range c.rules {
			ok, err := r.match.FullMatch(module)
			if err != nil {
				return "", "", fault.Not("", "module type: %q on the module %q: %v", r.Pattern, module, err).Hint("write it without repeats inside repeats")
			}
			if ok {
				i = k
				break
			}
		}
		c.seen[module] = i
	}
	if i >= 0 {
		return c.rules[i].Class, FromUser, nil
	}
	if class := c.file[module]; class != "" {
		return class, FromFile, nil
	}
	return "", "", nil
}

// fits checks a class that the user set against the weight it landed on.
func (c *classes) fits(t *tensor.Tensor, p param) error {
	c.used[c.seen[p.set]] = true
	if want := rank[p.class]; want != 0 && len(t.Shape) != want {
		return fault.Not(t.Storage.FileName(), "its type was set to %s, whose weight has %d axes; this one has %d", p.class, want, len(t.Shape)).
			In(t.Name).Hint("set another type")
	}
	return nil
}

// unused finds a rule that reached no weight: most likely a typo.
func (c *classes) unused() error {
	for i, r := range c.rules {
		if !c.used[i] {
			return fault.Not("", "the module type %s=%s is set for no module that has a weight", r.Pattern, r.Class).
				Hint("patterns match whole module names, without the .weight at their end, and the first that matches wins")
		}
	}
	return nil
}

// quantizable reports whether a recipe is asked about a class.
func quantizable(class string) bool {
	return recipe.IsLayer(class) || class == Embedding || class == Conv1D
}
