package plan_test

import (
	"strings"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
)

// what is a tensor's class, where it is known from, and the code of its verdict.
func what(e *plan.Entry) string {
	return strings.TrimSpace(e.Class.Name + " " + string(e.ClassFrom) + " " + string(e.Reason.Code))
}

// holds plans a model of which each weight stands with the verdict that it must have.
func holds(t *testing.T, title string, o recipe.Options, model string) {
	t.Helper()
	s, want := &tensor.StateDict{}, map[string]string{}
	for line := range strings.Lines(model) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		left, verdict, _ := strings.Cut(line, ":")
		fields := strings.Fields(left)
		x := f32(fields[0])
		for _, text := range fields[1:] {
			n := int64(0)
			for _, digit := range text {
				n = 10*n + int64(digit-'0')
			}
			x.Shape = append(x.Shape, n)
		}
		x.Strides = tensor.DenseStrides(x.Shape)
		s.Tensors, want[x.Name] = append(s.Tensors, x), strings.TrimSpace(verdict)
	}
	p, err := plan.Build(s, parse(t, coremltools.Default), o)
	if err != nil {
		t.Fatal(title, err)
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		if w := want[e.Tensor.Name]; w != "" && what(e) != w {
			t.Errorf("%s: %s is %q, want %q (%s)", title, e.Tensor.Name, what(e), w, e.Reason.Text)
		}
	}
}

// What names and shapes show, and what they leave open.
func TestInfer(t *testing.T) {
	for title, model := range map[string]string{
		"Conv1D shown by a bias makes its siblings Conv1D": `
			h.0.attn.c_attn.weight 64 192: Conv1D inferred conv1d
			h.0.attn.c_attn.bias 192: bias
			h.0.attn.c_proj.weight 64 64: Conv1D inferred conv1d
			h.0.attn.c_proj.bias 64
			h.1.mlp.c_fc.weight 64 64: Conv1D inferred conv1d
			h.1.mlp.c_fc.bias 64
			h.1.other.weight 64 64: Linear inferred weight
			h.1.other.bias 64`,
		"without one they are Linear": `
			a.c_proj.weight 64 64: Linear inferred weight
			a.c_proj.bias 64
			a.c_fc.weight 128 64: Linear inferred weight
			a.c_fc.bias 128`,
		"a bias that fits neither axis": `
			a.weight 64 96: Linear doubtful doubtful
			a.bias 32
			b.weight 64 96: Linear doubtful doubtful
			b.bias 1 64`,
		"norms of more axes": `
			enc.ln.weight 64 32: norm
			enc.ln.bias 64 32: bias
			dec.x.weight 4 64 32: norm
			dec.x.bias 4 64 32: bias
			q_norm.weight 8 64: norm
			layers.0.LayerNorm.weight 64 64: norm
			bn1.weight 64 64 3: norm
			norm.linear.weight 64 64: Linear inferred weight
			norm_proj.weight 64 64: Linear inferred weight
			normalization.weight 64 64: norm
			normal_head.weight 64 64: Linear inferred weight
			surface_normal.weight 64 64 3 3: Conv2d inferred weight
			feature_norm_conv.weight 64 64 3: Conv1d inferred weight
			norm2.weight 64 64: Linear inferred weight
			norm2.bias 64`,
		"what is no Conv1d": `
			bilinear.weight 4 64 64: no_layer
			bilinear.bias 4
			mix.weight 4 64 64: Conv1d doubtful doubtful
			mix.bias 4
			stft.forward_basis.weight 258 64 256: Conv1d doubtful doubtful
			feature.conv.weight 64 96 64: Conv1d inferred weight
			down.weight 64 64 1: Conv1d inferred weight
			pos_embedding.weight 64 96 3: Conv1d doubtful doubtful`,
		"modulated": `
			style.weight 1 64 64 3 3: Conv3d doubtful doubtful
			head.weight 1 64 3 64 3: Conv3d inferred weight
			head.bias 1`,
		"square: an even kernel or a name": `
			proto.upsample.weight 64 64 2 2: ConvTranspose2d doubtful doubtful
			proto.upsample.bias 64
			m.conv5_mask.weight 64 64 2 2: ConvTranspose2d doubtful doubtful
			m.conv5_mask.bias 64
			resize.weight 64 64 3 3: ConvTranspose2d doubtful doubtful
			resize.bias 64
			deconv.weight 64 64 3 3: ConvTranspose2d doubtful doubtful
			deconv.bias 64
			ups.0.weight 64 64 3: ConvTranspose1d doubtful doubtful
			up_blocks.0.conv1.weight 64 64 3 3: Conv2d inferred weight
			up_blocks.0.conv1.bias 64
			cv2.conv.weight 64 64 3 3: Conv2d inferred weight
			one.weight 64 64 1 1: Conv2d inferred weight`,
		"without a bias": `
			main.3.weight 128 64 4 4: ConvTranspose2d doubtful doubtful
			up.weight 128 64 2 2: ConvTranspose2d doubtful doubtful
			x.ConvTranspose.weight 128 64 3 3: ConvTranspose2d inferred weight
			visual.conv1.weight 128 64 16 16: Conv2d inferred weight
			patch_embedding.weight 128 64 16 16: Conv2d inferred weight
			downsample.0.weight 128 64 2 2: Conv2d inferred weight`,
		"a bias decides": `
			down.weight 128 64 2 2: Conv2d inferred weight
			down.bias 128
			up.weight 128 64 2 2: ConvTranspose2d inferred weight
			up.bias 64
			grouped.weight 96 32 2 2: ConvTranspose2d inferred weight
			grouped.bias 64
			odd.weight 128 64 2 2: Conv2d doubtful doubtful
			odd.bias 100`,
		"embeddings": `
			embed_tokens.0.weight 64 64: Embedding inferred embedding
			m.tok.weight 64 64: Embedding inferred embedding
			token.weight 64 64: Embedding inferred embedding
			quantizer.codebook.weight 64 64: Embedding inferred embedding
			lookup.weight 64 64: Embedding inferred embedding
			emb_g.weight 64 64: Embedding inferred embedding
			emb_phone.weight 64 64: Linear inferred weight
			emb_phone.bias 64
			time_embed.0.weight 64 64: Linear inferred weight
			time_embed.0.bias 64
			token_proj.weight 64 64: Linear inferred weight
			model.shared.weight 64 64: Embedding inferred embedding
			mlp.shared.weight 64 64: Linear inferred weight
			token_mlp.weight 64 64: Linear inferred weight
			lm_head.weight 64 64: Linear inferred weight
			layers.0.weight 64 64: Linear inferred weight`,
		"experts and routers": `
			m.mlp.experts.gate_up_proj 4 64 128: experts
			m.mlp.experts.down_proj_bias 4 64: no_layer
			m.mlp.router.weight 4 64: Linear inferred router
			x.moe.gate.weight 8 64: Linear inferred router
			x.moe.experts.0.w1.weight 64 64: Linear inferred weight
			y.gate.weight 64 64: Linear inferred weight
			t.moe.gates.0.wg.weight 8 64: Linear inferred router
			t.moe.experts.0.conv.weight 64 64 3: Conv1d inferred weight
			m.mlp.gate.weight 8 64: Linear inferred router
			m.mlp.switch_mlp.up_proj.weight 8 64 96: experts
			y.mlp.gate_proj.weight 64 64: Linear inferred weight
			z.block_sparse_moe.input_linear.weight 8 64 32: experts
			z.block_sparse_moe.router.layer.weight 8 64: Linear inferred router
			z.moe.shared_expert_gate.weight 1 64: Linear inferred weight`,
		"weights in parts": `
			a.weight_g 64 1 1: split
			a.weight_v 64 64 3: split
			b.parametrizations.weight.original0 64 1: split
			b.parametrizations.weight.original1 64 64: split
			c.weight_orig 64 64: split
			c.weight_u 64: vector
			d.parametrizations.weight.original 64 64: split
			p.weight_orig 64 64: split
			p.weight_mask 64 64: split
			e.weight_v 64 64: no_layer`,
		"recurrent cells": `
			lstm_cell.weight_ih 128 64: RNN inferred recurrent
			gru.weight_hh_l0_reverse 128 64: RNN inferred recurrent`,
	} {
		holds(t, title, recipe.Options{AllowNone: true, Least: recipe.Least{Inputs: 1, Weights: 1}}, model)
	}
}

