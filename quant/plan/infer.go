package plan

import (
	"strings"

	"nibble/quant/layer"
	"nibble/quant/tensor"
)

// A bare state dict names no classes. What a module is shows in its parameters (a Linear's bias has as
// many values as the weight has rows), in its name, and in those beside it. What these leave open is
// doubtful: kept, and said, since a wrong guess breaks a model.

// facts are what the names of a whole state dict show.
type facts struct {
	byName  map[string]*tensor.Tensor
	experts map[string]bool // modules with experts in them, and what decides between these
	routers map[string]bool // modules with a router in them
	conv1d  map[string]bool // last names of modules that are Conv1D
}

// gpt2 are the names that Transformers gives modules of Conv1D.
var gpt2 = []string{"c_attn", "c_proj", "c_fc", "q_attn"}

func newFacts(state *tensor.StateDict) *facts {
	f := &facts{byName: make(map[string]*tensor.Tensor, len(state.Tensors))}
	f.experts, f.routers, f.conv1d = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range state.Tensors {
		f.byName[state.Tensors[i].Name] = &state.Tensors[i]
	}
	for i := range state.Tensors {
		t := &state.Tensors[i]
		module, name := split(t.Name)
		f.parents(t.Name)
		if name == "weight" && len(t.Shape) == 2 && state.Classes[module] == "" && f.alongColumns(t, module) {
			f.conv1d[lastOf(module)] = true
			for _, sibling := range gpt2 {
				f.conv1d[sibling] = true
			}
		}
	}
	return f
}

// parents notes the modules above that hold experts or a router; a name has few parts that matter.
func (f *facts) parents(name string) {
	if len(name) > 4*longest {
		return
	}
	at := name
	for range 8 {
		outer, last := split(at)
		if at == outer || last == "" {
			return
		}
		if holdsExperts(last) {
			f.experts[outer] = true
		}
		if saysRouter(strings.ToLower(last)) && at != name {
			f.routers[outer] = true
		}
		if at = outer; at == "" {
			return
		}
	}
}

// bias is that of a module, nil when there is none.
func (f *facts) bias(module string) *tensor.Tensor { return f.byName[join(module, "bias")] }

// alongColumns reports whether a bias has a value for each column of a weight, and not for each row.
func (f *facts) alongColumns(t *tensor.Tensor, module string) bool {
	b := f.bias(module)
	return b != nil && len(b.Shape) == 1 && b.Shape[0] == t.Shape[1] && b.Shape[0] != t.Shape[0]
}

// isFactor reports whether a tensor is a factor of a weight that a hook or a parametrization puts together.
func (f *facts) isFactor(t *tensor.Tensor, module, name string) bool {
	if len(t.Shape) < 2 {
		return false
	}
	has := func(param string) bool { return f.byName[join(module, param)] != nil }
	switch {
	case name == "weight_g", name == "weight_v":
		return has("weight_g") && has("weight_v") || has("weight_orig")
	case name == "weight_orig":
		return has("weight_u") || has("weight_mask")
	case name == "weight_mask":
		return has("weight_orig")
	}
	return strings.HasSuffix(module, ".parametrizations.weight") && strings.HasPrefix(name, "original")
}

// isStack reports whether a tensor holds experts, one after the other, and is no module's weight.
func (f *facts) isStack(t *tensor.Tensor, module, name string) bool {
	_, last := split(module)
	return len(t.Shape) == 3 && name != "weight" && holdsExperts(last) && !strings.HasSuffix(name, "bias")
}

// infer finds a tensor's module and class by names and shapes.
func infer(t *tensor.Tensor, f *facts) param {
	module, name := split(t.Name)
	p := param{module: module, name: name}
	switch {
	case attentionParam.MatchString(name):
		p.class = layer.Attention
	case recurrentParam.MatchString(name):
		p.class = layer.Recurrent
	case name != "weight":
	default:
		if outer, last := split(module); last == "out_proj" && f.isAttention(outer) {
			// What is said of an attention holds for its out_proj, too.
			return param{module: outer, name: "out_proj.weight", guess: guess{class: layer.Attention}}
		}
		p.guess = f.weight(t, module)
	}
	return p
}

// isAttention reports whether a module has the projections of a MultiheadAttention.
func (f *facts) isAttention(module string) bool {
	return f.byName[join(module, "in_proj_weight")] != nil || f.byName[join(module, "q_proj_weight")] != nil
}

// weight reads the class of a module from its weight, its bias and its name.
func (f *facts) weight(t *tensor.Tensor, module string) guess {
	bias, last := f.bias(module), lastOf(module)
	if len(t.Shape) < 2 {
		return guess{}
	}
	rows := bias != nil && len(bias.Shape) == 1 && bias.Shape[0] == t.Shape[0]
	switch {
	case bias != nil && sameShape(t.Shape, bias.Shape), len(t.Shape) < 4 && saysNorm(last) && !saysConv(last) && !rows:
		return guess{kept: Because(IsNorm)}
	case len(t.Shape) == 2:
		return f.matrix(t, module, last, bias)
	case len(t.Shape) > 5:
		return guess{}
	}
	return f.kernel(t, module, last, bias)
}

