//go:build js && wasm

package main

import (
	"encoding/json"

	"github.com/hack-pad/safejs"

	"nibble/quant/tensor"
)

// request is the one object that a call takes: data, which is JSON, and for some calls live objects beside it.
type request struct{ object safejs.Value }

// data reads the member data.
func (q request) data(into any) error {
	v, err := q.object.Get("data")
	if err != nil {
		return internal{"the request is none: " + err.Error()}
	}
	text, err := v.String()
	if err != nil {
		return internal{"the request has no data: " + err.Error()}
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return internal{"the request is not as the core knows it: " + err.Error()}
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
