package recipe

import (
	"bytes"
	"encoding/json/jsontext"
	"math"
	"strconv"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/scheme"
)

// maxBytes bounds a config; real ones are a few kilobytes.
const maxBytes = 1 << 20

// Parse reads a config. file is the name that errors show.
func Parse(file string, text []byte) (*Recipe, error) {
	if len(text) > maxBytes {
		return nil, fault.Not(file, "the config has %d bytes, more than %d", len(text), maxBytes)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fault.Bad(file, "the config is empty").Hint("write {} for coremltools' defaults")
	}
	p := &parser{file: file, dec: jsontext.NewDecoder(bytes.NewReader(text))}
	r, err := p.recipe()
	if err != nil {
		return nil, err
	}
	compact := jsontext.Value(bytes.Clone(text))
	if err := compact.Compact(); err != nil {
		return nil, p.syntax(err)
	}
	r.Source = compact
	return r, nil
}

type parser struct {
	file string
	dec  *jsontext.Decoder
}

func (p *parser) syntax(err error) error {
	e := fault.Bad(p.file, "the config is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: ")).At(p.dec.InputOffset())
	if p.dec.InputOffset() == 0 {
		return e.Hint("YAML is not read yet: write it as JSON")
	}
	return e
}

func (p *parser) refuse(what string, args ...any) *fault.Error {
	return fault.Not(p.file, what, args...).At(p.dec.InputOffset())
}

// recipe reads the top level.
func (p *parser) recipe() (*Recipe, error) {
	r := &Recipe{}
	err := p.object("the config", func(key string) error {
		switch key {
		case "global_config":
			e, null, err := p.entry(key)
			if !null {
				r.Global = &e
			}
			return err
		case "module_type_configs":
			return p.map_(key, func(class string) error {
				if !isLayer(class) {
					return p.refuse("module_type_configs: %q is not a layer type that is quantized", class).
						Hint("use one of %s", strings.Join(layers, ", "))
				}
				e, _, err := p.entry(key + "." + class)
				r.Types = append(r.Types, TypeRule{class, e})
				return err
			})
		case "module_name_configs":
			return p.map_(key, func(pattern string) error {
				match, err := compile(pattern)
				if err != nil {
					return p.refuse("module_name_configs: %q is not a pattern Nibble can match: %v", pattern, err).
						Hint("look-around and back-references are not supported")
				}
				e, _, err := p.entry(key + "." + pattern)
				r.Names = append(r.Names, NameRule{pattern, e, match})
				return err
			})
		}
		return p.unknown("the config", key, "global_config", "module_type_configs", "module_name_configs")
	})
	if err != nil {
		return nil, err
	}
	if tok, err := p.dec.ReadToken(); err == nil {
		return nil, fault.Bad(p.file, "the config goes on after its end with %s", tok).At(p.dec.InputOffset())
	}
	if r.Global == nil && r.Types == nil && r.Names == nil {
		r.Global = &Entry{Scheme: defaultScheme()} // as coremltools does for an empty config
	}
	return r, p.oneMode(r)
}

// defaultScheme holds coremltools' defaults of a module config.
func defaultScheme() *scheme.Scheme {
	return &scheme.Scheme{WeightDType: scheme.Int8, Granularity: scheme.PerChannel, Mode: scheme.Symmetric}
}

// oneMode refuses a mix of symmetric and affine, as coremltools does.
func (p *parser) oneMode(r *Recipe) error {
	var first *scheme.Scheme
	check := func(e Entry) error {
		if e.Scheme == nil {
			return nil
		}
		if first == nil {
			first = e.Scheme
		}
		if first.Mode != e.Scheme.Mode {
			return fault.Not(p.file, "quantization_scheme is %q in one place and %q in another", first.Mode, e.Scheme.Mode).
				Hint("write the same quantization_scheme in every entry; an entry without it means symmetric")
		}
		return nil
	}
	if r.Global != nil {
		check(*r.Global)
	}
	for _, t := range r.Types {
		if err := check(t.Entry); err != nil {
			return err
		}
	}
	for _, n := range r.Names {
		if err := check(n.Entry); err != nil {
			return err
		}
	}
	return nil
}

