package coremltools

import (
	"strconv"

	"nibble/quant/scheme"
)

// Global is a config of one entry for all layers, in words; what is "" has the default of the command and the page:
// int4, symmetric, per block of 32. A group size alone means blocks.
type Global struct {
	DType       string // weight_dtype
	Granularity string
	GroupSize   string // block_size, a number
	Scheme      string // quantization_scheme
}

// Config is the config in JSON, which Parse reads, and refuses where a word is none. What is coremltools' own default is
// left out.
func (g Global) Config() []byte {
	entry := value{kind: object}
	add := func(key string, v value) { entry.members = append(entry.members, member{key: key, value: v}) }
	word := func(s string) value { return value{kind: text, text: s} }
	add("weight_dtype", word(or(g.DType, string(scheme.Int4))))
	granularity := or(g.Granularity, string(scheme.PerBlock))
	add("granularity", word(granularity))
	if size := g.GroupSize; size != "" || granularity == string(scheme.PerBlock) {
		size = or(size, "32")
		v := word(size)
		if n, err := strconv.ParseInt(size, 10, 64); err == nil {
			v = value{kind: number, text: decimal(n)}
		}
		add("block_size", v)
	}
	if g.Scheme != "" && g.Scheme != string(scheme.Symmetric) {
		add("quantization_scheme", word(g.Scheme))
	}
	return value{kind: object, members: []member{{key: "global_config", value: entry}}}.json(nil)
}

func or(word, otherwise string) string {
	if word == "" {
		return otherwise
	}
	return word
}