// What was left open can be set.
func TestWhatIsLeftOpenCanBeSet(t *testing.T) {
	o := recipe.Options{Types: rules(t, `up=ConvTranspose2d`, `.*\.c_attn=Conv1D`, `m\.experts\.up=Conv1d`,
		`.*router=Linear`)}
	holds(t, "set", o, `
		up.weight 64 64 2 2: ConvTranspose2d user weight
		h.c_attn.weight 64 192: Conv1D user weight
		h.c_attn.bias 192
		m.experts.up 4 64 64: Conv1d user weight
		m.router.weight 4 64: Linear user weight`)
}

// Blocks of a Conv1D of Transformers run along its inputs, which are its rows.
func TestConv1DBlocks(t *testing.T) {
	s := state(f32("c_fc.weight", 64, 256), f32("c_fc.bias", 256))
	p, err := plan.Build(s, parse(t, coremltools.Default), recipe.Options{Types: rules(t, "c_fc=Conv1D")})
	if err != nil {
		t.Fatal(err)
	}
	if g := p.Entries[0].Grid; !p.Entries[0].Quantize || g.BlockRows != 32 || g.BlockCols != 1 {
		t.Errorf("%+v", p.Entries[0])
	}
}

// What coremltools skips is quantized only where it wins something, and is a weight that learns.
func TestTooLittleToGain(t *testing.T) {
	file := &tensor.File{Name: "m.pt"}
	for title, c := range map[string]struct {
		shape  []int64
		dtype  tensor.Type
		frozen bool
		config string
		says   string // "" when it is quantized
	}{
		"enough":              {[]int64{256, 16}, tensor.F32, false, coremltools.Default, ""},
		"few inputs":          {[]int64{512, 15}, tensor.F32, false, coremltools.Default, "fewer than 16 inputs"},
		"few weights":         {[]int64{255, 16}, tensor.F32, false, coremltools.Default, "fewer than 4096 weights"},
		"frozen":              {[]int64{256, 16}, tensor.F32, true, coremltools.Default, "it is frozen"},
		"one input":           {[]int64{258, 1, 256}, tensor.F32, false, coremltools.Default, "fewer than 16 inputs"},
		"coremltools does it": {[]int64{4, 33}, tensor.F32, true, `{"global_config":{"weight_dtype":"int4"}}`, ""},
		"nothing gained": {[]int64{256, 16}, tensor.F16, false,
			`{"global_config":{"weight_dtype":"int8","granularity":"per_block","block_size":[1,1]}}`, ""},
	} {
		name := "conv.weight"
		x := f32(name, c.shape...)
		x.DType, x.Frozen, x.Storage.File = c.dtype, c.frozen, file
		p, err := plan.Build(state(x), parse(t, c.config), recipe.Options{AllowNone: true})
		if err != nil {
			t.Fatal(err)
		}
		e := p.Entries[0]
		if c.says == "" && !e.Quantize || c.says != "" &&
			(e.Quantize || e.Reason.Code != coremltools.Beyond || !strings.Contains(e.Reason.Text, c.says)) {
			t.Errorf("%s: %v %s %q", title, e.Quantize, e.Reason.Code, e.Reason.Text)
		}
	}
}