// matrix distinguishes the modules whose weight has two axes.
func (f *facts) matrix(t *tensor.Tensor, module, last string, bias *tensor.Tensor) guess {
	switch {
	case f.isRouter(module):
		return guess{class: layer.Linear, kept: Because(IsRouter)}
	case bias == nil && f.conv1d[last]:
		return guess{class: layer.Conv1D}
	case bias == nil && (saysEmbedding(last) || last == "shared" && atTop(module)):
		return guess{class: layer.Embedding}
	case bias == nil:
		return guess{class: layer.Linear}
	case len(bias.Shape) != 1:
		return doubt(layer.Linear, doubtBiasAxes, len(bias.Shape), layer.Linear)
	case t.Shape[0] == t.Shape[1] && f.conv1d[last], f.alongColumns(t, module):
		return guess{class: layer.Conv1D}
	case bias.Shape[0] != t.Shape[0]:
		return doubt(layer.Linear, doubtBiasValues, bias.Shape[0], t.Shape[0])
	}
	return guess{class: layer.Linear}
}

// atTop reports whether a module lies in the model itself, as the embedding that T5 and BART call shared does.
func atTop(module string) bool {
	outer, _ := split(module)
	_, last := split(outer)
	return outer == "" || last == "model" || last == "transformer" || last == "module"
}

// isRouter reports whether a module is called router, is a gate beside experts, or lies in one, by name or by number.
func (f *facts) isRouter(module string) bool {
	for range 3 {
		outer, last := split(module)
		low := strings.ToLower(last)
		if saysRouter(low) || saysGate(low) && f.experts[outer] {
			return true
		}
		module = outer
	}
	return false
}

// kernel distinguishes the modules whose weight has three to five axes.
func (f *facts) kernel(t *tensor.Tensor, module, last string, bias *tensor.Tensor) guess {
	rank := len(t.Shape)
	conv, deconv := "Conv"+string(rune('0'+rank-2))+"d", "ConvTranspose"+string(rune('0'+rank-2))+"d"
	outer, own := split(module)
	_, around := split(outer)
	switch {
	case rank == 3 && (f.routers[outer] || holdsExperts(own) || holdsExperts(around)):
		return guess{kept: Because(IsExpert)}
	case bias != nil && len(bias.Shape) != 1:
		return doubt(conv, doubtBiasAxes, len(bias.Shape), conv)
	case rank == 5 && t.Shape[0] == 1 && bias == nil:
		return doubt(conv, doubtModulated)
	case rank == 3 && strings.Contains(last, "bilinear"):
		return guess{kept: Because(NoLayer)}
	case rank == 3 && !saysConv(module) && (t.Shape[2] > 31 || t.Shape[2] == t.Shape[1]):
		return doubt(conv, doubtLong, t.Shape[2])
	case rank == 3 && bias == nil && saysEmbedding(last) && !saysConv(module):
		return doubt(conv, doubtEmbedding)
	}
	return direction(t, module, last, bias, conv, deconv)
}

// direction distinguishes a Conv from a ConvTranspose. A bias has one value per output channel, which is axis 0
// of a Conv, and axis 1 times the groups of a ConvTranspose. Where both fit or there is no bias, an even
// kernel or a name can point to the ConvTranspose; then it is left open.
func direction(t *tensor.Tensor, module, last string, bias *tensor.Tensor, conv, deconv string) guess {
	first, second := t.Shape[0], t.Shape[1]
	if bias != nil && second > 0 {
		n := bias.Shape[0]
		groups := n / second
		switch {
		case n == first && first != second && second != 1:
			return guess{class: conv}
		case n != first && groups > 0 && n%second == 0 && first%groups == 0:
			return guess{class: deconv}
		case n != first:
			return doubt(conv, doubtNeither, n, conv, deconv)
		}
	}
	square := first == second
	switch {
	case saysTransposed(module) && !square:
		return guess{class: deconv}
	case saysTransposed(module), saysUp(last) && longKernel(t):
		return doubt(deconv, doubtName, deconv, conv)
	case evenKernel(t) && (square || !saysDown(last)):
		return doubt(deconv, doubtKernel, deconv, conv)
	}
	return guess{class: conv}
}

// evenKernel reports whether each axis of the kernel has an even length.
func evenKernel(t *tensor.Tensor) bool {
	for _, n := range t.Shape[2:] {
		if n == 0 || n%2 != 0 {
			return false
		}
	}
	return true
}

// longKernel reports whether the kernel has more than one place.
func longKernel(t *tensor.Tensor) bool {
	for _, n := range t.Shape[2:] {
		if n > 1 {
			return true
		}
	}
	return false
}

// sameShape reports whether two shapes of two axes or more are equal.
func sameShape(a, b []int64) bool {
	if len(a) != len(b) || len(a) < 2 {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
