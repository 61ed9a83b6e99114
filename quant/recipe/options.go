// Package recipe is what a user can ask for beyond a config: the options, which every policy and the plan share. The
// configs themselves, and the rules that turn them into verdicts, are the policies' in the folders beside this file.
//
// Only package quant is stable.
package recipe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"nibble/quant/fault"
	"nibble/quant/scheme"
)

// Options are what a user can ask for beyond the config. Their JSON is the same in reports, in outputs and in what the
// page asks for. In a config, under its key `nibble`, a list has the name of one of its items; the command's flags have
// these names with dashes. A new option is a field here, its flag, and its control on the page.
type Options struct {
	For string `json:"for"` // where the result is to run: a row of the table of targets; "" is nowhere that is said
	// classes of modules, where the user knows better
	Types            []TypeRule `json:"module_types" config:"module_type"`
	Embeddings       bool       `json:"include_embeddings"` // quantize embeddings too, which coremltools cannot
	CoremltoolsSkips bool       `json:"coremltools_skips"`  // keep each layer that coremltools would skip
	KeepUnfit        bool       `json:"keep_unfit"`         // keep what holds NaN, infinity or too much
	AllowNone        bool       `json:"allow_none"`         // convert, too, where nothing is quantized
	// of a file that holds several models, those that are meant
	Parts []string          `json:"parts" config:"part"`
	Keep  map[string]string `json:"-"` // tensors that cannot be quantized -> the code of why
	Least Least             `json:"-"` // of what coremltools would skip; zero is the default
	Held  scheme.Held       `json:"-"` // what the container asks of the numbers that it holds
}

// Least is how large a weight must be for Nibble to quantize it where coremltools would not. Smaller ones
// win next to nothing, and some are no weights at all, such as the numbers 0 to 15 that a YOLO multiplies with.
type Least struct{ Inputs, Weights int64 }

// DefaultLeast is Least where nothing is said.
var DefaultLeast = Least{Inputs: 16, Weights: 4096}

// WithoutNulls are the options as reports and outputs carry them: lists are never null.
func (o Options) WithoutNulls() Options {
	o.Types = append([]TypeRule{}, o.Types...)
	o.Parts = append([]string{}, o.Parts...)
	return o
}

// IsZero reports whether nothing was asked for.
func (o Options) IsZero() bool {
	asked, err := json.Marshal(o.WithoutNulls())
	none, _ := json.Marshal(Options{}.WithoutNulls())
	return err == nil && bytes.Equal(asked, none)
}

// With joins the options of two sources: all that is on, and the items of both lists, each once.
func (o Options) With(more Options) Options {
	into, from := reflect.ValueOf(&o).Elem(), reflect.ValueOf(more)
	for i := range into.NumField() {
		switch a, b := into.Field(i), from.Field(i); a.Kind() {
		case reflect.Bool:
			a.SetBool(a.Bool() || b.Bool())
		case reflect.Slice:
			joined := reflect.MakeSlice(a.Type(), 0, a.Len()+b.Len())
			seen := map[string]bool{}
			for k := range a.Len() + b.Len() {
				item := a
				if k >= a.Len() {
					item, k = b, k-a.Len()
				}
				if text := fmt.Sprint(item.Index(k)); !seen[text] {
					seen[text], joined = true, reflect.Append(joined, item.Index(k))
				}
			}
			a.Set(joined)
		default:
			if a.IsZero() {
				a.Set(b)
			}
		}
	}
	return o
}

// Keys are the names that options have in a config.
func Keys() (keys []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Options]()) {
		if key := keyOf(f); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// keyOf is the name of a field in a config; "" where it has none.
func keyOf(f reflect.StructField) string {
	if key := f.Tag.Get("config"); key != "" {
		return key
	}
	if key := f.Tag.Get("json"); key != "-" {
		return key
	}
	return ""
}

// Set takes the value of a key of a config, which is JSON. It says what the value should be, "" where it is.
func (o *Options) Set(key string, value []byte) (want string, err error) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Options]()) {
		if keyOf(f) != key || key == "" {
			continue
		}
		want = "a list of texts"
		switch f.Type.Kind() {
		case reflect.Bool:
			want = "true or false"
		case reflect.String:
			want = "a text"
		}
		err := json.Unmarshal(value, reflect.ValueOf(o).Elem().FieldByIndex(f.Index).Addr().Interface())
		var known *fault.Error
		if errors.As(err, &known) { // a rule that is none
			return "", known
		}
		if err == nil && !bytes.Equal(value, []byte("null")) {
			return "", nil
		}
		return want, nil
	}
	return "", nil
}

// Values are the options that are asked for, by their names in a config, as JSON, in the order of the fields.
func (o Options) Values() (keys []string, values [][]byte) {
	asked, none := reflect.ValueOf(o.WithoutNulls()), reflect.ValueOf(Options{}.WithoutNulls())
	for _, f := range reflect.VisibleFields(asked.Type()) {
		key := keyOf(f)
		if key == "" {
			continue
		}
		is, err := json.Marshal(asked.FieldByIndex(f.Index).Interface())
		not, _ := json.Marshal(none.FieldByIndex(f.Index).Interface())
		if err == nil && !bytes.Equal(is, not) {
			keys, values = append(keys, key), append(values, is)
		}
	}
	return keys, values
}
