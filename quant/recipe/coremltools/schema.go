package coremltools

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/pattern"
	"nibble/quant/recipe"
	"nibble/quant/scheme"
)

// maxBytes bounds a config; real ones are a few kilobytes.
const maxBytes = 1 << 20

// Parse reads a config in JSON or YAML. file is the name that errors show; its ending
// says which of the two it is, and without one the text does. Errors name the line.
func Parse(file string, content []byte) (*Recipe, error) {
	r, err := parse(file, content)
	var known *fault.Error
	if errors.As(err, &known) && known.HasOffset && known.Offset <= int64(len(content)) {
		known.HasLine, known.Line = true, 1+bytes.Count(content[:known.Offset], []byte("\n"))
	}
	return r, err
}

func parse(file string, content []byte) (*Recipe, error) {
	if len(content) > maxBytes {
		return nil, fault.Not(file, "the config has %d bytes, more than %d", len(content), maxBytes)
	}
	if len(bytes.TrimSpace(bytes.TrimPrefix(content, bom))) == 0 {
		return nil, fault.Bad(file, "the config is empty").Hint("write {} for coremltools' defaults")
	}
	v, err := read(file, bytes.TrimPrefix(content, bom))
	if err != nil {
		return nil, err
	}
	p := &parser{file: file}
	r, err := p.recipe(v)
	if err != nil {
		return nil, err
	}
	r.Source = v.json(nil)
	return r, p.oneMode(r)
}

// bom is the mark that some editors put before UTF-8.
var bom = []byte("\xef\xbb\xbf")

type parser struct{ file string }

func (p *parser) refuse(v value, what string, args ...any) *fault.Error {
	return fault.Not(p.file, what, args...).At(v.at)
}

// recipe reads the top level.
func (p *parser) recipe(v value) (*Recipe, error) {
	if v.kind != object {
		return nil, p.refuse(v, "the config is %s, not an object", v.kind)
	}
	r := &Recipe{}
	for _, m := range v.members {
		var err error
		switch m.key {
		case "global_config":
			if m.value.kind != null {
				var e Entry
				e, err = p.entry(m.value, m.key)
				r.Global = &e
			}
		case "module_type_configs":
			err = p.each(m, func(rule member) error {
				if !IsLayer(rule.key) && rule.key != layer.Embedding {
					return p.unknownType(rule)
				}
				e, err := p.entry(rule.value, m.key+"."+rule.key)
				r.Types = append(r.Types, TypeRule{rule.key, e})
				return err
			})
		case "module_name_configs":
			err = p.each(m, func(rule member) error {
				match, err := pattern.Compile(rule.key)
				if err != nil {
					return p.refuse(value{at: rule.at}, "module_name_configs: %q is not a pattern: %v", rule.key, err).
						Hint("keys are regular expressions as in Python's re.fullmatch; escape special characters with a backslash")
				}
				e, err := p.entry(rule.value, m.key+"."+rule.key)
				r.Names = append(r.Names, NameRule{rule.key, e, match})
				return err
			})
		case nibble:
			r.options, err = p.options(m)
		default:
			err = p.unknown(m, "the config", "global_config", "module_type_configs", "module_name_configs", nibble)
		}
		if err != nil {
			return nil, err
		}
	}
	if r.Global == nil && r.Types == nil && r.Names == nil {
		r.Global, r.silent = &Entry{Scheme: defaultScheme()}, true // as coremltools does for an empty config
	}
	return r, nil
}

// nibble is the key of what coremltools has no word for. Without it a config is coremltools' own.
const nibble = "nibble"

// options reads what a config asks for under the key nibble.
func (p *parser) options(m member) (o recipe.Options, err error) {
	err = p.each(m, func(x member) error {
		if !slices.Contains(recipe.Keys(), x.key) {
			return p.unknown(x, m.key, recipe.Keys()...)
		}
		want, err := o.Set(x.key, x.value.json(nil))
		var known *fault.Error
		switch {
		case errors.As(err, &known):
			known.File = p.file
			return known.At(x.value.at)
		case want != "":
			return p.refuse(x.value, "%s.%s is %s, not %s", m.key, x.key, x.value.show(), want)
		}
		return err
	})
	return o, err
}

