// Package target is the table of places where a result is to run. A row chooses the container, the policy and the
// words that are meant where nothing is said; it says which models it takes, which families of models were tried there
// (./build.sh oracle consumers and vllm), what is needed to run the result, and the lines of Python that do.
//
// A place is asked for by name (--for, the key nibble.for of a config, the page). A model's folder whose config.json
// names an architecture goes to the first place of the table where nothing else is asked for. A new place is a row.
//
// Only package quant is stable.
package target

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"nibble/quant/container/mlx"
	"nibble/quant/container/packed"
	"nibble/quant/fault"
	"nibble/quant/format/huggingface"
	"nibble/quant/layout"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/recipe/compressedtensors"
	"nibble/quant/recipe/coremltools"
	mlxpolicy "nibble/quant/recipe/mlx"
	"nibble/quant/scheme"
)

// Row is one place.
type Row struct {
	Name      string
	Container string             // that it opens
	Usual     coremltools.Global // what is meant where nothing is said
	Offers    Offers
	Policy    func(r *coremltools.Recipe, c *huggingface.Config) plan.Policy
	Refuses   func(c *huggingface.Config) *fault.Error // of families that break there; nil where none is known to
	// why the codes of a model that is quantized already have no form there, and the policy that gives them it; nil where
	// no codes have
	Relabels func(c *model.Model) *fault.Error
	Relabel  func(c *model.Model) (plan.Policy, error)
	Tried    []string // classes of models whose results ran there as they should
	Layers   bool     // it has rules of its own for which layers are quantized, and none of coremltools' counts
	python   string   // the lines that load and try a result, MODEL_FILE its folder
	groups   []int64  // of inputs, that it is fast with; none where all are alike
	alone    bool     // nothing else reads the container
}

// Offers are what there is to choose there.
type Offers struct {
	Grains     []scheme.Granularity
	Modes      []scheme.Mode
	DTypes     []scheme.WeightDType
	GroupSizes []int
}

var (
	//go:embed transformers.py
	transformersPython string
	//go:embed encoder.py
	encoderPython string
	//go:embed vllm.py
	vllmPython string
	//go:embed mlx.py
	mlxPython string
)

// linears are what compressed-tensors has.
var linears = Offers{
	Grains: []scheme.Granularity{scheme.PerBlock, scheme.PerChannel},
	Modes:  []scheme.Mode{scheme.Symmetric, scheme.Affine},
	DTypes: []scheme.WeightDType{scheme.Int4, scheme.Int8}, GroupSizes: []int{128, 64, 32},
}

// dense are the classes without experts that were tried everywhere.
var dense = []string{"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
	"Gemma2ForCausalLM", "Phi3ForCausalLM"}

func compressedTensors(r *coremltools.Recipe, c *huggingface.Config) plan.Policy {
	return compressedtensors.New(r, c.Head(), c.VocabSize)
}

// Table is the places in the order they are offered.
var Table = []Row{
	{
		Name: "transformers", Container: packed.Name, Usual: compressedtensors.Usual, Offers: linears,
		Policy: compressedTensors, Layers: true, python: transformersPython,
		Tried: append([]string{"BertForMaskedLM", "BertForSequenceClassification", "MixtralForCausalLM",
			"Qwen3MoeForCausalLM"}, dense...),
	},
	{
		Name: "vllm", Container: packed.Name, Usual: compressedtensors.Usual, Offers: linears,
		Policy: compressedTensors, Layers: true, python: vllmPython, groups: []int64{32, 64, 128},
		Tried: dense,
	},
	{
		Name: "mlx", Container: mlx.Name, Usual: mlxpolicy.Usual, alone: true,
		Offers: Offers{
			Grains: []scheme.Granularity{scheme.PerBlock}, Modes: []scheme.Mode{scheme.Affine, scheme.Symmetric},
			DTypes: []scheme.WeightDType{scheme.Int4, scheme.Int8}, GroupSizes: []int{128, 64, 32},
		},
		Policy: func(r *coremltools.Recipe, c *huggingface.Config) plan.Policy {
			return mlxpolicy.New(r, c.ModelType, tiedHead(c))
		},
		Refuses: func(c *huggingface.Config) *fault.Error { return mlxpolicy.Refuses(c.ModelType, c.Architecture()) },
		Relabels: func(c *model.Model) *fault.Error {
			return mlxpolicy.Relabels(c, mlx.Stacks(c.Config.ModelType))
		},
		Relabel: func(c *model.Model) (plan.Policy, error) { return mlxpolicy.NewRelabel(c) },
		python:  mlxPython,
		Tried:   append([]string{"MixtralForCausalLM", "Qwen3MoeForCausalLM"}, dense...),
	},
}

