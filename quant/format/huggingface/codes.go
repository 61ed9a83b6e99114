package huggingface

import (
	"encoding/json"
	"slices"
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
	packed bool             // compressed-tensors' pack-quantized
	groups []codeGroup      // in the config's order
	main   *Codes           // MLX's, of modules that are not named
	named  map[string]Codes // MLX's
}

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
}

// readCodes reads a member that says something of codes. What is not as it should be says nothing.
func (c *Config) readCodes(key string, value []byte) {
	if key == "quantization" {
		var all map[string]json.RawMessage
		var main mlxKind
		if json.Unmarshal(value, &all) != nil || json.Unmarshal(value, &main) != nil || main.Bits == 0 {
			return
		}
		c.codes.main, c.codes.named = &Codes{main.Bits, false, main.Group}, map[string]Codes{}
		for name, text := range all {
			var k mlxKind
			if json.Unmarshal(text, &k) == nil && k.Bits > 0 {
				c.codes.named[name] = Codes{k.Bits, false, k.Group}
			}
		}
		return
	}
	var said struct {
		Format string          `json:"format"`
		Groups json.RawMessage `json:"config_groups"`
	}
	if json.Unmarshal(value, &said) != nil || said.Format != "pack-quantized" {
		return
	}
	c.codes.packed = true
	groups, err := membersOf(said.Groups)
	if err != nil {
		return
	}
	for _, m := range groups {
		var g codeGroup
		if json.Unmarshal(m.text, &g) == nil && g.Weights != nil {
			c.codes.groups = append(c.codes.groups, g)
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

// CodesOf is what the config says of the codes of a module; false where it says nothing. A module's own name goes
// before patterns, and these before its class.
func (c *Config) CodesOf(module string) (Codes, bool) {
	if c == nil {
		return Codes{}, false
	}
	if k, ok := c.codes.named[module]; ok {
		return k, true
	}
	if c.codes.main != nil {
		return *c.codes.main, true
	}
	for _, matches := range []func(target string) bool{
		func(target string) bool { return target == module },
		func(target string) bool { return matchesPattern(target, module) },
		func(target string) bool { return target == "Linear" },
	} {
		for _, g := range c.codes.groups {
			if slices.ContainsFunc(g.Targets, matches) {
				return g.codes()
			}
		}
	}
	return Codes{}, false
}

// matchesPattern reports whether a target is a pattern that a name begins with.
func matchesPattern(target, module string) bool {
	text, ok := strings.CutPrefix(target, "re:")
	if !ok {
		return false
	}
	p, err := pattern.Compile("(?:" + text + ").*")
	if err != nil {
		return false
	}
	found, err := p.FullMatch(module)
	return err == nil && found
}

// codes are those of a group; false for what has other forms: floats, and orders of inputs that a file gives.
func (g *codeGroup) codes() (Codes, bool) {
	w := g.Weights
	k := Codes{Bits: w.Bits, Symmetric: w.Symmetric == nil || *w.Symmetric}
	if w.Strategy == "group" && w.GroupSize != nil {
		k.Group = *w.GroupSize
	}
	plain := w.Type == "" || w.Type == "int"
	// GPTQ may have gone by another order of inputs, and left them in theirs: that is "static", once "weight".
	inPlace := w.ActOrder == nil || *w.ActOrder == "static" || *w.ActOrder == "weight"
	return k, plain && inPlace && (w.Strategy == "channel" || k.Group > 0)
}
