package huggingface

import (
	"encoding/json"
	"strings"

	"nibble/quant/pattern"
)

// Codes is what a config says of the codes of one module.
type Codes struct {
	Bits      int
	Symmetric bool  // there are no zero points and no offsets
	Group     int64 // inputs that share a scale; 0 for all of a row
}

// quantizations are what a config says of codes: compressed-tensors' config_groups, or MLX's quantization.
type quantizations struct {
	packed   bool             // compressed-tensors' pack-quantized
	beyond   string           // what else it asks for, which codes alone are not: "" for nothing
	named    map[string]Codes // modules; Codes{} for what has other forms
	patterns []patternCodes
	main     *Codes // of modules that are not named, or of class Linear
	steps    int    // of matching that are left
}

// patternCodes are the codes of modules that a pattern finds.
type patternCodes struct {
	pattern *pattern.Pattern
	codes   Codes
}

const (
	maxPatterns = 100        // of a config; real ones have a handful
	matchSteps  = 30_000_000 // of a model, some seconds in a browser; 10,000 modules and ten real patterns take a third
)

// codeGroup is modules with codes of one kind.
type codeGroup struct {
	Targets []string `json:"targets"`
	Weights *struct {
		Bits      int     `json:"num_bits"`
		Type      string  `json:"type"`
		Symmetric *bool   `json:"symmetric"`
		Strategy  string  `json:"strategy"`
		GroupSize *int64  `json:"group_size"`
		ActOrder  *string `json:"actorder"`
	} `json:"weights"`
	Inputs      any `json:"input_activations"`
	Activations any `json:"output_activations"`
}

// readCodes reads a member that says something of codes. What is not as it should be says nothing.
func (c *Config) readCodes(key string, value []byte) {
	if key == "quantization" {
		c.readMLX(value)
		return
	}
	var said struct {
		Format    string          `json:"format"`
		Groups    json.RawMessage `json:"config_groups"`
		KVCache   any             `json:"kv_cache_scheme"`
		Transform any             `json:"transform_config"`
	}
	if json.Unmarshal(value, &said) != nil || said.Format != "pack-quantized" {
		return
	}
	c.codes = quantizations{packed: true, named: map[string]Codes{}, steps: matchSteps}
	if isSaid(said.KVCache) {
		c.codes.beyond = "kv_cache_scheme"
	}
	if isSaid(said.Transform) {
		c.codes.beyond = "transform_config"
	}
	groups, err := membersOf(said.Groups, said.Groups)
	if err != nil {
		return
	}
	for _, m := range groups {
		var g codeGroup
		if json.Unmarshal(m.text, &g) == nil && g.Weights != nil {
			c.codes.add(&g)
		}
	}
}

// isSaid reports whether a value says something.
func isSaid(v any) bool {
	all, isObject := v.(map[string]any)
	return v != nil && !(isObject && len(all) == 0)
}

// add adds what a group says. The first that names a module counts, as in compressed-tensors.
func (q *quantizations) add(g *codeGroup) {
	codes := g.codes()
	if isSaid(g.Inputs) || isSaid(g.Activations) {
		q.beyond = "activations"
	}
	for _, target := range g.Targets {
		text, isPattern := strings.CutPrefix(target, "re:")
		if !isPattern {
			if _, twice := q.named[target]; !twice {
				q.named[target] = codes
			}
			if target == "Linear" && q.main == nil {
				q.main = &codes
			}
			continue
		}
		p, err := pattern.Compile("(?:" + text + ").*") // Python's re.match
		if err != nil || len(q.patterns) == maxPatterns {
			q.beyond = "targets"
			continue
		}
		q.patterns = append(q.patterns, patternCodes{p, codes})
	}
}

// readMLX reads MLX's form.
func (c *Config) readMLX(value []byte) {
	var all map[string]json.RawMessage
	var main mlxKind
	if json.Unmarshal(value, &all) != nil || json.Unmarshal(value, &main) != nil || main.Bits == 0 {
		return
	}
	c.codes = quantizations{main: &Codes{main.Bits, false, main.Group}, named: map[string]Codes{}}
	for name, text := range all {
		var k mlxKind
		if json.Unmarshal(text, &k) == nil && k.Bits > 0 {
			c.codes.named[name] = Codes{k.Bits, false, k.Group}
		}
	}
}

// mlxKind is what MLX says of a module.
type mlxKind struct {
	Group int64 `json:"group_size"`
	Bits  int   `json:"bits"`
}

// PackQuantized reports whether the config is that of compressed-tensors' packed codes.
func (c *Config) PackQuantized() bool { return c != nil && c.codes.packed }

// BeyondCodes is the key by which a config asks for more than what the codes of weights are, or says what cannot be
// read; "" where there is none.
func (c *Config) BeyondCodes() string { return c.codes.beyond }

// CodesOf is what the config says of the codes of a module; false where it says nothing, or takes too many steps to
// say. A module's own name goes before patterns, and these before its class.
func (c *Config) CodesOf(module string) (Codes, bool) {
	if c == nil {
		return Codes{}, false
	}
	q := &c.codes
	if k, ok := q.named[module]; ok {
		return k, k.Bits > 0
	}
	for _, p := range q.patterns {
		found, err := p.pattern.MatchWithin(module, &q.steps)
		if err != nil {
			return Codes{}, false
		}
		if found {
			return p.codes, p.codes.Bits > 0
		}
	}
	if q.main != nil {
		return *q.main, q.main.Bits > 0
	}
	return Codes{}, false
}

// codes are those of a group; Codes{} for what has other forms: floats, and orders of inputs that a file gives.
func (g *codeGroup) codes() Codes {
	w := g.Weights
	k := Codes{Bits: w.Bits, Symmetric: w.Symmetric == nil || *w.Symmetric}
	if w.Strategy == "group" && w.GroupSize != nil {
		k.Group = *w.GroupSize
	}
	plain := w.Type == "" || w.Type == "int"
	// GPTQ may have gone by another order of inputs, and left them in theirs: that is "static", once "weight".
	inPlace := w.ActOrder == nil || *w.ActOrder == "static" || *w.ActOrder == "weight"
	if !plain || !inPlace || w.Strategy != "channel" && k.Group <= 0 {
		return Codes{}
	}
	return k
}
