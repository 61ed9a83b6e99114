package coremltools

import (
	"strings"
	"testing"
)

// Merge keys in PyYAML's order: what they bring in comes first, of a list the last
// source first, and later values win (found by comparing with PyYAML).
func TestMergeKeys(t *testing.T) {
	for text, want := range map[string]string{
		"module_name_configs: {x.y: {weight_dtype: int4}, <<: {x.*: " +
			"{weight_dtype: int8}}}": `x.* int8, x.y int4`,
		"module_name_configs: {<<: [{x.y: {weight_dtype: int4}}, {x.*: " +
			"{weight_dtype: int8}}]}": `x.* int8, x.y int4`,
		"module_name_configs: {<<: {a: {weight_dtype: int4}, b: null}, <<: {a: " +
			"{weight_dtype: uint4}}}": `a uint4, b keep`,
		"module_name_configs: {<<: [{a: {weight_dtype: int4}}, {a: {weight_dtype: uint8}, b: null}], b: " +
			"{weight_dtype: uint4}}": `a int4, b uint4`,
		"module_name_configs: {'<<': null}": `<< keep`,
	} {
		r, err := Parse("c.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, n := range r.Names {
			word := "keep"
			if n.Entry.Scheme != nil {
				word = string(n.Entry.Scheme.WeightDType)
			}
			got = append(got, n.Pattern+" "+word)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

// Keys that YAML would fold, refuse or not take for keys survive the round trip.
func TestYAMLOfOddNames(t *testing.T) {
	var rules []NameRule
	for _, name := range []string{
		"\u0085", "\u2028x", "\u007f", "\u009f", "\ufeff", "名", strings.Repeat("long", 400), "no", "null", "1", "a: b", "# c",
		"'\"", " ",
	} {
		rules = append(rules, NewNameRule(name, Entry{}), NewNameRule(name+"!", Entry{Scheme: defaultScheme()}))
	}
	r := (&Recipe{}).With(rules)
	again, err := Parse("c.yaml", r.YAML())
	if err != nil {
		t.Fatalf("%v in\n%s", err, r.YAML())
	}
	if string(again.JSON()) != string(r.JSON()) {
		t.Errorf("it reads back as\n%s", again.JSON())
	}
	for _, c := range string(r.YAML()) {
		if c >= 0x7f && c <= 0xa0 || c == 0x2028 || c == 0xfeff {
			t.Errorf("the YAML holds %U", c)
		}
	}
}
