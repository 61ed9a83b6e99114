package packed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"nibble/quant/format/huggingface"
	"nibble/quant/layer"
	"nibble/quant/layout"
	"nibble/quant/method"
	"nibble/quant/model"
	"nibble/quant/plan"
)

// quantization is the quantization_config that compressed-tensors 0.15 reads. An unknown key inside a group is an
// error there, so that nothing is added for company.
type quantization struct {
	Method      string   `json:"quant_method"` // Transformers finds its reader by it
	Format      string   `json:"format"`       // vLLM asks for it
	Status      string   `json:"quantization_status"`
	Ratio       any      `json:"global_compression_ratio"`
	KVCache     any      `json:"kv_cache_scheme"`
	Ignore      []string `json:"ignore"`
	ConfigGroup groups   `json:"config_groups"`
}

// groups are the config groups in the order in which they are asked: names of modules before the class.
type groups []group

// group is modules with codes of one kind.
type group struct {
	Targets     []string `json:"targets"`
	Weights     weights  `json:"weights"`
	Inputs      any      `json:"input_activations"`
	Activations any      `json:"output_activations"`
}

// weights is one kind of codes.
type weights struct {
	Bits      int    `json:"num_bits"`
	Type      string `json:"type"`
	Symmetric bool   `json:"symmetric"` // there are no zero points
	Strategy  string `json:"strategy"`
	GroupSize *int64 `json:"group_size"`
	Dynamic   bool   `json:"dynamic"`
}

// kind is weights as a key.
type kind struct {
	bits      int
	symmetric bool
	size      int64 // of a group; 0 for one scale per row
}

// MarshalJSON keeps the order.
func (g groups) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i := range g {
		text, err := json.Marshal(g[i])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `%c"group_%d":%s`, "{,"[min(i, 1)], i, text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// loads reports whether compressed-tensors can read an entry that is quantized: it knows torch's Linear alone.
func loads(e *plan.Entry) bool {
	return e.Class.Name == layer.Linear && len(e.Tensor.Shape) == 2 && e.Param == "weight"
}

// quantizationOf is what a plan says to compressed-tensors; nil where nothing that it reads is quantized.
func quantizationOf(c *model.Model, p *plan.Plan) *quantization {
	var order []kind
	modules, widths := map[kind][]string{}, map[string]int64{}
	quantized, there, ignore := map[string]bool{}, map[string]bool{}, []string{}
	for _, e := range byName(p) {
		there[e.Module] = true
		switch {
		case e.Quantize && loads(e):
			k := kind{e.Scheme.Bits(), !method.Planes(e.Scheme).ZeroPoint, e.Grid.GroupWidth()}
			if e.Grid.Across() == 1 {
				k.size = 0
			}
			if modules[k] == nil {
				order = append(order, k)
			}
			modules[k] = append(modules[k], e.Module)
			quantized[e.Module], widths[e.Module] = true, e.Grid.Row()
		case !e.Quantize && isLinear(e):
			ignore = append(ignore, moduleOf(e))
		}
	}
	if len(order) == 0 {
		return nil
	}
	if head := c.Config.Head(); head != "" && !there[head] {
		ignore = append(ignore, head)
	}
	slices.Sort(ignore)
	order = joinRows(order, modules, widths)
	return &quantization{
		Method: "compressed-tensors", Format: "pack-quantized", Status: "compressed",
		Ignore: slices.Compact(ignore), ConfigGroup: grouped(order, modules),
	}
}

// byName are the entries of a plan in the order of their names.
func byName(p *plan.Plan) []*plan.Entry {
	out := make([]*plan.Entry, len(p.Entries))
	for i := range p.Entries {
		out[i] = &p.Entries[i]
	}
	slices.SortFunc(out, func(a, b *plan.Entry) int { return strings.Compare(a.Tensor.Name, b.Tensor.Name) })
	return out
}

// isLinear reports whether a kept tensor may be the weight of a torch Linear, which compressed-tensors then must not
// look for codes of. To name too many does no harm.
func isLinear(e *plan.Entry) bool {
	return len(e.Tensor.Shape) == 2 && e.Class.Name != layer.Embedding && e.Class.Name != layer.Conv1D &&
		strings.HasSuffix(e.Tensor.Name, ".weight")
}

// moduleOf is the module that holds a tensor.
func moduleOf(e *plan.Entry) string { return strings.TrimSuffix(e.Tensor.Name, ".weight") }

// joinRows puts rows of one group to groups of that size, where there are such: the files are the same.
func joinRows(order []kind, modules map[kind][]string, widths map[string]int64) []kind {
	for _, k := range slices.Clone(order) {
		if k.size != 0 {
			continue
		}
		stay := modules[k][:0:0]
		for _, name := range modules[k] {
			size := kind{k.bits, k.symmetric, widths[name]}
			if modules[size] != nil {
				modules[size] = append(modules[size], name)
			} else {
				stay = append(stay, name)
			}
		}
		if modules[k] = stay; len(stay) == 0 {
			order = slices.DeleteFunc(order, func(other kind) bool { return other == k })
		}
	}
	return order
}

// grouped are the config groups: the largest is all other Linears, and comes last.
func grouped(order []kind, modules map[kind][]string) (out groups) {
	main := order[0]
	for _, k := range order {
		if len(modules[k]) > len(modules[main]) {
			main = k
		}
	}
	for _, k := range order {
		if k != main {
			slices.Sort(modules[k])
			out = append(out, group{Targets: modules[k], Weights: k.weights()})
		}
	}
	return append(out, group{Targets: []string{layer.Linear}, Weights: main.weights()})
}

// weights is the kind as the config has it.
func (k kind) weights() weights {
	w := weights{Bits: k.bits, Type: "int", Symmetric: k.symmetric, Strategy: "channel"}
	if k.size > 0 {
		w.Strategy, w.GroupSize = "group", &k.size
	}
	return w
}

// config is the config.json of a folder: the source's, with the quantization_config of what was quantized, or without
// the one that was there.
func config(c *model.Model, p *plan.Plan) ([]byte, error) {
	change := huggingface.Member{Key: "quantization_config"}
	if q := quantizationOf(c, p); q != nil {
		change.Value = q
	}
	return c.Config.With(change, huggingface.Member{Key: "quantization"})
}

// warnings are of what a config asks for and Transformers will not read.
func warnings(p *plan.Plan) []layout.Warning {
	var names []string
	for i := range p.Entries {
		if e := &p.Entries[i]; e.Quantize && !loads(e) {
			names = append(names, e.Tensor.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	text := fmt.Sprintf("Transformers and vLLM read Linears alone in 4 bits, and would run with random values in the "+
		"place of %s. Keep what is none, or choose one of the two as the place where it runs.", layout.FirstOf(names))
	return []layout.Warning{{About: layout.NotLoaded, Text: text, Names: names}}
}