// each reads an object with keys of the user's choice, or null.
func (p *parser) each(m member, rule func(member) error) error {
	if m.value.kind != null && m.value.kind != object {
		return p.refuse(m.value, "%s is %s, not an object", m.key, m.value.kind)
	}
	for _, x := range m.value.members {
		if err := rule(x); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) unknownType(m member) error {
	e := p.refuse(value{at: m.at}, "module_type_configs: %q is not a layer type that is quantized", m.key)
	name := strings.TrimPrefix(strings.TrimPrefix(m.key, "torch."), "nn.")
	if near := nearest(name, append(layers, layer.Embedding)); near != "" {
		return e.Hint("did you mean %q? Accepted: %s", near, strings.Join(layers, ", "))
	}
	return e.Hint("accepted: %s; others are reached by module_name_configs", strings.Join(layers, ", "))
}

// defaultScheme holds coremltools' defaults of a module config.
func defaultScheme() *scheme.Scheme {
	return &scheme.Scheme{WeightDType: scheme.Int8, Granularity: scheme.PerChannel, Mode: scheme.Symmetric}
}

// oneMode refuses a mix of symmetric and affine, as coremltools does.
func (p *parser) oneMode(r *Recipe) error {
	var first *scheme.Scheme
	for _, e := range r.entries() {
		if e.Scheme == nil {
			continue
		}
		if first == nil {
			first = e.Scheme
		}
		if first.Mode != e.Scheme.Mode {
			return fault.Not(p.file, "quantization_scheme is %q in one place and %q in another", first.Mode, e.Scheme.Mode).
				Hint("write the same quantization_scheme in every entry; an entry without it means symmetric")
		}
	}
	return nil
}

// entry reads one module config, or null, which keeps the module. An entry that keeps
// by float32 has no scheme either, so its other keys only have to be valid.
func (p *parser) entry(v value, at string) (Entry, error) {
	if v.kind == null {
		return Entry{}, nil
	}
	if v.kind != object {
		return Entry{}, p.refuse(v, "%s is %s, not an object", at, v.kind).
			Hint("give weight_dtype, granularity, quantization_scheme, block_size; or null to keep it")
	}
	s, keep := defaultScheme(), false
	for _, m := range v.members {
		var err error
		var word string
		switch m.key {
		case "weight_dtype":
			if m.value.kind == null {
				keep = true
				break
			}
			word, err = p.oneOf(m, at, "int4", "uint4", "int8", "uint8", "float32")
			keep = word == "float32"
			s.WeightDType = scheme.WeightDType(word)
		case "granularity":
			word, err = p.oneOf(m, at, "per_tensor", "per_channel", "per_block")
			s.Granularity = scheme.Granularity(word)
		case "quantization_scheme":
			word, err = p.oneOf(m, at, "symmetric", "affine")
			s.Mode = scheme.Mode(word)
		case "block_size":
			s.BlockSize, err = p.blockSize(m.value, at)
		default:
			err = p.unknown(m, at, "weight_dtype", "granularity", "quantization_scheme", "block_size")
		}
		if err != nil {
			return Entry{}, err
		}
	}
	switch {
	case s.Granularity == scheme.PerBlock && s.BlockSize == nil:
		return Entry{}, p.refuse(v, "%s: granularity is per_block but block_size is missing", at).Hint(`add "block_size": 32`)
	case s.Granularity != scheme.PerBlock && s.BlockSize != nil:
		return Entry{}, p.refuse(v, "%s: block_size goes with per_block, not with %s", at, s.Granularity).
			Hint(`remove block_size or set "granularity": "per_block"`)
	case keep:
		return Entry{}, nil
	}
	return Entry{Scheme: s}, nil
}

// blockSize reads an int, a list of ints, or null.
func (p *parser) blockSize(v value, at string) ([]int64, error) {
	switch v.kind {
	case null:
		return nil, nil
	case number:
		n, err := p.integer(v, at)
		return []int64{n}, err
	case list:
		sizes := []int64{}
		for _, x := range v.items {
			n, err := p.integer(x, at)
			if err != nil {
				return nil, err
			}
			sizes = append(sizes, n)
		}
		if len(sizes) == 0 {
			return nil, p.refuse(v, "%s: block_size is an empty list", at).Hint("give one size, or one per axis")
		}
		return sizes, nil
	}
	return nil, p.refuse(v, "%s: block_size is %s, not an integer or a list of integers", at, v.show())
}

func (p *parser) integer(v value, at string) (int64, error) {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if v.kind != number || err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, p.refuse(v, "%s: block_size holds %s, not an integer", at, v.show())
	}
	return n, nil
}

// oneOf reads a word out of a closed list.
func (p *parser) oneOf(m member, at string, accepted ...string) (string, error) {
	if m.value.kind == text {
		for _, a := range accepted {
			if m.value.text == a {
				return a, nil
			}
		}
	}
	e := p.refuse(m.value, "%s: %s is %s", at, m.key, m.value.show())
	if strings.HasPrefix(m.value.text, "fp8") {
		return "", e.Hint("coremltools names fp8 but has no arithmetic for it. Accepted: %s", strings.Join(accepted, ", "))
	}
	if near := nearest(m.value.text, accepted); near != "" {
		return "", e.Hint("did you mean %q? Accepted: %s", near, strings.Join(accepted, ", "))
	}
	return "", e.Hint("accepted: %s", strings.Join(accepted, ", "))
}

func (p *parser) unknown(m member, at string, known ...string) error {
	e := p.refuse(value{at: m.at}, "%s: unknown key %q", at, m.key)
	if near := nearest(m.key, known); near != "" {
		return e.Hint("did you mean %q? Known keys: %s", near, strings.Join(known, ", "))
	}
	return e.Hint("known keys: %s", strings.Join(known, ", "))
}