// tiedHead is the head of a model whose config says that it is tied to the embedding.
func tiedHead(c *huggingface.Config) string {
	if c.Tied != nil && *c.Tied {
		return c.Head()
	}
	return ""
}

// Find is the row of a name.
func Find(name string) (*Row, error) {
	names := ""
	for i := range Table {
		if Table[i].Name == name {
			return &Table[i], nil
		}
		names += " " + Table[i].Name
	}
	return nil, fault.Not("", "there is no place %q to run a model", name).Hint("the places are%s", names)
}

// Of is the row that reads a container which is for one place alone; nil where there is none.
func Of(container string) *Row {
	for i := range Table {
		if row := &Table[i]; row.alone && row.Container == container {
			return row
		}
	}
	return nil
}

// Home is the row that is meant for a model where nothing is said: the first, for a folder whose config names an
// architecture; else nil.
func Home(c *model.Model) *Row {
	if c.Folder && c.Config.Architecture() != "" && c.Quantized == nil {
		return &Table[0]
	}
	return nil
}

// Open is the row that is offered first for a model: its home, or the first that takes its codes; else nil.
func Open(c *model.Model) *Row {
	if row := Home(c); row != nil || c.Quantized == nil {
		return row
	}
	for i := range Table {
		if row := &Table[i]; row.Takes(c) == nil {
			return row
		}
	}
	return nil
}

// Takes says why a model cannot go there; nil where it can.
func (row *Row) Takes(c *model.Model) *fault.Error {
	var broken *fault.Error
	switch {
	case c.Folder && errors.As(c.NoConfig, &broken):
		return broken
	case !c.Folder || c.Config == nil:
		return fault.Not(c.Name, "a model for %s is a folder with its config.json, and there is none", row.Name).
			Code(fault.NeedsFolder, row.Name).Hint("choose the whole folder of the model, or another place")
	case c.Config.Architecture() == "":
		return fault.Not(c.Config.File.Name, "it names no architecture, by which %s finds the model's class", row.Name).
			Code(fault.NoArchitecture, row.Name).
			Hint("choose the folder that the model's config.json lies in, or another place")
	}
	if row.Refuses != nil {
		if why := row.Refuses(c.Config); why != nil {
			why.File = c.Config.File.Name
			return why.Code(fault.FamilyRefused, c.Config.ModelType, row.Name)
		}
	}
	switch {
	case c.Quantized == nil:
		return nil
	case row.Relabels == nil:
		return c.Already()
	}
	return row.Relabels(c)
}

// Lines are the lines of Python that load and try a result. MODEL_FILE stands for its folder.
func (row *Row) Lines(c *huggingface.Config) string {
	name := c.Architecture()
	switch {
	case row.python != transformersPython || strings.HasSuffix(name, "ForCausalLM") || !isName(name):
		return row.python
	case strings.HasSuffix(name, "ForConditionalGeneration"): // which the class for causal models may not find
		return strings.ReplaceAll(row.python, "AutoModelForCausalLM", name)
	}
	return strings.ReplaceAll(encoderPython, "MODEL_CLASS", name)
}

// isName reports whether a text is a name in Python, and nothing else.
func isName(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// Warnings are what a user should know of a plan for the place.
func (row *Row) Warnings(c *model.Model, p *plan.Plan) (out []layout.Warning) {
	if name := c.Config.Architecture(); !slices.Contains(row.Tried, name) {
		text := fmt.Sprintf("not tried with this architecture in %s: %s. Try the result before you rely on it.", row.Name,
			name)
		out = append(out, layout.Warning{About: layout.NotTried, Text: text, Names: []string{name}})
	}
	if len(row.groups) == 0 {
		return out
	}
	var slow []string
	for i := range p.Entries {
		e := &p.Entries[i]
		if e.Quantize && e.Grid.Across() > 1 && !slices.Contains(row.groups, e.Grid.GroupWidth()) {
			slow = append(slow, e.Tensor.Name)
		}
	}
	if len(slow) > 0 {
		text := "vLLM has fast kernels for groups of 32, 64 and 128 inputs, and none for those of " + layout.FirstOf(slow)
		out = append(out, layout.Warning{About: layout.SlowGroups, Text: text, Names: slow})
	}
	return out
}
