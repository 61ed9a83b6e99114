package plan

import (
	"regexp"
	"strings"

	"nibble/quant/recipe"
	"nibble/quant/tensor"
)

// Module types that Nibble tells apart. The first eight are what coremltools
// quantizes; the rest are kept and named so that the user sees why.
const (
	Linear    = "Linear"
	MHA       = "MultiheadAttention"
	Embedding = recipe.Embedding
	Recurrent = "RNN"
)

// Where a module's type is known from.
const (
	FromFile = "file"     // the file tells: a fact
	FromUser = "user"     // set by the user: obeyed
	Inferred = "inferred" // from names and shapes: shown, easy to change
)

var (
	attentionParam = regexp.MustCompile(`^(in_proj|q_proj|k_proj|v_proj)_weight$`)
	recurrentParam = regexp.MustCompile(`^weight_(ih|hh|hr)_l\d+(_reverse)?$`)
	embeddingName  = regexp.MustCompile(`^(.*_)?emb$|^(wte|wpe|token_embd|shared|relative_attention_bias)$`)
	outputName     = regexp.MustCompile(`unembed|embed_out|embed.*proj`) // a Linear in spite of its name
)

// param says which module a tensor belongs to and what it is there.
type param struct {
	module string // whose config decides; "" is the root
	name   string // weight, bias, in_proj_weight, ...
	class  string // "" when it is nothing that could be quantized
	source string // where class is known from
	set    string // module whose class the user set, when source is FromUser
}

// modules finds the module and its class for every tensor of a state dict.
func modules(state *tensor.StateDict, rules []TypeRule) ([]param, error) {
	byName := make(map[string]*tensor.Tensor, len(state.Tensors))
	for i := range state.Tensors {
		byName[state.Tensors[i].Name] = &state.Tensors[i]
	}
	known := newClasses(state, rules)
	out := make([]param, len(state.Tensors))
	for i := range state.Tensors {
		p, err := place(&state.Tensors[i], byName, known)
		if err != nil {
			return nil, err
		}
		if p.source == FromUser {
			if err := known.fits(&state.Tensors[i], p); err != nil {
				return nil, err
			}
		}
		out[i] = p
	}
	return out, known.unused()
}

// place takes a class that is known, or infers one.
func place(t *tensor.Tensor, byName map[string]*tensor.Tensor, known *classes) (param, error) {
	module, name := split(t.Name)
	class, source, err := known.of(module)
	if err != nil || source != "" {
		return told(module, name, class, source), err
	}
	outer, last := split(module)
	if last != "out_proj" || name != "weight" {
		return inferred(infer(t, byName)), nil
	}
	switch class, source, err = known.of(outer); {
	case err != nil:
		return param{}, err
	case class == MHA:
		return param{module: outer, name: "out_proj.weight", class: MHA, source: source, set: outer}, nil
	case source != "": // no attention, so its out_proj is a module like others
		return inferred(param{module: module, name: name, class: weightClass(t, module, byName[join(module, "bias")])}), nil
	}
	return inferred(infer(t, byName)), nil
}

// told is a tensor of a module whose class is known: the class is its own when it is a
// weight, or when all of the module is kept.
func told(module, name, class, source string) param {
	p := param{module: module, name: name, set: module}
	attention := attentionParam.MatchString(name)
	switch {
	case class == MHA && attention,
		class != MHA && name == "weight",
		class == Module && (attention || recurrentParam.MatchString(name)),
		source == FromFile && !quantizable(class):
		p.class, p.source = class, source
	}
	return p
}

// inferred marks a class, where one was found.
func inferred(p param) param {
	if p.class != "" {
		p.source = Inferred
	}
	return p
}

// split cuts a tensor's name at the last dot.
func split(name string) (module, param string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// join is the inverse of split.
func join(module, param string) string {
	if module == "" {
		return param
	}
	return module + "." + param
}

func infer(t *tensor.Tensor, byName map[string]*tensor.Tensor) param {
	module, name := split(t.Name)
	p := param{module: module, name: name}
	switch {
	case attentionParam.MatchString(name):
		p.class = MHA
	case recurrentParam.MatchString(name):
		p.class = Recurrent
	case name != "weight":
	default:
		if outer, last := split(module); last == "out_proj" && isAttention(outer, byName) {
			// coremltools' walk stops at the attention, so its config holds for out_proj.
			return param{module: outer, name: "out_proj.weight", class: MHA}
		}
		p.class = weightClass(t, module, byName[join(module, "bias")])
	}
	return p
}

func isAttention(module string, byName map[string]*tensor.Tensor) bool {
	return byName[join(module, "in_proj_weight")] != nil || byName[join(module, "q_proj_weight")] != nil
}

// weightClass reads the type of a parameter called "weight" from its rank, its bias
// and its module's name.
func weightClass(t *tensor.Tensor, module string, bias *tensor.Tensor) string {
	low := strings.ToLower(module)
	switch rank := len(t.Shape); rank {
	case 2:
		_, last := split(low)
		if bias == nil && namesEmbedding(last) && !outputName.MatchString(last) {
			return Embedding
		}
		return Linear
	case 3, 4, 5:
		kind := "Conv"
		if deconvolution(t, low, bias) {
			kind = "ConvTranspose"
		}
		return kind + string(rune('0'+rank-2)) + "d"
	}
	return ""
}

// namesEmbedding reads the last part of a module's name. What is cheap comes first: names can be long.
func namesEmbedding(last string) bool {
	return strings.Contains(last, "embed") || len(last) < 64 && embeddingName.MatchString(last) || strings.HasSuffix(last, "_emb")
}

// deconvolution: a bias has one value per output channel, which is axis 0 of a Conv and
// axis 1 (times the groups) of a ConvTranspose. Where both fit or there is no bias,
// the name decides.
func deconvolution(t *tensor.Tensor, module string, bias *tensor.Tensor) bool {
	if bias != nil && len(bias.Shape) == 1 {
		n := bias.Shape[0]
		if n != t.Shape[0] && t.Shape[1] > 0 && n%t.Shape[1] == 0 {
			return true
		}
		if n == t.Shape[0] && n != t.Shape[1] {
			return false
		}
	}
	return strings.Contains(module, "deconv") || strings.Contains(module, "transpose")
}
