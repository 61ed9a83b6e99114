package huggingface_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/format/huggingface"
	"nibble/quant/testkit"
)

func read(t *testing.T, text string) *huggingface.Config {
	t.Helper()
	c, err := huggingface.Read(testkit.File("config.json", []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is changed is changed in its place, what is new comes last, and the rest stays as it is written.
func TestWith(t *testing.T) {
	c := read(t, `{"b": 1.50, "quantization_config": {"quant_method": "gptq"}, "a": [1, {"<x>": "é"}], "z": null}`)
	text, err := c.With(huggingface.Member{Key: "quantization_config"}, huggingface.Member{Key: "new", Value: []int{1}},
		huggingface.Member{Key: "b", Value: "<&>"}, huggingface.Member{Key: "none"})
	if err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"b\": \"<&>\",\n  \"a\": [1, {\"<x>\": \"é\"}],\n  \"z\": null,\n  \"new\": [\n    1\n  ]\n}\n"
	if string(text) != want {
		t.Errorf("%s", text)
	}
	if empty, err := read(t, `{}`).With(); err != nil || string(empty) != "{}\n" {
		t.Errorf("%q, %v", empty, err)
	}
}

// A config is gone by as far as it says something of the right type.
func TestRead(t *testing.T) {
	c := read(t, `{"architectures": ["BertForMaskedLM"], "model_type": "bert", "tie_word_embeddings": true,
		"vocab_size": 9}`)
	if c.Architecture() != "BertForMaskedLM" || c.Head() != "cls.predictions.decoder" || !*c.Tied || c.VocabSize != 9 {
		t.Errorf("%+v", c)
	}
	c = read(t, `{"architectures": "X", "model_type": [], "tie_word_embeddings": 1, "vocab_size": "many"}`)
	if c.Architecture() != "" || c.Head() != "" || c.Tied != nil || c.VocabSize != 0 {
		t.Errorf("%+v", c)
	}
	for head, text := range map[string]string{"": `"LlamaModel"`, "lm_head": `"LlamaForCausalLM"`} {
		if got := read(t, `{"architectures": [`+text+`]}`).Head(); got != head {
			t.Errorf("the head of %s is %q", text, got)
		}
	}
}

// What is no config is refused, and says where.
func TestBroken(t *testing.T) {
	for _, text := range []string{"", "[]", `{"a": 1`, `{"a": 1} x`, `{"a": 1, "a": 2}`, `{"a": Nan}`, `{NaN: 1}`,
		"{\"a\": \"\xff\"}",
		`{"a": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, strings.Repeat(" ", 5<<20)} {
		_, err := huggingface.Read(testkit.File("config.json", []byte(text)))
		if fault.KindOf(err) != fault.Format {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

// NaN and Infinity are let pass as Python writes them, in values alone.
func TestNumbersOfPython(t *testing.T) {
	c := read(t, `{"model_type": "mamba2", "limit": [-Infinity, Infinity], "x": NaN, "say \"NaN": "\"Infinity\\"}`)
	got, err := c.With()
	want := `{
  "model_type": "mamba2",
  "limit": [-Infinity, Infinity],
  "x": NaN,
  "say \"NaN": "\"Infinity\\"
}
`
	if err != nil || string(got) != want || c.ModelType != "mamba2" {
		t.Errorf("%s, %v", got, err)
	}
}

// What the codes of a module are: by its name, by a pattern, by its class.
func TestCodesOf(t *testing.T) {
	group := func(targets string, more string) string {
		return `{"targets": ` + targets + `, "weights": {"num_bits": 4, "type": "int", "symmetric": true, ` + more + `}}`
	}
	c := read(t, `{"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized",
		"config_groups": {
			"a": `+group(`["Linear"]`, `"strategy": "group", "group_size": 32`)+`,
			"b": `+group(`["re:.*\\.down"]`, `"strategy": "channel"`)+`,
			"c": `+group(`["l.0.down"]`, `"strategy": "group", "group_size": 128`)+`,
			"z": `+group(`["re:l\\.7"]`, `"strategy": "group", "group_size": 64, "actorder": "static"`)+`,
			"y": `+group(`["re:l\\.7"]`, `"strategy": "group", "group_size": 16`)+`,
			"x": 3,
			"d": `+group(`["l.9"]`, `"strategy": "group", "group_size": 128, "actorder": "group"`)+`}}}`)
	for module, group := range map[string]int64{"l.0.up": 32, "l.1.down_proj": 0, "l.0.down": 128, "l.7": 64} {
		if k, ok := c.CodesOf(module); !ok || k.Group != group || k.Bits != 4 || !k.Symmetric {
			t.Errorf("%s: %+v, %v", module, k, ok)
		}
	}
	if k, ok := c.CodesOf("l.9"); ok {
		t.Errorf("an order of inputs that the file gives is %+v", k)
	}
	m := read(t, `{"quantization": {"group_size": 64, "bits": 4, "l.0": {"group_size": 32, "bits": 8}, "l.1": false}}`)
	for module, bits := range map[string]int{"l.0": 8, "l.1": 4, "l.2": 4} {
		if k, ok := m.CodesOf(module); !ok || k.Bits != bits {
			t.Errorf("%s: %+v, %v", module, k, ok)
		}
	}
}

// A config that nests deep is written in no more bytes than it has. One with many patterns, or with slow ones, says
// little, but soon.
func TestHostileConfigs(t *testing.T) {
	deep := `{"x": ` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`
	if text, err := read(t, deep).With(huggingface.Member{Key: "y", Value: 1}); err != nil || len(text) > len(deep)+20 {
		t.Errorf("%d bytes became %d, %v", len(deep), len(text), err)
	}
	config := func(targets []string) *huggingface.Config {
		text, err := json.Marshal(targets)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, `{"quantization_config": {"format": "pack-quantized", "config_groups": {"a": {"targets": `+
			string(text)+`, "weights": {"num_bits": 4, "strategy": "channel"}}}}}`)
	}
	if c := config(slices.Repeat([]string{"re:a"}, 100_000)); c.BeyondCodes() != "targets" {
		t.Error("100,000 patterns are asked")
	}
	c := config(append(slices.Repeat([]string{"re:(a+)+b"}, 50), "Linear"))
	for i := range 20_000 {
		if k, ok := c.CodesOf(strings.Repeat("a", 40) + strconv.Itoa(i)); ok {
			t.Fatalf("what could not be matched has %+v", k)
		}
	}
	for key, value := range map[string]string{"transform_config": `{"a": 1}`, "kv_cache_scheme": `{"num_bits": 8}`,
		"activations": `0, "config_groups": {"a": {"targets": [], "weights": {}, "input_activations": {"num_bits": 8}}}`} {
		c := read(t, `{"quantization_config": {"format": "pack-quantized", "`+key+`": `+value+`}}`)
		if c.BeyondCodes() != key {
			t.Errorf("%s is not seen", key)
		}
	}
	c = read(t, `{"quantization_config": {"format": "pack-quantized", "transform_config": {}, "kv_cache_scheme": null}}`)
	if c.BeyondCodes() != "" {
		t.Errorf("nothing is %s", c.BeyondCodes())
	}
}

// FuzzConfig reads any text as a config. One that is accepted is the same when it is written without changes.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{`{}`, `{"architectures": ["A"], "vocab_size": 1e3, "quantization": {"bits": 4}}`,
		`{"quantization_config": {"format": "pack-quantized",
			"config_groups": {"g": {"targets": ["re:("], "weights": {}}}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := huggingface.Read(testkit.File("config.json", text))
		if err != nil {
			if fault.KindOf(err) == "" {
				t.Errorf("error is no fault: %v", err)
			}
			return
		}
		c.CodesOf("a.b")
		again, err := c.With()
		if err != nil || len(again) > 8*len(text) {
			t.Fatalf("%q became %q, %v", text, again, err)
		}
		var before, after any
		if json.Unmarshal(text, &before) != nil { // it has numbers of Python
			if twice, err := read(t, string(again)).With(); err != nil || !bytes.Equal(twice, again) {
				t.Fatalf("%q became %q, and that %q, %v", text, again, twice, err)
			}
			return
		}
		if json.Unmarshal(again, &after) != nil {
			t.Fatalf("%q became %q", text, again)
		}
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		if string(a) != string(b) {
			t.Errorf("%q became %q", text, again)
		}
	})
}
