package coremltools

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"strings"

	"nibble/quant/fault"
)

// kind of a value.
type kind string

const (
	null    kind = "null"
	boolean kind = "a boolean"
	number  kind = "a number"
	text    kind = "text"
	list    kind = "a list"
	object  kind = "an object"
	other   kind = "neither a number nor text" // a date, in YAML
)

// value is a value of JSON or YAML, and where it stands.
type value struct {
	kind    kind
	text    string   // content of text; else a scalar as it is written
	items   []value  // of a list
	members []member // of an object, in order, no key twice
	at      int64    // byte in the file
}

type member struct {
	key   string
	at    int64
	value value
}

// show prints a value as its author wrote it, or nearly so.
func (v value) show() string {
	if v.kind == list || v.kind == object {
		return string(v.kind)
	}
	if v.kind == text {
		return string(quoted(v.text))
	}
	return v.text
}

func quoted(s string) []byte {
	// Broken UTF-8 was refused when the file was read.
	b, _ := jsontext.AppendQuote(nil, s)
	return b
}

// json prints a value as compact JSON.
func (v value) json(out []byte) []byte {
	switch v.kind {
	case text:
		return append(out, quoted(v.text)...)
	case list:
		out = append(out, '[')
		for i, x := range v.items {
			if i > 0 {
				out = append(out, ',')
			}
			out = x.json(out)
		}
		return append(out, ']')
	case object:
		out = append(out, '{')
		for i, m := range v.members {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(append(out, quoted(m.key)...), ':')
			out = m.value.json(out)
		}
		return append(out, '}')
	}
	return append(out, v.text...)
}

// read decides between JSON and YAML: by the name where there is one, else by trying.
// Almost all JSON is YAML, but errors in it are better described by the JSON reader.
func read(file string, content []byte) (value, error) {
	name := strings.ToLower(file)
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		return readYAML(file, content)
	}
	if first := bytes.TrimSpace(content)[0]; first != '{' && first != '[' && !strings.HasSuffix(name, ".json") {
		return readYAML(file, content)
	}
	v, err := readJSON(file, content)
	if err == nil || strings.HasSuffix(name, ".json") {
		return v, err
	}
	if y, other := readYAML(file, content); other == nil {
		return y, nil
	}
	return value{}, err // JSON's
}

// readJSON reads strict JSON (RFC 8259, no duplicate keys, valid UTF-8).
func readJSON(file string, content []byte) (value, error) {
	d := jsontext.NewDecoder(bytes.NewReader(content))
	v, err := nextJSON(d)
	if err != nil {
		return value{}, fault.Bad(file, "the config is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: ")).
			At(d.InputOffset())
	}
	if tok, err := d.ReadToken(); err == nil {
		return value{}, fault.Bad(file, "the config goes on after its end with %s", tok).At(d.InputOffset())
	} else if d.InputOffset() < int64(len(bytes.TrimRight(content, " \t\r\n"))) {
		return value{}, fault.Bad(file, "the config is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: ")).
			At(d.InputOffset())
	}
	return v, nil
}

func nextJSON(d *jsontext.Decoder) (value, error) {
	tok, err := d.ReadToken()
	if err == nil && d.StackDepth() > maxDeep {
		err = errors.New("it nests too deeply")
	}
	if err != nil {
		return value{}, err
	}
	v := value{at: d.InputOffset()}
	switch tok.Kind() {
	case 'n':
		v.kind, v.text = null, "null"
	case 't', 'f':
		v.kind, v.text = boolean, tok.String()
	case '0':
		v.kind, v.text = number, tok.String()
	case '"':
		v.kind, v.text = text, tok.String()
	case '[':
		v.kind = list
		for d.PeekKind() != ']' {
			x, err := nextJSON(d)
			if err != nil {
				return value{}, err
			}
			v.items = append(v.items, x)
		}
		_, err = d.ReadToken()
	case '{':
		v.kind = object
		for d.PeekKind() != '}' {
			key, err := d.ReadToken()
			if err != nil {
				return value{}, err
			}
			m := member{key: key.String(), at: d.InputOffset()}
			if m.value, err = nextJSON(d); err != nil {
				return value{}, err
			}
			v.members = append(v.members, m)
		}
		_, err = d.ReadToken()
	}
	return v, err
}
