package huggingface_test

import (
	"encoding/json"
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
	want := "{\n  \"b\": \"<&>\",\n  \"a\": [\n    1,\n    {\n      \"<x>\": \"é\"\n    }\n  ],\n  \"z\": null,\n" +
		"  \"new\": [\n    1\n  ]\n}\n"
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
	for _, text := range []string{"", "[]", `{"a": 1`, `{"a": 1} x`, `{"a": 1, "a": 2}`, `{"a": NaN}`, "{\"a\": \"\xff\"}",
		`{"a": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, strings.Repeat(" ", 5<<20)} {
		_, err := huggingface.Read(testkit.File("config.json", []byte(text)))
		if fault.KindOf(err) != fault.Format {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

// Infinity is let pass as Python writes it, in values alone.
func TestInfinity(t *testing.T) {
	c := read(t, `{"model_type": "mamba2", "time_step_limit": [-Infinity, Infinity], "say \"Infinity": "\"Infinity\\"}`)
	got, err := c.With()
	want := `{
  "model_type": "mamba2",
  "time_step_limit": [
    -1e999,
    1e999
  ],
  "say \"Infinity": "\"Infinity\\"
}
`
	if err != nil || string(got) != want {
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
		var before, after any
		if err != nil || json.Unmarshal(text, &before) != nil || json.Unmarshal(again, &after) != nil {
			t.Fatalf("%q became %q, %v", text, again, err)
		}
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		if string(a) != string(b) {
			t.Errorf("%q became %q", text, again)
		}
	})
}
