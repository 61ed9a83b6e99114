package recipe

import (
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/pattern"
)

// TypeRule sets the class of the modules whose names a pattern matches whole, as
// Python's re.fullmatch does. The first rule that matches wins. Its text is PATTERN=CLASS.
type TypeRule struct {
	Pattern, Class string
	match          *pattern.Pattern
}

// ParseType reads PATTERN=CLASS.
func ParseType(text string) (TypeRule, error) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return TypeRule{}, fault.Not("", "the module type %q has no =", text).
			Hint("write PATTERN=CLASS, such as 'decoder\\.up=ConvTranspose2d'")
	}
	return NewType(text[:i], text[i+1:])
}

// NewType makes a rule.
func NewType(text, class string) (TypeRule, error) {
	if !layer.Settable(class) {
		var all []string
		for _, c := range layer.Table {
			if !c.Varied {
				all = append(all, c.Name)
			}
		}
		slices.Sort(all)
		return TypeRule{}, fault.Not("", "there is no module type %q", class).
			Hint("use one of %s, or %s for anything else, which is kept", strings.Join(all, ", "), layer.Other)
	}
	match, err := pattern.Compile(text)
	if err != nil {
		return TypeRule{}, fault.Not("", "%q is not a pattern: %v", text, err).
			Hint("patterns are those of Python's re.fullmatch")
	}
	return TypeRule{text, class, match}, nil
}

// Matches reports whether the rule is for a module. The error is a pattern that takes too long.
func (r *TypeRule) Matches(module string) (bool, error) {
	ok, err := r.match.FullMatch(module)
	if err != nil {
		return false, fault.Not("", "module type: %q on the module %q: %v", r.Pattern, module, err).
			Hint("write it without repeats inside repeats")
	}
	return ok, nil
}

func (r TypeRule) String() string { return r.Pattern + "=" + r.Class }

// MarshalText is the rule as PATTERN=CLASS.
func (r TypeRule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads PATTERN=CLASS.
func (r *TypeRule) UnmarshalText(text []byte) (err error) {
	*r, err = ParseType(string(text))
	return err
}