// entry reads one module config, or null, which keeps the module.
func (p *parser) entry(at string) (e Entry, null bool, err error) {
	if p.dec.PeekKind() == 'n' {
		return Entry{}, true, p.null()
	}
	s, keep := defaultScheme(), false
	err = p.object(at, func(key string) error {
		switch key {
		case "weight_dtype":
			if p.dec.PeekKind() == 'n' {
				keep = true
				return p.null()
			}
			v, err := p.oneOf(at, key, "int4", "uint4", "int8", "uint8", "float32")
			keep = v == "float32"
			s.WeightDType = scheme.WeightDType(v)
			return err
		case "granularity":
			v, err := p.oneOf(at, key, "per_tensor", "per_channel", "per_block")
			s.Granularity = scheme.Granularity(v)
			return err
		case "quantization_scheme":
			v, err := p.oneOf(at, key, "symmetric", "affine")
			s.Mode = scheme.Mode(v)
			return err
		case "block_size":
			s.BlockSize, err = p.blockSize(at)
			return err
		}
		return p.unknown(at, key, "weight_dtype", "granularity", "quantization_scheme", "block_size")
	})
	switch {
	case err != nil:
		return Entry{}, false, err
	case s.Granularity == scheme.PerBlock && s.BlockSize == nil:
		return Entry{}, false, p.refuse("%s: granularity is per_block but block_size is missing", at).Hint(`add "block_size": 32`)
	case s.Granularity != scheme.PerBlock && s.BlockSize != nil:
		return Entry{}, false, p.refuse("%s: block_size goes with per_block, not with %s", at, s.Granularity).
			Hint(`remove block_size or set "granularity": "per_block"`)
	case keep:
		return Entry{}, false, nil
	}
	return Entry{Scheme: s}, false, nil
}

// blockSize reads an int, a list of ints, or null.
func (p *parser) blockSize(at string) ([]int64, error) {
	switch p.dec.PeekKind() {
	case 'n':
		return nil, p.null()
	case '0':
		n, err := p.int_(at)
		return []int64{n}, err
	case '[':
		if _, err := p.dec.ReadToken(); err != nil {
			return nil, p.syntax(err)
		}
		sizes := []int64{}
		for p.dec.PeekKind() != ']' {
			n, err := p.int_(at)
			if err != nil {
				return nil, err
			}
			sizes = append(sizes, n)
		}
		if _, err := p.dec.ReadToken(); err != nil {
			return nil, p.syntax(err)
		}
		if len(sizes) == 0 {
			return nil, p.refuse("%s: block_size is an empty list", at).Hint("give one size, or one per axis")
		}
		return sizes, nil
	}
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, p.syntax(err)
	}
	return nil, p.refuse("%s: block_size is %s, not an integer or a list of integers", at, v)
}

func (p *parser) int_(at string) (int64, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return 0, p.syntax(err)
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, p.refuse("%s: block_size holds %s, not an integer", at, v)
	}
	return n, nil
}

// oneOf reads a string out of a closed list.
func (p *parser) oneOf(at, key string, accepted ...string) (string, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return "", p.syntax(err)
	}
	got := string(v)
	if v.Kind() == '"' {
		text, _ := jsontext.AppendUnquote(nil, v)
		got = string(text)
		for _, a := range accepted {
			if got == a {
				return got, nil
			}
		}
	}
	e := p.refuse("%s: %s is %s", at, key, v)
	if near := nearest(got, accepted); near != "" {
		return "", e.Hint("did you mean %q? Accepted: %s", near, strings.Join(accepted, ", "))
	}
	return "", e.Hint("accepted: %s", strings.Join(accepted, ", "))
}

func (p *parser) unknown(at, key string, known ...string) error {
	e := p.refuse("%s: unknown key %q", at, key)
	if near := nearest(key, known); near != "" {
		return e.Hint("did you mean %q? Known keys: %s", near, strings.Join(known, ", "))
	}
	return e.Hint("known keys: %s", strings.Join(known, ", "))
}

// map_ reads an object with keys of the user's choice, or null.
func (p *parser) map_(at string, each func(key string) error) error {
	if p.dec.PeekKind() == 'n' {
		return p.null()
	}
	return p.object(at, each)
}

// null reads what begins like null.
func (p *parser) null() error {
	if _, err := p.dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	return nil
}

// object reads an object; each consumes the value of one key.
func (p *parser) object(at string, each func(key string) error) error {
	if k := p.dec.PeekKind(); k != '{' && k != 0 {
		return p.refuse("%s is not an object", at)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	for p.dec.PeekKind() == '"' {
		tok, err := p.dec.ReadToken()
		if err != nil {
			return p.syntax(err)
		}
		if err := each(tok.String()); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	return nil
}
