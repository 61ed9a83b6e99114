package coremltools

import (
	"errors"
	"strconv"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/scheme"
)

// Global is a config of one entry for all layers, in words; what is "" has the default of the command and the page:
// int4, symmetric, per block of 32. A group size alone means blocks.
type Global struct {
	DType       string `json:"dtype"` // weight_dtype
	Granularity string `json:"granularity"`
	GroupSize   string `json:"group_size"` // block_size, a number; what is none is refused as it is
	Scheme      string `json:"scheme"`     // quantization_scheme
}

// usual is what is meant where nothing is said.
var usual = Global{
	DType: string(scheme.Int4), Granularity: string(scheme.PerBlock), GroupSize: "32", Scheme: string(scheme.Symmetric),
}

// Filled has the default in the place of each word that is not given.
func (g Global) Filled() Global { return g.Over(usual) }

// Over has the words of another in the place of each that is not given. A group size goes with blocks.
func (g Global) Over(others Global) Global {
	g.DType = or(g.DType, others.DType)
	g.Granularity = or(g.Granularity, others.Granularity)
	if g.Granularity == string(scheme.PerBlock) {
		g.GroupSize = or(g.GroupSize, others.GroupSize)
	}
	g.Scheme = or(g.Scheme, others.Scheme)
	return g
}

// Config is the config in JSON, which Parse reads, and refuses where a word is none. What is coremltools' own default
// is left out.
func (g Global) Config() []byte {
	return value{kind: object, members: []member{{key: "global_config", value: g.entry()}}}.json(nil)
}

// WithoutLine takes the place out of an error of a config that its user never saw.
func WithoutLine(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		known.HasLine, known.HasOffset = false, false
	}
	return err
}

func (g Global) entry() value {
	g = g.Filled()
	entry := value{kind: object}
	add := func(key string, v value) { entry.members = append(entry.members, member{key: key, value: v}) }
	word := func(s string) value { return value{kind: text, text: s} }
	add("weight_dtype", word(g.DType))
	add("granularity", word(g.Granularity))
	if g.GroupSize != "" {
		size := strings.TrimSpace(g.GroupSize)
		v := word(size)
		if n, err := strconv.ParseInt(size, 10, 64); err == nil {
			v = value{kind: number, text: decimal(n)}
		}
		add("block_size", v)
	}
	if g.Scheme != string(scheme.Symmetric) {
		add("quantization_scheme", word(g.Scheme))
	}
	return entry
}

func or(word, otherwise string) string {
	if word == "" {
		return otherwise
	}
	return word
}
