// Package recipe reads the quantization config that the user gives: the JSON form
// of coremltools' PostTrainingQuantizerConfig (coremltools 9.0,
// optimize/torch/quantization/post_training_quantization.py), with the keys
// global_config, module_type_configs and module_name_configs.
//
// It refuses what coremltools refuses, and unknown keys everywhere (coremltools
// ignores them inside module_type_configs). Each refusal names the key, the value
// and what is accepted. float32 means "keep", as Apple's documentation says;
// coremltools itself would run a 32-bit quantization that no converter takes.
//
// The plan asks a Recipe which rule holds for a module; nothing else reads it.
package recipe

import (
	"fmt"
	"regexp"

	"nibble/quant/scheme"
)

// Default is the recipe of the command and the page when the user gives none.
const Default = `{"global_config": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 32}}`

// Entry is one module config. A nil Scheme keeps the module's weights.
type Entry struct {
	Scheme *scheme.Scheme
}

// NameRule is one entry of module_name_configs.
type NameRule struct {
	Pattern string
	Entry   Entry
	match   *regexp.Regexp
}

// TypeRule is one entry of module_type_configs.
type TypeRule struct {
	Type  string // a class name such as Linear
	Entry Entry
}

// Recipe is a validated config.
type Recipe struct {
	Global *Entry // nil: nothing is quantized unless a rule below names it
	Types  []TypeRule
	Names  []NameRule // in the order of the file; the first match wins
	Source []byte     // the config as given, compacted, to be carried in outputs
}

// Rule finds the entry for a module: by name, then by class, then the global one,
// in coremltools' order. rule says which one won, in words; ok is false when none does.
func (r *Recipe) Rule(module, class string) (e Entry, rule string, ok bool) {
	for _, n := range r.Names {
		if n.match.MatchString(module) {
			return n.Entry, "module_name_configs " + quote(n.Pattern), true
		}
	}
	for _, t := range r.Types {
		if t.Type == class {
			return t.Entry, "module_type_configs " + quote(t.Type), true
		}
	}
	if r.Global != nil {
		return *r.Global, "global_config", true
	}
	return Entry{}, "", false
}

// foreign finds what Go's patterns and Python's read differently, so that no pattern
// means something else in silence: {,n}, POSIX classes, \z, \Q, \p and the flag U.
var foreign = regexp.MustCompile(`\{,|\[\[:|\\[zQpPC]|\(\?[a-zA-Z]*U`)

// compile makes a matcher of a pattern that Python's re.fullmatch would take.
func compile(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	if odd := foreign.FindString(pattern); odd != "" {
		return nil, fmt.Errorf("%s means something else in Python", odd)
	}
	return regexp.Compile(`^(?:` + pattern + `)$`)
}

func quote(s string) string { return `"` + s + `"` }
