package plan_test

import (
	"strings"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
)

// state makes a state dict, f32 a tensor of it.
var state, f32 = plan.StateOf, plan.F32

func TestVerdicts(t *testing.T) {
	r, err := coremltools.Parse("c", []byte(`{
		"global_config": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 32},
		"module_name_configs": {"head": null, "attn": {"weight_dtype": "int8"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	half := f32("half.weight", 64, 64)
	half.DType = tensor.BF16
	ids := f32("ids.weight", 64, 64)
	ids.DType = tensor.I64
	s := state(f32("fc.weight", 64, 64), f32("fc.bias", 64), f32("head.weight", 64, 64), f32("odd.weight", 7, 70),
		f32("short.weight", 200, 30), half, ids,
		f32("attn.in_proj_weight", 96, 32), f32("attn.out_proj.weight", 32, 32), f32("wte.weight", 64, 64),
		f32("none.weight", 0, 64),
		f32("rnn.weight_ih_l0", 64, 64), f32("table", 64, 64), f32("norm.weight", 64))
	want := []struct{ scheme, rule, reason string }{
		{"int4 symmetric per_block 32", "global_config", "weight of a Linear"},
		{"", "", "bias"},
		{"", `module_name_configs "head"`, "the recipe keeps it"},
		{"", "global_config", "its 70 input channels cannot be cut into blocks of 32"},
		{"int4 symmetric per_block 32", "global_config", "weight of a Linear"},
		{"int4 symmetric per_block 32", "global_config", "weight of a Linear"},
		{"", "", "I64 values, not float weights"},
		{"int8 symmetric per_channel", `module_name_configs "attn"`, "weight of an attention (MultiheadAttention)"},
		{"int8 symmetric per_channel", `module_name_configs "attn"`, "weight of an attention (MultiheadAttention)"},
		{"", "", "embedding: coremltools keeps these"},
		{"", "", "empty"},
		{"", "", "recurrent layer: coremltools keeps these"},
		{"", "", "not the weight of a layer that coremltools quantizes"},
		{"", "", "one number per channel or fewer (norm, running mean)"},
	}
	p, err := plan.Build(s, r, recipe.Options{})
	if err != nil || p.Conflict != nil {
		t.Fatal(err, p.Conflict)
	}
	for i, e := range p.Entries {
		scheme := ""
		if e.Quantize {
			scheme = e.Scheme.String()
		}
		if scheme != want[i].scheme || e.Rule != want[i].rule || e.Reason.Text != want[i].reason {
			t.Errorf("%s: %q by %q because %q", e.Tensor.Name, scheme, e.Rule, e.Reason.Text)
		}
		if (e.Class.Name == "") != (e.ClassFrom == "") {
			t.Errorf("%s: type %q from %q", e.Tensor.Name, e.Class.Name, e.ClassFrom)
		}
	}
}

// words describes each entry: class, source, scheme or reason.
func words(p *plan.Plan) map[string]string {
	out := map[string]string{}
	for _, e := range p.Entries {
		out[e.Tensor.Name] = e.Class.Name + " " + string(e.ClassFrom) + ": " + e.Reason.Text
		if e.Quantize {
			out[e.Tensor.Name] = e.Class.Name + " " + string(e.ClassFrom) + ": " + e.Scheme.String()
		}
	}
	return out
}

func parse(t *testing.T, text string) *coremltools.Recipe {
	t.Helper()
	r, err := coremltools.Parse("c", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rules(t *testing.T, list ...string) []recipe.TypeRule {
	t.Helper()
	var out []recipe.TypeRule
	for _, text := range list {
		r, err := recipe.ParseType(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestTypesTheUserSets(t *testing.T) {
	s := state(
		f32("dec.0.weight", 8, 8, 4, 4), f32("dec.0.bias", 8), f32("dec.1.weight", 8, 8, 4, 4), f32("table.weight", 64, 64),
		f32("wte.weight", 64, 64),
		f32("attn.in_proj_weight", 96, 32), f32("attn.out_proj.weight", 32, 32), f32("skip.weight", 64, 64),
		f32("typed.weight", 64, 64), f32("cell.weight", 64, 64))
	s.Classes = map[string]string{"typed": "Embedding", "cell": "LSTMCell", "dec.1": "Conv2d"}
	p, err := plan.Build(s, parse(t, `{"module_type_configs":{"Linear":{"weight_dtype":"uint4"},`+
		`"ConvTranspose2d":{"weight_dtype":"int4"},"MultiheadAttention":{}}}`),
		recipe.Options{Types: rules(t, `dec\.0=ConvTranspose2d`, `(?!attn|dec|skip|typed|cell|wte).*=Embedding`, `wte=Linear`,
			`attn\.out_proj=Linear`, `skip=Module`)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"dec.0.weight":         "ConvTranspose2d user: int4 symmetric per_channel",
		"dec.0.bias":           " : bias",
		"dec.1.weight":         "Conv2d file: no rule of the recipe names it",
		"table.weight":         "Embedding user: embedding: coremltools keeps these",
		"wte.weight":           "Linear user: uint4 symmetric per_channel",
		"attn.in_proj_weight":  "MultiheadAttention inferred: int8 symmetric per_channel",
		"attn.out_proj.weight": "Linear user: uint4 symmetric per_channel",
		"skip.weight":          "Module user: its module type was set to Module, which is kept",
		"typed.weight":         "Embedding file: embedding: coremltools keeps these",
		"cell.weight":          "LSTMCell file: LSTMCell: coremltools keeps these",
	} {
		if got := words(p)[name]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// Anything that a module set to Module holds is kept.
	r, err := plan.Build(state(f32("rnn.weight_ih_l0", 8, 8), f32("rnn.bias_ih_l0", 8)), parse(t, `{}`),
		recipe.Options{Types: rules(t, `rnn=Module`)})
	if err != nil || words(r)["rnn.weight_ih_l0"] != "Module user: its module type was set to Module, which is kept" {
		t.Error(words(r), err)
	}
	// An attention that is none: its out_proj is a module of its own again.
	p, err = plan.Build(s, parse(t, `{"global_config":{}}`), recipe.Options{Types: rules(t, `attn=Module`)})
	if err != nil {
		t.Fatal(err)
	}
	if w := words(p); w["attn.in_proj_weight"] != "Module user: its module type was set to Module, which is kept" ||
		w["attn.out_proj.weight"] != "Linear inferred: int8 symmetric per_channel" {
		t.Errorf("%q, %q", w["attn.in_proj_weight"], w["attn.out_proj.weight"])
	}
}

func TestTypesThatCannotBe(t *testing.T) {
	s := state(f32("a.weight", 8, 8), f32("a.bias", 8))
	for text, says := range map[string]string{
		"a=Conv2d":      `tensor "a.weight": its type was set to Conv2d, whose weight has 4 axes; this one has 2`,
		"b=Linear":      "is set for no module that has a weight",
		`a.bias=Linear`: "is set for no module",
	} {
		_, err := plan.Build(s, parse(t, `{}`), recipe.Options{Types: rules(t, text)})
		if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, says := range map[string]string{"a": "has no =", "a=Linaer": "there is no module type",
		"(=Linear": "is not a pattern"} {
		if _, err := recipe.ParseType(text); fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := plan.Build(state(f32("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!.weight", 8, 8)), parse(t, `{}`),
		recipe.Options{Types: rules(t, "(a+)+=Linear")}); err == nil || !strings.Contains(err.Error(), "takes too long") {
		t.Errorf("error %v", err)
	}
}

func TestEmbeddingsWhenAsked(t *testing.T) {
	s := state(f32("wte.weight", 100, 64), f32("fc.weight", 64, 64))
	p, err := plan.Build(s, parse(t, `{"global_config":{"weight_dtype":"int4"},`+
		`"module_type_configs":{"Embedding":{"weight_dtype":"int8"}}}`), recipe.Options{Embeddings: true})
	if err != nil {
		t.Fatal(err)
	}
	if w := words(p); w["wte.weight"] != "Embedding inferred: int8 symmetric per_channel" ||
		w["fc.weight"] != "Linear inferred: int4 symmetric per_channel" {
		t.Error(w)
	}
}

// What coremltools skips and Nibble does not, and the option that makes them agree.
func TestBeyondCoremltools(t *testing.T) {
	s := state(f32("short.weight", 256, 16), f32("up.weight", 64, 16, 2, 2), f32("up.bias", 16), f32("fine.weight", 8, 64))
	r := parse(t, `{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":32}}`)
	for _, strict := range []bool{false, true} {
		p, err := plan.Build(s, r, recipe.Options{CoremltoolsSkips: strict})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"a block of 32 is not smaller than its 16 input channels",
			"a block of 32 is not smaller than its 16 input channels", "", ""} {
			e := p.Entries[i]
			switch {
			case i == 2:
			case strict && (e.Quantize != (want == "") || !strings.Contains(e.Reason.Text, want)), !strict &&
				(!e.Quantize || e.Beyond.Text != want):
				t.Errorf("strict %v: %s: %v, %q, %q", strict, e.Tensor.Name, e.Quantize, e.Reason.Text, e.Beyond.Text)
			}
		}
	}
}

func TestTiedWeights(t *testing.T) {
	file := &tensor.File{Name: "m.pt"}
	tie := func(names ...string) *tensor.StateDict {
		var list []tensor.Tensor
		for _, n := range names {
			x := f32(n, 64, 64)
			if strings.HasPrefix(names[1], "deconv") {
				x = f32(n, 64, 64, 1)
			}
			x.Storage = tensor.Storage{File: file, Start: 0, End: 64 * 64 * 4}
			list = append(list, x)
		}
		return state(list...)
	}
	global := `{"global_config":{"weight_dtype":"int4"}}`
	for _, c := range []struct {
		state  *tensor.StateDict
		config string
		o      recipe.Options
		says   string // "" when they agree
	}{
		{tie("a.weight", "b.weight"), global, recipe.Options{}, ""},
		{tie("a.weight", "b.weight"), `{"global_config":{"weight_dtype":"int4"},` +
			`"module_name_configs":{"b":{"weight_dtype":"int8"}}}`, recipe.Options{},
			`m.pt: tensor "b.weight": it is one weight with "a.weight" (tied), but b.weight becomes int8 symmetric ` +
				`per_channel by module_name_configs "b" and a.weight becomes int4`},
		{tie("a.weight", "b.weight"), `{"global_config":{"weight_dtype":"int4"},"module_name_configs":{"b":null}}`,
			recipe.Options{}, "b.weight is kept (the recipe keeps it)"},
		{tie("a.weight", "b.weight"), `{"module_name_configs":{"a|b":null}}`, recipe.Options{}, ""},
		// the same scheme on other axes
		{tie("a.weight", "deconv.weight"), global, recipe.Options{Types: rules(t, "deconv=ConvTranspose1d")},
			"a.weight becomes int4"},
		{tie("wte.weight", "lm_head.weight"), global, recipe.Options{AllowNone: true}, ""}, // both are kept
		{tie("wte.weight", "lm_head.weight"), `{"global_config":{},` +
			`"module_name_configs":{"lm_head":{"weight_dtype":"int4"}}}`, recipe.Options{}, "by module_name_configs"},
		{tie("wte.weight", "lm_head.weight"), global, recipe.Options{Embeddings: true}, ""},
		{tie("wte.weight", "lm_head.weight"), global, recipe.Options{Keep: map[string]string{"lm_head.weight": "x"}}, ""},
	} {
		p, err := plan.Build(c.state, parse(t, c.config), c.o)
		if err != nil {
			t.Fatal(err)
		}
		if c.says == "" && p.Conflict != nil || c.says != "" &&
			(fault.KindOf(p.Conflict) != fault.Unsupported || !strings.Contains(p.Conflict.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.config, p.Conflict, c.says)
		}
	}
}
