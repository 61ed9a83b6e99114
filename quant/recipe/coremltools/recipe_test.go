package coremltools

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"nibble/quant/fault"
)

func TestRulesInOrder(t *testing.T) {
	r, err := Parse("c", []byte(`{
		"global_config": {"weight_dtype": "int4"},
		"module_type_configs": {"Conv2d": null, "Linear": {"weight_dtype": "uint8"}},
		"module_name_configs": {
			"head|neck": null, "he.*": {"weight_dtype": "int8", "granularity": "per_tensor"}, "f": {"weight_dtype": "float32"}
		}
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
		e, rule, err := r.Rule(c.module, c.class)
		got := "keep"
		if e.Scheme != nil {
			got = e.Scheme.String()
		}
		if err != nil || got != c.scheme || rule != c.rule {
			t.Errorf("%s %s: %s by %s, %v", c.module, c.class, got, rule, err)
		}
	}
}

func TestEmptyConfigMeansCoremltoolsDefault(t *testing.T) {
	for _, text := range []string{`{}`, `{"global_config": null}`, `{"module_name_configs": {}}`} {
		r, err := Parse("c", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		e, rule, err := r.Rule("any", "Linear")
		if err != nil || rule != "global_config" || e.Scheme == nil || e.Scheme.String() != "int8 symmetric per_channel" {
			t.Errorf("%s gives %+v", text, e)
		}
	}
	r, err := Parse("c", []byte(`{"module_name_configs": {"a": null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, rule, err := r.Rule("b", "Linear"); rule != "" || err != nil {
		t.Error("a module that no rule names has one")
	}
}

// One config in the forms that users write it in.
func TestFormsOfOneConfig(t *testing.T) {
	want := `{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":32},` +
		`"module_type_configs":{"Conv2d":null},` +
		`"module_name_configs":{".*\\.0":{"weight_dtype":"int8"},"head":null,"f":{"weight_dtype":"uint4",` +
		`"granularity":"per_block","block_size":[1,16]}}}`
	for name, text := range map[string]string{
		"c.json": want,
		"":       want,
		"c.yaml": `
# a comment
global_config:
  weight_dtype: int4
  granularity: "per_block"
  block_size: 32
module_type_configs:
  Conv2d: null
module_name_configs:
  .*\.0: {weight_dtype: int8}
  'head': ~
  f:
    weight_dtype: uint4
    granularity: per_block
    block_size: [1, 16]
`,
		"pasted": `
global_config: &four {weight_dtype: int4, granularity: per_block, block_size: 32}
module_type_configs: {Conv2d: }
module_name_configs:
  ".*\\.0": {weight_dtype: int8}
  head: null
  f:
    <<: *four
    weight_dtype: uint4
    block_size: [1, 16]
`,
		"x.yml": want,
		"flow": `{global_config: {weight_dtype: int4, granularity: per_block, block_size: 32}, module_type_configs: ` +
			`{Conv2d: null}, module_name_configs: {'.*\.0': {weight_dtype: int8}, head: null, f: {weight_dtype: uint4, ` +
			`granularity: per_block, block_size: [1, 16]}}}`,
	} {
		r, err := Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(r.Source) != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, r.Source, want)
		}
		for form, written := range map[string][]byte{"w.json": r.JSON(), "w.yaml": r.YAML()} {
			again, err := Parse(form, written)
			if err != nil {
				t.Errorf("%s: %v in\n%s", form, err, written)
			} else if string(again.JSON()) != string(r.JSON()) {
				t.Errorf("%s reads back as\n%s", written, again.JSON())
			}
		}
	}
}

// refused rows are what a config may not say; says is a part of the message.
var refused = []struct {
	text string
	kind fault.Kind
	says string
}{
	{` `, fault.Format, "empty"},
	{"global_config: [", fault.Format, "not valid YAML"},
	{"# nothing", fault.Format, "empty"},
	{"just words", fault.Unsupported, "the config is text, not an object"},
	{"global_config: {}\n---\nglobal_config: {}", fault.Format, "second YAML document"},
	{"global_config: {}\nglobal_config: {}", fault.Format, `"global_config" is there twice`},
	{"module_name_configs: {a: null, a: null}", fault.Format, `"a" is there twice`},
	{"module_name_configs: {0: null}", fault.Unsupported, "the key 0 is not text; put it in quotes"},
	{"module_name_configs: {on: null}", fault.Unsupported, "the key on is not text"},
	{"module_name_configs: {[a]: null}", fault.Unsupported, "not text"},
	{"global_config: {weight_dtype: int4, granularity: per_block, block_size: 0x20}", fault.Unsupported,
		"block_size is 0x20, not an integer"},
	{"global_config: {weight_dtype: int4, granularity: per_block, block_size: 010}", fault.Unsupported,
		"block_size is 010"},
	{"global_config: {weight_dtype: int4, granularity: per_block, block_size: '32'}", fault.Unsupported,
		`block_size is "32"`},
	{"global_config: {weight_dtype: int4, granularity: per_block, block_size: !!python/tuple [1, 32]}", fault.Unsupported,
		"the tag"},
	{"global_config: {weight_dtype: yes}", fault.Unsupported, "weight_dtype is yes"},
	{"global_config: int4", fault.Unsupported, "global_config is text, not an object"},
	{"a: &a [*a]", fault.Unsupported, "holds itself"},
	{"global_config: {<<: 5}", fault.Unsupported, "merge key"},
	{"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d " +
		"[*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]", "", ""},
	{`{"global_config":`, fault.Format, "not valid JSON"},
	{`{"global_config":{}} x`, fault.Format, "not valid JSON"},
	{`{} {}`, fault.Format, "goes on"},
	{`{"global_config":{},"global_config":{}}`, fault.Format, "duplicate"},
	{`[]`, fault.Unsupported, "the config is a list, not an object"},
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
	{`{"global_config":{"granularity":"per_block","block_size":99999999999999999999}}`, fault.Unsupported,
		"not an integer"},
	{`{"global_config":{"quantization_scheme":"affine"},"module_name_configs":{"a":{"weight_dtype":"int8"}}}`,
		fault.Unsupported, "in one place"},
	{`{"module_type_configs":{"Linaer":{}}}`, fault.Unsupported, "Linaer"},
	{`{"module_type_configs":{"Linear":{"bits":4}}}`, fault.Unsupported, `unknown key "bits"`},
	{`{"module_name_configs":{"(":{}}}`, fault.Unsupported, "pattern"},
	{`{"module_name_configs":{"a**":{}}}`, fault.Unsupported, "multiple repeat"},
	{`{"module_type_configs":{"torch.nn.Linear":{}}}`, fault.Unsupported, `did you mean "Linear"`},
	{`{"module_type_configs":{"LSTM":{}}}`, fault.Unsupported, "accepted: Linear"},
	{`{"module_type_configs":[]}`, fault.Unsupported, "module_type_configs is a list"},
	{`{"global_config":{"weight_dtype":"fp8_e5m2"}}`, fault.Unsupported, "no arithmetic"},
	{`{"global_config":{"weight_dtype":"float16"}}`, fault.Unsupported, "float32"},
	{`{"module_name_configs":{"a)|(b":{}}}`, fault.Unsupported, "pattern"},
	{`{"module_name_configs":{"a":5}}`, fault.Unsupported, "not an object"},
	{`{"global_config":nu`, fault.Format, "not valid JSON"}, // found by fuzzing
	{`{"global_config":{"block_size":nul}}`, fault.Unsupported, `is "nul"`},
	{strings.Repeat("[", 100000), fault.Format, "nests too deeply"},
	{strings.Repeat("{a: ", 9000), fault.Format, "not valid JSON"},
	{strings.Repeat("- ", 9000), fault.Unsupported, "nests too deeply"},
	{strings.Repeat(`{"a":`, 9000), fault.Format, "nests too deeply"},
}

func TestRefusals(t *testing.T) {
	for _, c := range refused {
		_, err := Parse("c", []byte(c.text))
		if err != nil && c.kind == "" {
			c.kind = fault.KindOf(err) // of either kind
		}
		if c.kind == "" || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80s: %v", c.text, err)
		}
	}
}

// What coremltools itself said to some configs (testkit/oracle/configs.py): what it
// refuses we refuse, naming a key or a value; what it takes in silence and then ignores
// or gets wrong we refuse, too.
func TestCoremltoolsOwnAnswers(t *testing.T) {
	content, err := os.ReadFile("../../testkit/vectors/ptq_configs.json")
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Config json.RawMessage
		Says   string
	}
	var v struct {
		Refused, Accepted []row
		Only              []row `json:"only_coremltools"`
	}
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Refused) < 35 || len(v.Accepted) < 10 || len(v.Only) < 5 {
		t.Fatalf("%d, %d, %d rows", len(v.Refused), len(v.Accepted), len(v.Only))
	}
	for _, x := range append(v.Refused, v.Only...) {
		if _, err := Parse("c.json", x.Config); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v; coremltools: %q", x.Config, err, x.Says)
		}
	}
	for _, x := range v.Accepted {
		if _, err := Parse("c.json", x.Config); err != nil || x.Says != "" {
			t.Errorf("%s: %v; coremltools: %q", x.Config, err, x.Says)
		}
	}
}

