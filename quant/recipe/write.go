package recipe

import (
	"encoding/json/jsontext"
	"strconv"
	"strings"

	"nibble/quant/scheme"
)

// JSON writes the recipe as an indented config that coremltools reads with
// PostTrainingQuantizerConfig.from_dict. A block size of several axes is a list, which
// Python has to turn into a tuple.
func (r *Recipe) JSON() []byte {
	text := jsontext.Value(r.value().json(nil))
	// It is valid, so indenting cannot fail.
	_ = text.Indent(jsontext.WithIndent("  "))
	return append(text, '\n')
}

// YAML writes the same for PostTrainingQuantizerConfig.from_yaml.
func (r *Recipe) YAML() []byte {
	var b strings.Builder
	r.value().yaml(&b, "")
	return []byte(b.String())
}

// value is the recipe in its canonical form: what is default is left out.
func (r *Recipe) value() value {
	top := value{kind: object}
	if r.Global != nil {
		top.members = append(top.members, member{key: "global_config", value: r.Global.value()})
	}
	if len(r.Types) > 0 {
		types := value{kind: object}
		for _, t := range r.Types {
			types.put(member{key: t.Type, value: t.Entry.value()})
		}
		top.members = append(top.members, member{key: "module_type_configs", value: types})
	}
	if len(r.Names) > 0 {
		names := value{kind: object}
		for _, n := range r.Names {
			names.members = append(names.members, member{key: n.Pattern, value: n.Entry.value()})
		}
		top.members = append(top.members, member{key: "module_name_configs", value: names})
	}
	return top
}

func (e Entry) value() value {
	if e.Scheme == nil {
		return value{kind: null, text: "null"}
	}
	v := value{kind: object}
	word := func(key, s string) {
		v.members = append(v.members, member{key: key, value: value{kind: text, text: s}})
	}
	word("weight_dtype", string(e.Scheme.WeightDType))
	word("granularity", string(e.Scheme.Granularity))
	if e.Scheme.Mode != scheme.Symmetric {
		word("quantization_scheme", string(e.Scheme.Mode))
	}
	if b := e.Scheme.BlockSize; len(b) > 0 {
		size := value{kind: list}
		for _, n := range b {
			size.items = append(size.items, value{kind: number, text: strconv.FormatInt(n, 10)})
		}
		if len(b) == 1 {
			size = size.items[0]
		}
		v.members = append(v.members, member{key: "block_size", value: size})
	}
	return v
}

// yaml writes an object in block style. Keys are quoted as in JSON, which is valid YAML
// and spares every question of what a bare pattern would mean.
func (v value) yaml(b *strings.Builder, indent string) {
	if len(v.members) == 0 {
		b.WriteString(indent + "{}\n")
	}
	for _, m := range v.members {
		key := m.key
		if !plainWord(key) {
			key = string(quoted(key))
		}
		b.WriteString(indent + key + ":")
		if m.value.kind == object {
			b.WriteByte('\n')
			m.value.yaml(b, indent+"  ")
			continue
		}
		s := string(m.value.json(nil))
		if m.value.kind == text && plainWord(m.value.text) {
			s = m.value.text
		}
		b.WriteString(" " + s + "\n")
	}
}

// plainWord reports whether a text needs no quotes: the schema's own words and classes.
func plainWord(s string) bool {
	if s == "" || yamlNull.MatchString(s) || yamlBool.MatchString(s) {
		return false
	}
	for i, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && (c == '_' || c >= '0' && c <= '9')) {
			return false
		}
	}
	return true
}
