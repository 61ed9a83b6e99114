package safetensors

import (
	"encoding/binary"
	"encoding/json/jsontext"
	"fmt"
	"sort"

	"nibble/quant/fault"
	"nibble/quant/tensor"
)

// Item is one tensor to be written; items lie in the order they are given.
type Item struct {
	Name  string
	DType tensor.Type
	Shape []int64
}

// Header makes the bytes that come before the values: metadata first with its keys
// sorted, compact JSON, padded with spaces to a multiple of 8, as the reference
// writer does. The order of the items is the caller's, who keeps every value aligned
// to its own size, because readers view the file in place.
func Header(items []Item, metadata map[string]string) []byte {
	b := append(make([]byte, 8), '{')
	b = append(b, `"__metadata__":{`...)
	keys := make([]string, 0, len(metadata))
	for k := range metadata {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quote(b, k), ':')
		b = quote(b, metadata[k])
	}
	b = append(b, '}')
	at := int64(0)
	for _, it := range items {
		n, _ := tensor.Elements(it.Shape)
		bytes, _ := it.DType.Bytes(n)
		end := at + bytes
		b = append(b, ',')
		b = append(quote(b, it.Name), `:{"dtype":"`...)
		b = append(b, it.DType.String()...)
		b = append(b, `","shape":`...)
		b = ints(b, it.Shape)
		b = append(b, `,"data_offsets":`...)
		b = append(ints(b, []int64{at, end}), '}')
		at = end
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b
}

// Unreadable says why no reader would take a header that Header made, nil when they do: the reference
// reader for its length, or ours for what is in it.
func Unreadable(header []byte, items []Item, metadata map[string]string) *fault.Error {
	var tally tensor.Tally
	sizes, tooMuch := 0, ""
	for _, it := range items {
		if what := tally.Add(it.Name); tooMuch == "" {
			tooMuch = what
		}
		sizes += len(it.Shape)
	}
	longest, total := 0, 0
	for key, text := range metadata {
		total += len(key) + len(text)
		if len(text) > maxString/8 { // what is far shorter need not be written to be measured
			longest = max(longest, len(quote(nil, text)))
		}
	}
	what := ""
	switch {
	case len(header)-8 > MaxHeader:
		what = fmt.Sprintf("its header would take %d bytes, more than the %d that safetensors allows", len(header)-8,
			MaxHeader)
	case tooMuch != "":
		what = tooMuch + " in it"
	case longest > maxString || total > maxMetadata || sizes > maxSizes:
		what = "what its header says of the tensors would take more room than readers give it"
	default:
		return nil
	}
	return fault.Not("", "the output could not be opened again: %s", what)
}

// quote appends a JSON string. Names were valid UTF-8 when they were read.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func ints(b []byte, v []int64) []byte {
	b = append(b, '[')
	for i, n := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, jsontext.Int(n).String()...)
	}
	return append(b, ']')
}
