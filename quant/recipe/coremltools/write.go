package coremltools

import (
	"encoding/json/jsontext"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nibble/quant/recipe"
	"nibble/quant/scheme"
)

// Compact is the config as it was given, as compact JSON, which outputs and reports carry.
func (r *Recipe) Compact() []byte { return r.Source }

// JSON writes the recipe as an indented config for PostTrainingQuantizerConfig.from_dict.
// A block size of several axes is a list, which Python has to turn into a tuple first.
func (r *Recipe) JSON() []byte {
	text := jsontext.Value(r.value(r.options).json(nil))
	// It is valid, so indenting cannot fail.
	_ = text.Indent(jsontext.WithIndent("  "))
	return append(text, '\n')
}

// YAML writes the same for PostTrainingQuantizerConfig.from_yaml, which takes no block
// size of several axes.
func (r *Recipe) YAML() []byte {
	var b strings.Builder
	r.value(r.options).yaml(&b, "")
	return []byte(b.String())
}

// value is the recipe in its canonical form, what is default left out, and what was asked for beyond it.
func (r *Recipe) value(asked recipe.Options) value {
	top := r.own()
	beyond := value{kind: object}
	keys, values := asked.Values()
	for i, key := range keys {
		v, _ := readJSON("", values[i]) // JSON of ours
		beyond.members = append(beyond.members, member{key: key, value: v})
	}
	if len(keys) > 0 {
		top.members = append(top.members, member{key: nibble, value: beyond})
	}
	return top
}

// own is the config in the words of coremltools.
func (r *Recipe) own() value {
	top := value{kind: object}
	if r.Global != nil && r.Global.Scheme == nil && len(r.Types) == 0 && len(r.Names) == 0 {
		// A global_config of null and nothing else would mean int8, the default.
		none := value{kind: object, members: []member{{key: ".*", value: Entry{}.value()}}}
		top.members = append(top.members, member{key: "module_name_configs", value: none})
		return top
	}
	if r.Global != nil {
		top.members = append(top.members, member{key: "global_config", value: r.Global.value()})
	}
	if len(r.Types) > 0 {
		types := value{kind: object}
		for _, t := range r.Types {
			types.members = append(types.members, member{key: t.Type, value: t.Entry.value()})
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

// Lists reports whether a block size of several axes is among the entries.
func (r *Recipe) Lists() bool {
	return slices.ContainsFunc(r.entries(), func(e Entry) bool { return e.Scheme != nil && len(e.Scheme.BlockSize) > 1 })
}

// maxSimpleKey is how long a key may be that is not announced with a question mark
// (1024 in YAML 1.1).
const maxSimpleKey = 1000

// yaml writes an object in block style. Keys are quoted as in JSON, which is valid YAML
// and spares every question of what a bare pattern would mean.
func (v value) yaml(b *strings.Builder, indent string) {
	if len(v.members) == 0 {
		b.WriteString(indent + "{}\n")
	}
	for _, m := range v.members {
		key := yamlText(m.key)
		if len(key) > maxSimpleKey {
			key = "? " + key + "\n" + indent
		}
		b.WriteString(indent + key + ":")
		switch {
		case m.value.kind == object:
			b.WriteByte('\n')
			m.value.yaml(b, indent+"  ")
			continue
		case m.value.kind == text:
			b.WriteString(" " + yamlText(m.value.text) + "\n")
		default:
			b.WriteString(" " + string(m.value.json(nil)) + "\n")
		}
	}
}

// yamlText quotes a text where it has to be. Beside what JSON escapes, YAML knows
// characters that it takes for line breaks or does not print.
func yamlText(s string) string {
	if plainWord(s) {
		return s
	}
	var b strings.Builder
	for _, c := range string(quoted(s)) {
		if c >= 0x7f && c <= 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff || c >= 0xfff0 && c <= 0xffff {
			fmt.Fprintf(&b, "\\u%04x", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
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
