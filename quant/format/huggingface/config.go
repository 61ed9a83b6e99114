// Package huggingface is the byte-level facts of a model's folder in the form of Hugging Face's libraries: config.json,
// which says what the model is (transformers 4.57 and 5, PretrainedConfig.to_json_file), and what a model's layers are
// called there. Nothing else of a folder is read; its small files are copied.
//
// A config is read as far as Nibble goes by it, and written again with some keys changed: the others stay as they
// are, in their order. What is not one JSON object of UTF-8 text (but for NaN and Infinity, which Python writes and
// reads), holds a key twice, or is longer than MaxBytes is refused. Package model reads configs, targets ask them,
// containers write them.
//
// Only package quant is stable.
package huggingface

import (
	"bytes"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// ConfigName is the file's.
const ConfigName = "config.json"

// MaxBytes bounds a config; real ones are a few kilobytes.
const MaxBytes = 4 << 20

// Config is what a config.json says.
type Config struct {
	File          *tensor.File
	Architectures []string // names of Transformers' classes; the first counts
	ModelType     string
	Tied          *bool  // tie_word_embeddings; nil where it is not said
	VocabSize     int64  // 0 where it is not said
	QuantMethod   string // of a quantization_config that is there, such as "gptq"; "" without one

	codes   quantizations
	members []member
}

// member is one key of the object and its value as it stands.
type member struct {
	key  string
	text jsontext.Value
}

// Read reads a config.
func Read(f *tensor.File) (*Config, error) {
	if f.Size > MaxBytes {
		return nil, fault.Bad(f.Name, "a config of %d bytes is longer than that of any model", f.Size)
	}
	text := make([]byte, f.Size)
	if _, err := io.ReadFull(io.NewSectionReader(f.R, 0, f.Size), text); err != nil {
		return nil, err
	}
	c := &Config{File: f}
	if err := c.parse(text); err != nil {
		var bad *jsontext.SyntacticError
		e := fault.Bad(f.Name, "the config is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
		if errors.As(err, &bad) {
			e.At(bad.ByteOffset)
		}
		return nil, e.Hint("copy or download it again")
	}
	return c, nil
}

// errObject is a config that is no object.
var errObject = errors.New("it is no object")

// parse takes the members apart, and reads those that are gone by. One of another type than it should be says nothing.
func (c *Config) parse(text []byte) (err error) {
	plain := plainJSON(text)
	if c.members, err = membersOf(plain, text); err != nil {
		return err
	}
	read, err := membersOf(plain, plain)
	for _, m := range read {
		c.note(m.key, m.text)
	}
	return err
}

// membersOf are those of the one object that a JSON text is, in its order; their values are cut out of another text of
// the same length.
func membersOf(text, from []byte) (out []member, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	if tok, err := d.ReadToken(); err != nil {
		return nil, err
	} else if tok.Kind() != '{' {
		return nil, errObject
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		name := key.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		end := int(d.InputOffset())
		out = append(out, member{name, jsontext.Value(from[end-len(value) : end])})
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("it goes on after its object")
	}
	return out, nil
}

// pythonNumbers are what Python's json module writes and reads besides JSON, and a number of the same length.
var pythonNumbers = []struct{ name, plain string }{{"Infinity", "1.000000"}, {"NaN", "0.0"}}

// plainJSON is a text in which numbers stand for those that only Python has, outside of strings.
func plainJSON(text []byte) []byte {
	out := bytes.Clone(text)
	for i, quoted := 0, false; i < len(out); i++ {
		switch {
		case quoted && out[i] == '\\':
			i++
		case out[i] == '"':
			quoted = !quoted
		case !quoted:
			for _, n := range pythonNumbers {
				if bytes.HasPrefix(out[i:], []byte(n.name)) {
					copy(out[i:], n.plain)
				}
			}
		}
	}
	return out
}

// note reads a member that is gone by.
func (c *Config) note(key string, value jsontext.Value) {
	switch key {
	case "architectures":
		if json.Unmarshal(value, &c.Architectures) != nil {
			c.Architectures = nil
		}
	case "model_type":
		if json.Unmarshal(value, &c.ModelType) != nil {
			c.ModelType = ""
		}
	case "tie_word_embeddings":
		if json.Unmarshal(value, &c.Tied) != nil {
			c.Tied = nil
		}
	case "vocab_size":
		if json.Unmarshal(value, &c.VocabSize) != nil {
			c.VocabSize = 0
		}
	case "quantization_config", "quantization":
		var said struct {
			Method string `json:"quant_method"`
		}
		json.Unmarshal(value, &said)
		if c.QuantMethod == "" {
			c.QuantMethod = said.Method
		}
		c.readCodes(key, value)
	}
}

// Architecture is the class that the model is, "" where none is named.
func (c *Config) Architecture() string {
	if c == nil || len(c.Architectures) == 0 {
		return ""
	}
	return c.Architectures[0]
}

// Member is a key with its new value, which marshals to JSON; a nil value takes the key away.
type Member struct {
	Key   string
	Value any
}

// With is the text of the config with members changed, those that are new last. The others stand as they did.
func (c *Config) With(changes ...Member) ([]byte, error) {
	texts := map[string]jsontext.Value{}
	for _, m := range changes {
		texts[m.Key] = nil
		if m.Value == nil {
			continue
		}
		text, err := indented(m.Value)
		if err != nil {
			return nil, err
		}
		texts[m.Key] = text
	}
	var out bytes.Buffer
	put := func(key string, value jsontext.Value) {
		if out.Len() > 0 {
			out.WriteByte(',')
		} else {
			out.WriteByte('{')
		}
		name, _ := jsontext.AppendQuote(nil, key)
		fmt.Fprintf(&out, "\n  %s: %s", name, value)
	}
	for _, m := range c.members {
		text, changed := texts[m.key]
		delete(texts, m.key)
		if !changed {
			text = m.text
		}
		if text != nil {
			put(m.key, text)
		}
	}
	for _, m := range changes {
		if text := texts[m.Key]; text != nil {
			put(m.Key, text)
		}
	}
	if out.Len() == 0 {
		return []byte("{}\n"), nil
	}
	out.WriteString("\n}\n")
	return out.Bytes(), nil
}

// indented is a value as a member of a config.
func indented(v any) (jsontext.Value, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b) // names as they are, where Marshal would escape some for web pages
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	text := jsontext.Value(b.Bytes())
	err := text.Indent(jsontext.WithIndentPrefix("  "), jsontext.WithIndent("  "))
	return bytes.TrimSpace(text), err
}