// A plan that quantizes nothing is refused, unless keeping was asked for.
func TestNothingQuantized(t *testing.T) {
	s := state(f32("wte.weight", 64, 64), f32("norm.weight", 64))
	for title, c := range map[string]struct {
		config string
		o      recipe.Options
		code   string
	}{
		"by default": {coremltools.Default, recipe.Options{}, string(fault.NoneQuantized)},
		"no rule": {`{"module_name_configs":{"x":{}}}`, recipe.Options{Embeddings: true},
			string(fault.NoneQuantized)},
		"allowed":         {coremltools.Default, recipe.Options{AllowNone: true}, ""},
		"kept by name":    {`{"global_config":{},"module_name_configs":{"wte":null}}`, recipe.Options{Embeddings: true}, ""},
		"kept by type":    {coremltools.Default, recipe.Options{Types: rules(t, "wte=Module")}, ""},
		"with embeddings": {coremltools.Default, recipe.Options{Embeddings: true}, ""},
	} {
		p, err := plan.Build(s, parse(t, c.config), c.o)
		if err != nil {
			t.Fatal(err)
		}
		if string(fault.CodeOf(p.Conflict)) != c.code {
			t.Errorf("%s: %v", title, p.Conflict)
		}
	}
}

// One weight under two names of which one is kept for what it is: both are, and it is said once.
func TestTiedToWhatIsKept(t *testing.T) {
	file := &tensor.File{Name: "m.pt"}
	tie := func(names ...string) *tensor.StateDict {
		var list []tensor.Tensor
		for _, n := range names {
			x := f32(n, 64, 64)
			x.Storage = tensor.Storage{File: file, Start: 0, End: 64 * 64 * 4}
			list = append(list, x)
		}
		other := f32("fc.weight", 64, 64)
		other.Storage = tensor.Storage{File: file, Start: 64 * 64 * 4, End: 2 * 64 * 64 * 4}
		return state(append(list, other)...)
	}
	absent := tie("lm_head.weight")
	absent.Absent = []tensor.Alias{{Name: "wte.weight", Of: "lm_head.weight"}}
	for title, c := range map[string]struct {
		state *tensor.StateDict
		o     recipe.Options
		codes string
		ties  int
	}{
		"embedding first": {tie("wte.weight", "lm_head.weight"), recipe.Options{}, "embedding tied weight", 1},
		"embedding last":  {tie("lm_head.weight", "wte.weight"), recipe.Options{}, "tied embedding weight", 1},
		"three names": {tie("lm_head.weight", "wte.weight", "out.weight"), recipe.Options{}, "tied embedding tied weight",
			2},
		"asked for":       {tie("wte.weight", "lm_head.weight"), recipe.Options{Embeddings: true}, "weight weight weight", 0},
		"not in the file": {absent, recipe.Options{}, "tied weight", 1},
		"absent, asked":   {absent, recipe.Options{Embeddings: true}, "weight weight", 0},
	} {
		p, err := plan.Build(c.state, parse(t, coremltools.Default), c.o)
		if err != nil || p.Conflict != nil {
			t.Fatal(title, err, p.Conflict)
		}
		var codes []string
		for _, e := range p.Entries {
			codes = append(codes, string(e.Reason.Code))
		}
		if got := strings.Join(codes, " "); got != c.codes || len(p.Ties) != c.ties {
			t.Errorf("%s: %s, %d ties", title, got, len(p.Ties))
		}
		if out, _ := p.Export(); c.ties > 0 { // coremltools would quantize the tied one
			if e, _, err := out.(*coremltools.Recipe).Rule("lm_head", layer.Linear); err != nil || e.Scheme != nil {
				t.Errorf("%s: the exported recipe quantizes it", title)
			}
		}
	}
}
