// Package proof shows that there is room for the rest: a container of blocks, as GGUF's, and a method with a float
// offset, as MLX's, are each one folder and one row for each axis they add. Its tests run them through the plan, the
// executor with one worker or many and tiny limits, verify and shards, natively and as wasm, and hold every byte
// against a reference that knows no tiles.
package proof

import (
	"nibble/quant/container"
	"nibble/quant/method"
	"nibble/quant/pack"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/testkit/proof/blocks"
	"nibble/quant/testkit/proof/offset"
)

// Install adds the rows.
func Install() {
	method.Table = append(method.Table, offset.Row)
	pack.Table = append(pack.Table, blocks.Form)
	container.Table = append(container.Table, blocks.Row)
}

// Policy is coremltools' for another method, whose groups lie within a row.
type Policy struct {
	*coremltools.Recipe
	Method string // "" is apple
}

const tall plan.Code = "tall"

// Decide implements plan.Policy.
func (p Policy) Decide(w *plan.Weight, o *recipe.Options) (plan.Verdict, error) {
	v, err := p.Recipe.Decide(w, o)
	if err != nil || !v.Quantize {
		return v, err
	}
	if v.Grid.BlockRows > 1 {
		return plan.Keep(tall), nil
	}
	v.Scheme.Method = p.Method
	return v, nil
}

// Sentences implements plan.Policy.
func (p Policy) Sentences() plan.Sentences {
	out := plan.Sentences{tall: {Text: "its groups have several rows", Many: "weights with groups of several rows"}}
	for c, s := range p.Recipe.Sentences() {
		out[c] = s
	}
	return out
}
