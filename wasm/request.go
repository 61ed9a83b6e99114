//go:build js && wasm

package main

import (
	"encoding/json"
	"strings"

	"github.com/hack-pad/safejs"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// request is the one object that a call takes: data, which is JSON, and for some calls live objects beside it.
type request struct{ object safejs.Value }

// data reads the member data. What it holds is a site's own, whose types JavaScript does not check: what does not fit
// is the caller's fault, not the core's.
func (q request) data(into any) error {
	v, err := q.object.Get("data")
	if err != nil {
		return internal{"the request is none: " + err.Error()}
	}
	text, err := v.String()
	if err != nil {
		return internal{"the request has no data: " + err.Error()}
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.Not("the request", "it is not one that the core knows: %v", err).
			Hint("see docs/library.md, or the types of nibble.js")
	}
	return nil
}

// files are those of the member files.
func (q request) files() ([]*tensor.File, error) {
	list, err := q.object.Get("files")
	if err != nil {
		return nil, err
	}
	return newFiles(list)
}
