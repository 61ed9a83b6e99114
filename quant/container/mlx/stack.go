package mlx

import (
	"regexp"
	"strconv"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/tensor"
)

// stacked are the model types whose experts mlx-lm 0.32.2 looks for in one tensor: it stacks the weights of a
// checkpoint when it loads them, but not their scales and offsets.
var stacked = map[string]bool{"qwen3_moe": true}

// Stacks reports whether the experts of models of a type lie in one tensor here.
func Stacks(modelType string) bool { return stacked[modelType] }

// expertName parts the name of an expert's weight: what is before, number, layer.
var expertName = regexp.MustCompile(`^(.*\.mlp)\.experts\.(0|[1-9][0-9]{0,4})\.((?:gate|up|down)_proj)\.weight$`)

// place is where an expert's weight goes: the stack, and its number there.
type place struct {
	module string // with a dot at its end
	part   int64
}

// placeOf is the place of a weight in a stack; no module for other tensors.
func placeOf(modelType, name string) (p place) {
	if !stacked[modelType] {
		return p
	}
	m := expertName.FindStringSubmatch(name)
	if m == nil {
		return p
	}
	p.part, _ = strconv.ParseInt(m[2], 10, 64)
	p.module = m[1] + ".switch_mlp." + m[3] + "."
	return p
}

// stacks are how many parts each stack of a plan has. All of them must be there, and alike.
func stacks(modelType string, p *plan.Plan) (map[string]int64, error) {
	count, first := map[string]int64{}, map[string]*plan.Entry{}
	for i := range p.Entries {
		e := &p.Entries[i]
		at := placeOf(modelType, e.Tensor.Name)
		if at.module == "" {
			continue
		}
		count[at.module]++
		if first[at.module] == nil {
			first[at.module] = e
		}
		if a := first[at.module]; !alike(a, e) {
			return nil, fault.Not(e.Tensor.Storage.FileName(), "it is stacked with %s, and the two differ in shape, dtype or "+
				"scheme", a.Tensor.Name).In(e.Tensor.Name).Hint("give all experts of a layer the same")
		}
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		if at := placeOf(modelType, e.Tensor.Name); at.module != "" && at.part >= count[at.module] {
			return nil, fault.Bad(e.Tensor.Storage.FileName(), "its layer has experts up to number %d, and only %d of them",
				at.part, count[at.module]).In(e.Tensor.Name).Hint("choose all files of the model")
		}
	}
	return count, nil
}

// alike reports whether two experts can lie in one tensor.
func alike(a, b *plan.Entry) bool {
	if a.Quantize != b.Quantize || a.Tensor.DType != b.Tensor.DType || len(a.Tensor.Shape) != 2 ||
		len(b.Tensor.Shape) != 2 || a.Tensor.Shape[0] != b.Tensor.Shape[0] || a.Tensor.Shape[1] != b.Tensor.Shape[1] {
		return false
	}
	return !a.Quantize || a.Grid == b.Grid && a.Scheme.String() == b.Scheme.String() && a.Scheme.Method == b.Scheme.Method
}

// gathered is the model with all parts of a stack in one file of the output, that of the first; and shapes of words,
// which become no tensor, in the file of these.
func gathered(c *model.Model, p *plan.Plan, of family) *model.Model {
	if !c.Sharded {
		return c
	}
	out, home, words := *c, map[string]int{}, map[string]int{}
	out.From = append([]int(nil), c.From...)
	for i := range p.Entries {
		if module, ok := strings.CutSuffix(p.Entries[i].Tensor.Name, model.PackedEnd); ok {
			words[module] = c.From[i]
		}
	}
	for i := range p.Entries {
		name := p.Entries[i].Tensor.Name
		if module, ok := strings.CutSuffix(name, model.PackedShapeEnd); ok && of.scales[module+model.PackedScaleEnd] {
			out.From[i] = words[module]
		}
		at := placeOf(of.modelType, p.Entries[i].Tensor.Name)
		if at.module == "" {
			continue
		}
		if file, ok := home[at.module]; ok {
			out.From[i] = file
		} else {
			home[at.module] = c.From[i]
		}
	}
	return &out
}

// inPlace gives the pieces of a weight their place in stacks of so many parts.
func inPlace(pieces []layout.Piece, t *tensor.Tensor, at place, parts int64) []layout.Piece {
	if at.module == "" {
		return pieces
	}
	own := len(t.Name) - len("weight")
	for i := range pieces {
		p := &pieces[i]
		p.Name, p.Part, p.Parts = at.module+p.Name[own:], at.part, parts
	}
	return pieces
}
