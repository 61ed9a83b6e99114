// Package coremltools is the policy of coremltools for checkpoints. It reads the quantization config that the user
// gives, PostTrainingQuantizerConfig (coremltools 9.0, optimize/torch/quantization/post_training_quantization.py) in
// JSON or YAML, with the keys global_config, module_type_configs and module_name_configs. It writes one back in both
// forms.
//
// It refuses what coremltools refuses, and unknown keys everywhere (coremltools
// ignores them inside module_type_configs). Each refusal names the key, the value
// and what is accepted. float32 means "keep", as Apple's documentation says;
// coremltools itself would run a 32-bit quantization that no converter takes.
//
// A Recipe is a plan.Policy: Decide follows PostTrainingQuantizer (which classes it quantizes, which layers it skips
// and how it lays blocks), and where Nibble quantizes a layer that coremltools would skip, it says so. Export writes
// the config in which coremltools does the same.
//
// Only package quant is stable.
package coremltools

import (
	"slices"

	"nibble/quant/fault"
	"nibble/quant/pattern"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
)

// Default is the recipe of the command and the page when the user gives none: that of Global{}.
const Default = `{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":32}}`

// Entry is one module config. A nil Scheme keeps the module's weights.
type Entry struct {
	Scheme *scheme.Scheme
	ByName bool // of module_name_configs, as Rule answers
}

// NameRule is one entry of module_name_configs.
type NameRule struct {
	Pattern string // Python's, matched whole
	Entry   Entry
	match   *pattern.Pattern
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
	Source []byte     // the config as given, as compact JSON, to be carried in outputs

	options recipe.Options // under the key nibble
	silent  bool           // it has no rules of its own, so that coremltools' default is the only one
}

// Silent reports whether a config says nothing of layers. coremltools then means its own default.
func (r *Recipe) Silent() bool { return r.silent }

// Without is the recipe without rules, for policies that have no use for any.
func Without() *Recipe { return &Recipe{Source: []byte("{}"), silent: true} }

// Options are what the config asks for under its key nibble.
func (r *Recipe) Options() recipe.Options { return r.options }

// Rule finds the entry for a module: by name, then by class, then the global one,
// in coremltools' order. rule says which one won, in words, and is empty when none
// does. The error is a pattern that takes too long.
func (r *Recipe) Rule(module, class string) (e Entry, rule string, err error) {
	for _, n := range r.Names {
		ok, err := n.match.FullMatch(module)
		if err != nil {
			return Entry{}, "", fault.Not("", "module_name_configs: %q on the module %q: %v", n.Pattern, module, err).
				Hint("write it without repeats inside repeats")
		}
		if ok {
			return Entry{n.Entry.Scheme, true}, `module_name_configs "` + n.Pattern + `"`, nil
		}
	}
	for _, t := range r.Types {
		if t.Type == class {
			return t.Entry, `module_type_configs "` + t.Type + `"`, nil
		}
	}
	if r.Global != nil {
		return *r.Global, "global_config", nil
	}
	return Entry{}, "", nil
}

// NewNameRule makes a rule for the one module of this name.
func NewNameRule(module string, e Entry) NameRule {
	text := pattern.Quote(module)
	match, _ := pattern.Compile(text) // what Quote makes is a pattern
	return NameRule{text, e, match}
}

// Asking is the recipe with other options under its key nibble.
func (r *Recipe) Asking(o recipe.Options) *Recipe {
	out := *r
	out.options = o
	return &out
}

// With is the recipe with rules that win over all others.
func (r *Recipe) With(rules []NameRule) *Recipe {
	out := *r
	out.Names = rules
	for _, n := range r.Names {
		if !slices.ContainsFunc(rules, func(own NameRule) bool { return own.Pattern == n.Pattern }) {
			out.Names = append(out.Names, n)
		}
	}
	out.Source = out.value(recipe.Options{}).json(nil)
	return &out
}

// Edit is what a user set for one module by hand, in words; no entry keeps it.
type Edit struct {
	Module string
	Entry  *Global
}

// Edited puts edits before all rules; usual has the words that they leave out. They take the recipe's
// quantization_scheme, which must be the same everywhere.
func (r *Recipe) Edited(edits []Edit, usual Global) (*Recipe, error) {
	mode := scheme.Symmetric
	for _, e := range r.entries() {
		if e.Scheme != nil {
			mode = e.Scheme.Mode
			break
		}
	}
	var rules []NameRule
	p := &parser{}
	for _, edit := range edits {
		v := value{kind: null}
		if edit.Entry != nil {
			v = edit.Entry.Over(usual).entry()
		}
		e, err := p.entry(v, edit.Module)
		if err != nil {
			return nil, err
		}
		if e.Scheme != nil {
			e.Scheme.Mode = mode
		}
		rules = append(rules, NewNameRule(edit.Module, e))
	}
	return r.With(rules), nil
}

// entries lists all module configs, the global one first.
func (r *Recipe) entries() []Entry {
	var all []Entry
	if r.Global != nil {
		all = append(all, *r.Global)
	}
	for _, t := range r.Types {
		all = append(all, t.Entry)
	}
	for _, n := range r.Names {
		all = append(all, n.Entry)
	}
	return all
}
