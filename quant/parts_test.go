package quant_test

import (
	"context"
	"io"
	"math"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/model"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/tile"
)

// Of a live model and its average, the one that the framework's own loader takes is read, and the other on demand.
func TestPartsOfCases(t *testing.T) {
	for name, want := range map[string]struct {
		parts string // names, with a star at those taken
		first string
		other string
	}{
		"f5tts_both.pt":           {"ema_model_state_dict* model_state_dict", "initted", "model_state_dict"},
		"timm_train.pth.tar":      {"state_dict state_dict_ema*", "fc.weight", "state_dict"},
		"model_and_model_ema.pth": {"model model_ema*", "fc.weight", "model"},
		"yolo_model_and_ema.pt":   {"model ema*", "model.0.weight", "model"},
		"rtdetr_only_ema.pth":     {"", "fc.weight", ""},
		"yolo_stripped.pt":        {"", "model.0.weight", ""},
		"unknown_ema.pt":          {"mine* ema_of_mine", "fc.weight", "ema_of_mine"},
		"callbacks.pt":            {"state_dict* callbacks.EMA.ema_weights", "fc.weight", "ema_weights"},
	} {
		c, err := opened(t, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := spelled(c); got != want.parts || c.State.Tensors[0].Name != want.first {
			t.Errorf("%s: %s, %s", name, got, c.State.Tensors[0].Name)
		}
		if want.other == "" {
			continue
		}
		other, err := opened(t, name, want.other)
		if err != nil || other.State.Tensors[0].Storage == c.State.Tensors[0].Storage || other.State.LeftOut == 0 {
			t.Errorf("%s: part %s: %v", name, want.other, err)
		}
		if _, err := opened(t, name, "none"); fault.CodeOf(err) != "no_part" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func spelled(c *model.Model) string {
	var names []string
	for _, p := range c.State.Parts {
		if p.Chosen {
			p.Name += "*"
		}
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

// Several parts are one model, under their names; a nested one is found by the end of its own.
func TestSeveralParts(t *testing.T) {
	c, err := opened(t, "kokoro_parts.pth", "bert", "decoder")
	if err != nil || len(c.State.Tensors) != 8 || c.State.Tensors[0].Name != "bert.module.fc.weight" ||
		c.State.Tensors[4].Name != "decoder.module.fc.weight" {
		t.Fatalf("%v, %+v", err, c)
	}
	c, err = opened(t, "styletts2_net_parts.pth", "decoder")
	if err != nil || len(c.State.Tensors) != 4 || c.State.Tensors[0].Name != "module.fc.weight" {
		t.Errorf("%v, %+v", err, c)
	}
	c, err = opened(t, "nested.pt", "models.1", "holder.shadow")
	if err != nil || len(c.State.Tensors) != 4 || c.State.Tensors[0].Name != "trainer.models.1.d.weight" {
		t.Errorf("%v, %+v", err, c)
	}
	// What only training looks at is taken where there is nothing else.
	if c, err = opened(t, "numbers.pt"); err != nil || len(c.State.Tensors) != 1 || c.State.Tensors[0].Name != "numbers" {
		t.Errorf("%v, %+v", err, c)
	}
	// What an output says of its parts is enough to verify it.
	j, err := testkit.Plan(mustOpen(t, "kokoro_parts.pth", "bert", "decoder"), parse(t, coremltools.Default),
		recipe.Options{}, container.Options{})

	if err != nil {
		t.Fatal(err)
	}
	var made strings.Builder
	if _, err := quant.Convert(context.Background(), j, &made, quant.Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	source := testkit.File("in", testkit.Fixture(t, ".", "cases/kokoro_parts.pth"))
	v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", []byte(made.String()))}, []*tensor.File{source},
		quant.Options{})

	if err != nil || !v.OK || len(v.Tensors) != 8 {
		t.Errorf("%v, %+v", err, v)
	}
}

func mustOpen(t *testing.T, name string, parts ...string) *model.Model {
	t.Helper()
	c, err := opened(t, name, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An average inside a state dict is left out unless it is asked for, in safetensors as in PyTorch's files.
func TestAverageInsideAStateDict(t *testing.T) {
	names := []string{"model.fc.weight", "model_ema.modelfcweight", "model_ema.decay"}
	in := testkit.Safetensors(
		testkit.F32(names[0], []int64{64, 64}, 1, 2), testkit.F32(names[1], []int64{64, 64}, 3, 4),
		testkit.F32(names[2], []int64{1}, 1))
	for want, n := range map[string]int{"": 1, "live": 1, "model_ema": 2} {
		var parts []string
		if want != "" {
			parts = []string{want}
		}
		c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{Parts: parts})
		if err != nil || len(c.State.Tensors) != n || len(c.State.Parts) != 2 || c.State.LeftOut == 0 {
			t.Errorf("%q: %v, %+v", want, err, c)
		}
	}
	ema := quant.Options{Parts: []string{"ema"}}
	if _, err := quant.Open([]*tensor.File{testkit.File("in", in)}, ema); fault.CodeOf(err) != "no_part" {
		t.Error(err)
	}
	// An output that holds both is whole as it is.
	source := []*tensor.File{testkit.File("in", in)}
	for _, o := range outputs {
		c, err := quant.Open(source, quant.Options{Parts: []string{"live", "model_ema"}})
		if err != nil {
			t.Fatal(err)
		}
		j, err := testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{}, o)
		if err != nil {
			t.Fatal(err)
		}
		var made strings.Builder
		if _, err := quant.Convert(context.Background(), j, &made, quant.Options{Workers: 1}); err != nil {
			t.Fatal(err)
		}
		out, err := quant.OpenOutput([]*tensor.File{testkit.File("out", []byte(made.String()))})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := quant.VerifyModels(t.Context(), out, c, quant.Options{Limits: tile.Limits{}}); err != nil || !v.OK ||
			len(v.Tensors) != 3 {
			t.Errorf("%+v: %v, %+v", o, err, v)
		}
	}
}

// A config that names parts opens them; parts that are asked for go before.
func TestConfigNamesParts(t *testing.T) {
	files := []*tensor.File{testkit.File("in", testkit.Fixture(t, ".", "cases/model_and_model_ema.pth"))}
	for _, c := range []struct {
		options quant.Options
		want    string
	}{
		{quant.Options{Config: []byte(`nibble: {part: [model]}`)}, "model"},
		{quant.Options{Config: []byte(`nibble: {part: [model_ema]}`)}, "model_ema"},
		{quant.Options{Config: []byte(`nibble: {part: [model_ema]}`), Parts: []string{"model"}}, "model"},
	} {
		m, err := quant.Open(files, c.options)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Wanted) != 1 || m.Wanted[0] != c.want {
			t.Errorf("%s: %v", c.options.Config, m.Wanted)
		}
	}
	if _, err := quant.Open(files, quant.Options{Config: []byte(`{`), ConfigName: "c.json"}); err == nil ||
		!strings.Contains(err.Error(), "c.json") {
		t.Errorf("a broken config: %v", err)
	}
}

// Tensors that are known to be unfit stay kept when a conversion finds more.
func TestUnfitOfTheCaller(t *testing.T) {
	nan := float32(math.NaN())
	in := testkit.Safetensors(testkit.F32("a.weight", []int64{64, 64}, 1, nan),
		testkit.F32("b.weight", []int64{64, 64}, nan, 2),
		testkit.F32("c.weight", []int64{64, 64}, 1, 2))
	m, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := quant.Options{KeepUnfit: true, Unfit: map[string]string{"a.weight": "nan"}}
	j, err := quant.Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := quant.Convert(t.Context(), j, io.Discard, o)
	if err != nil || r.Totals.Quantized != 1 {
		t.Errorf("%v, %+v", err, r)
	}
	if len(o.Unfit) != 1 {
		t.Errorf("the caller's map has %v", o.Unfit)
	}
}