// Edits by hand win over every rule, in the recipe's own range.
func TestEdited(t *testing.T) {
	r, err := Parse("c", []byte(`{"global_config":{"weight_dtype":"int4","quantization_scheme":"affine"},`+
		`"module_name_configs":{"a.*":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	r, err = r.Edited([]Edit{{"a.b", &Global{DType: "int8", GroupSize: "16"}}, {"c", nil}},
		Global{Granularity: "per_block"})
	if err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]string{"a.b": "int8 affine per_block 16", "axb": "keep", "c": "keep",
		"d": "int4 affine per_channel"} {
		e, _, err := r.Rule(module, "Linear")
		got := "keep"
		if e.Scheme != nil {
			got = e.Scheme.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", module, got, want, err)
		}
	}
	if again, err := Parse("again.json", r.Source); err != nil || string(again.YAML()) != string(r.YAML()) {
		t.Errorf("%v in %s", err, r.Source)
	}
	for _, bad := range []Global{{DType: "int5"}, {GroupSize: "{"}, {Granularity: "5"}} {
		if _, err := r.Edited([]Edit{{"a", &bad}}, Global{}); fault.KindOf(err) == "" {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// A name that says JSON is held to it.
func TestNameDecides(t *testing.T) {
	if _, err := Parse("c.json", []byte("global_config: {}")); fault.KindOf(err) != fault.Format ||
		!strings.Contains(err.Error(), "not valid JSON") {
		t.Errorf("YAML in c.json: %v", err)
	}
	if _, err := Parse("c.yaml", []byte(strings.Repeat("{a: ", 9000))); fault.KindOf(err) != fault.Unsupported ||
		!strings.Contains(err.Error(), "nests too deeply") {
		t.Errorf("deep YAML in c.yaml: %v", err)
	}
	if _, err := Parse("c.yaml", []byte("{global_config: }")); err != nil {
		t.Errorf("YAML in c.yaml: %v", err)
	}
}

func TestPatternThatTakesTooLong(t *testing.T) {
	r, err := Parse("c", []byte(`{"module_name_configs":{"(a+)+":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Rule(strings.Repeat("a", 200)+"!", "Linear"); fault.KindOf(err) != fault.Unsupported ||
		!strings.Contains(err.Error(), "takes too long") {
		t.Errorf("error %v", err)
	}
}

// A recipe that keeps all says so in what is written: null alone would mean the default
// (found by fuzzing).
func TestKeepingAllIsWritten(t *testing.T) {
	r, err := Parse("c", []byte(`{"global_config":{"weight_dtype":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"c.json": r.JSON(), "c.yaml": r.YAML(), "d.json": r.Source} {
		back, err := Parse(name, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if e, rule, err := back.Rule("a.b", "Linear"); e.Scheme != nil || rule == "" || err != nil {
			t.Errorf("%s gives %v by %q, %v", text, e.Scheme, rule, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Default)
	f.Add(`{"global_config": {"weight_dtype": null}}`)
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
		for name, again := range map[string][]byte{"c.json": r.Source, "d.json": r.JSON(), "c.yaml": r.YAML()} {
			back, err := Parse(name, again)
			if err != nil {
				t.Errorf("%s of %q: %s: %v", name, text, again, err)
			} else if string(back.JSON()) != string(r.JSON()) {
				t.Errorf("%s of %q reads back as %s", name, text, back.JSON())
			}
		}
	})
}
