package recipe

import (
	"strings"
	"testing"

	"nibble/quant/fault"
)

func TestRulesInOrder(t *testing.T) {
	r, err := Parse("c", []byte(`{
		"global_config": {"weight_dtype": "int4"},
		"module_type_configs": {"Conv2d": null, "Linear": {"weight_dtype": "uint8"}},
		"module_name_configs": {"head|neck": null, "he.*": {"weight_dtype": "int8", "granularity": "per_tensor"}, "f": {"weight_dtype": "float32"}}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ module, class, scheme, rule string }{
		{"head", "Linear", "keep", `module_name_configs "head|neck"`},
		{"head2", "Linear", "int8 symmetric per_tensor", `module_name_configs "he.*"`},
		{"ahead", "Linear", "uint8 symmetric per_channel", `module_type_configs "Linear"`},
		{"c", "Conv2d", "keep", `module_type_configs "Conv2d"`},
		{"c", "Conv1d", "int4 symmetric per_channel", "global_config"},
		{"f", "Conv1d", "keep", `module_name_configs "f"`},
	} {
		e, rule, ok := r.Rule(c.module, c.class)
		got := "keep"
		if e.Scheme != nil {
			got = e.Scheme.String()
		}
		if !ok || got != c.scheme || rule != c.rule {
			t.Errorf("%s %s: %s by %s, %v", c.module, c.class, got, rule, ok)
		}
	}
}

func TestEmptyConfigMeansCoremltoolsDefault(t *testing.T) {
	for _, text := range []string{`{}`, `{"global_config": null}`, `{"module_name_configs": {}}`} {
		r, err := Parse("c", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		e, _, ok := r.Rule("any", "Linear")
		if !ok || e.Scheme == nil || e.Scheme.String() != "int8 symmetric per_channel" {
			t.Errorf("%s gives %+v", text, e)
		}
	}
	r, err := Parse("c", []byte(`{"module_name_configs": {"a": null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := r.Rule("b", "Linear"); ok {
		t.Error("a module that no rule names has one")
	}
}

// refused rows are what a config may not say; says is a part of the message.
var refused = []struct {
	text string
	kind fault.Kind
	says string
}{
	{` `, fault.Format, "empty"},
	{`global_config:`, fault.Format, "YAML"},
	{`{"global_config":`, fault.Format, "not valid JSON"},
	{`{"global_config":{}} x`, fault.Format, "not valid JSON"},
	{`{} {}`, fault.Format, "goes on"},
	{`{"global_config":{},"global_config":{}}`, fault.Format, "duplicate"},
	{`[]`, fault.Unsupported, "the config is not an object"},
	{`{"global_configs":{}}`, fault.Unsupported, `did you mean "global_config"`},
	{`{"global_config":{"dtype":"int4"}}`, fault.Unsupported, `unknown key "dtype"`},
	{`{"global_config":{"weight_n_bits":4}}`, fault.Unsupported, "weight_n_bits"},
	{`{"global_config":{"weight_dtype":"INT4"}}`, fault.Unsupported, `did you mean "int4"`},
	{`{"global_config":{"weight_dtype":"int3"}}`, fault.Unsupported, "Accepted: int4, uint4, int8, uint8, float32"},
	{`{"global_config":{"weight_dtype":4}}`, fault.Unsupported, "weight_dtype is 4"},
	{`{"global_config":{"weight_dtype":"fp8_e4m3"}}`, fault.Unsupported, "fp8_e4m3"},
	{`{"global_config":{"granularity":"per_row"}}`, fault.Unsupported, "per_channel"},
	{`{"global_config":{"quantization_scheme":"asymmetric"}}`, fault.Unsupported, "affine"},
	{`{"global_config":{"granularity":"per_block"}}`, fault.Unsupported, "block_size is missing"},
	{`{"global_config":{"granularity":"per_tensor","block_size":4}}`, fault.Unsupported, "goes with per_block"},
	{`{"global_config":{"granularity":"per_block","block_size":"32"}}`, fault.Unsupported, `"32"`},
	{`{"global_config":{"granularity":"per_block","block_size":32.0}}`, fault.Unsupported, "32.0"},
	{`{"global_config":{"granularity":"per_block","block_size":[]}}`, fault.Unsupported, "empty list"},
	{`{"global_config":{"granularity":"per_block","block_size":[1,"2"]}}`, fault.Unsupported, `"2"`},
	{`{"global_config":{"granularity":"per_block","block_size":99999999999999999999}}`, fault.Unsupported, "not an integer"},
	{`{"global_config":{"quantization_scheme":"affine"},"module_name_configs":{"a":{"weight_dtype":"int8"}}}`, fault.Unsupported, "in one place"},
	{`{"module_type_configs":{"Linaer":{}}}`, fault.Unsupported, "Linaer"},
	{`{"module_type_configs":{"Linear":{"bits":4}}}`, fault.Unsupported, `unknown key "bits"`},
	{`{"module_name_configs":{"(":{}}}`, fault.Unsupported, "pattern"},
	{`{"module_name_configs":{"(?=a)":{}}}`, fault.Unsupported, "look-around"},
	{`{"module_name_configs":{"a)|(b":{}}}`, fault.Unsupported, "pattern"},
	{`{"module_name_configs":{"a{,3}":{}}}`, fault.Unsupported, "in Python"},
	{`{"module_name_configs":{"a":5}}`, fault.Unsupported, "not an object"},
	{`{"global_config":nu`, fault.Format, "not valid JSON"}, // found by fuzzing
	{`{"global_config":{"block_size":nul}}`, fault.Format, "not valid JSON"},
	{strings.Repeat("[", 100000), fault.Unsupported, "not an object"},
}

func TestRefusals(t *testing.T) {
	for _, c := range refused {
		_, err := Parse("c.json", []byte(c.text))
		if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80s: %v", c.text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Default)
	for _, c := range refused {
		if len(c.text) < 1000 {
			f.Add(c.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse("c", []byte(text))
		if err != nil {
			if fault.KindOf(err) == "" {
				t.Errorf("error is no fault: %v", err)
			}
			return
		}
		// What was accepted is carried in outputs and must be accepted again.
		if _, err := Parse("c", r.Source); err != nil {
			t.Errorf("%s: %v", r.Source, err)
		}
	})
}
