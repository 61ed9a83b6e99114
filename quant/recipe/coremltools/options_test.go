package coremltools

import (
	"reflect"
	"strings"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/recipe"
)

// What stands under the key nibble are options, and comes back from an exported config in either form; without that
// key it is a config of coremltools.
func TestOptionsInAConfig(t *testing.T) {
	r, err := Parse("c.yaml", []byte("global_config:\n  weight_dtype: int4\nnibble:\n  include_embeddings: true\n  "+
		"part: [ema]\n  module_type: ['up=ConvTranspose2d']\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := r.Options()
	if !o.Embeddings || o.KeepUnfit || !reflect.DeepEqual(o.Parts, []string{"ema"}) || len(o.Types) != 1 ||
		o.Types[0].String() != "up=ConvTranspose2d" {
		t.Fatalf("%+v", o)
	}
	for _, text := range [][]byte{r.JSON(), r.YAML()} {
		again, err := Parse("", text)
		if err != nil || !reflect.DeepEqual(again.Options().WithoutNulls(), o.WithoutNulls()) {
			t.Errorf("%s comes back as %+v, %v", text, again, err)
		}
	}
	plain := r.With(nil)
	if strings.Contains(string(plain.Compact()), "nibble") {
		t.Errorf("outputs carry %s", plain.Compact())
	}
}

// Options that are none are refused, with their line.
func TestOptionsThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		`{"nibble": {"include_embedings": true}}`:   `did you mean "include_embeddings"?`,
		`{"nibble": {"keep_unfit": 1}}`:             `nibble.keep_unfit is 1, not true or false`,
		`{"nibble": {"keep_unfit": null}}`:          `nibble.keep_unfit is null, not true or false`,
		`{"nibble": {"part": "ema"}}`:               `nibble.part is "ema", not a list of texts`,
		`{"nibble": {"module_type": ["a=Linaer"]}}`: `there is no module type "Linaer"`,
		`{"nibble": []}`:                            `nibble is a list, not an object`,
	} {
		_, err := Parse("c", []byte(text))
		if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// An option that a config asks for and another that a flag does are both asked for, each once.
func TestOptionsOfBoth(t *testing.T) {
	rule, err := recipe.ParseType("a=Linear")
	if err != nil {
		t.Fatal(err)
	}
	a := recipe.Options{Types: []recipe.TypeRule{rule}, KeepUnfit: true}
	both := a.With(recipe.Options{Types: []recipe.TypeRule{rule}, Embeddings: true, Parts: []string{"x"},
		Keep: map[string]string{"a": "nan"}})
	if len(both.Types) != 1 || !both.KeepUnfit || !both.Embeddings || len(both.Parts) != 1 || both.Keep["a"] != "nan" ||
		!a.With(recipe.Options{}).KeepUnfit {
		t.Errorf("%+v", both)
	}
	if both.IsZero() || !(recipe.Options{Keep: map[string]string{"a": "nan"}}).IsZero() {
		t.Error("what is asked for is taken for nothing, or the other way round")
	}
}

// The shortcuts without a word are the default.
func TestGlobal(t *testing.T) {
	if got := string((Global{}).Config()); got != Default {
		t.Errorf("the default is %s", got)
	}
	got := string((Global{DType: "uint8", Granularity: "per_channel", Scheme: "affine"}).Config())
	if got != `{"global_config":{"weight_dtype":"uint8","granularity":"per_channel","quantization_scheme":"affine"}}` {
		t.Error(got)
	}
}
