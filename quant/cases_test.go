package quant_test

import (
	"encoding/json"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/layer"
	"nibble/quant/model"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// opened opens a file of the cases.
func opened(t *testing.T, name string, parts ...string) (*model.Model, error) {
	t.Helper()
	return quant.Open([]*tensor.File{testkit.File(name, testkit.Fixture(t, ".", "cases/"+name))},
		quant.Options{Parts: parts})
}

// planned plans it by the default recipe.
func planned(t *testing.T, name string, parts ...string) (*report.Report, error) {
	t.Helper()
	c, err := opened(t, name, parts...)
	if err != nil {
		return nil, err
	}
	j, err := testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{AllowNone: true}, container.Options{})
	if err != nil {
		return nil, err
	}
	return j.Report(), nil
}

// What is no state dict, or is quantized already, is refused with a code, and with what to do.
func TestCasesThatAreRefused(t *testing.T) {
	for name, want := range map[string]struct{ code, says string }{
		"bnb_nf4.safetensors":              {"already_quantized", "bitsandbytes (NF4)"},
		"ct_packed.safetensors":            {"already_quantized", "compressed-tensors"},
		"gpt_oss_mxfp4.safetensors":        {"already_quantized", "Mxfp4Config(dequantize=True)"},
		"mlx_4bit.safetensors":             {"already_quantized", "(MLX)"},
		"coreml_buffers.safetensors":       {"already_quantized", "(coremltools)"},
		"torchao_int8wo.pt":                {"already_quantized", "torchao"},
		"kokoro_parts.pth":                 {"choose_part", "bert, bert_encoder, predictor, decoder, text_encoder"},
		"styletts2_net_parts.pth":          {"choose_part", "net.bert, net.decoder"},
		"zero3_mp_rank_00_model_states.pt": {"zero3", "zero_to_fp32.py"},
		"int_keys.pt":                      {"", "tensors under numbers"},
		"list_of_tensors.pt":               {"", "a list of 2"},
		"tuple.pt":                         {"", "a tuple of 1"},
		"optimizer.pt":                     {"", "optimizer"},
		"nested.pt":                        {"choose_part", "trainer.models.0, trainer.models.1, holder.shadow"},
		"optimizer_beside_nothing.pt":      {"", "the state of an optimizer, and no model beside it"},
		"gan.pt":                           {"choose_part", "holds 2 models: G, D"},
		"numbered.pt":                      {"choose_part", "holds 2 models: 1, 2"},
		"single_tensor.pt":                 {"", "a tensor"},
		"detectron2_model_final.pkl":       {"", "not a PyTorch checkpoint"},
	} {
		_, err := planned(t, name)
		if fault.KindOf(err) != fault.Unsupported || string(fault.CodeOf(err)) != want.code ||
			!strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %q, %v", name, fault.CodeOf(err), err)
		}
		if err != nil && strings.Contains(err.Error(), "no tensors by name") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is quantized already can be looked at.
func TestQuantizedCasesAreInspected(t *testing.T) {
	for _, name := range []string{
		"bnb_nf4.safetensors", "ct_packed.safetensors", "gpt_oss_mxfp4.safetensors", "mlx_4bit.safetensors",
		"coreml_buffers.safetensors",
	} {
		c, err := opened(t, name)
		if err != nil || c.Quantized == nil || c.Quantized.Weights != 1 {
			t.Errorf("%s: %v, %+v", name, err, c)
		}
	}
	if c, err := opened(t, "lora_peft.safetensors"); err != nil || c.Quantized != nil {
		t.Errorf("%v, %+v", err, c)
	}
}

// Our own outputs are quantized, too; verify goes on opening them.
func TestOutputsAreQuantizedAlready(t *testing.T) {
	for _, o := range outputs {
		out, _, err := convert(t, wide(), coremltools.Default, o, 1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := quant.Open([]*tensor.File{testkit.File("out", out)}, quant.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{},
			container.Options{}); fault.CodeOf(err) != "already_quantized" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A whole model of the user's own classes: a Linear or a Conv only where the attributes say so, whatever its name; a
// frozen layer only where coremltools would quantize it. The live model is None, the average is there.
func TestOwnClasses(t *testing.T) {
	r, err := planned(t, "own_classes.pt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"fc.weight": "Linear file weight", "embedding.weight": "Linear file weight", "conv.weight": "Conv2d file weight",
		"turned.weight": "mine.Turned file other_class", "q_scale.weight": "mine.HeadNorm file other_class",
		"short.weight": "Linear file weight", "frozen.weight": "Linear file beyond",
	}
	for _, row := range r.Tensors {
		if w := want[row.Name]; w != "" && w != row.ModuleType+" "+string(row.TypeSource)+" "+string(row.Code) {
			t.Errorf("%s is %s %s %s", row.Name, row.ModuleType, string(row.TypeSource), row.Code)
		}
		delete(want, row.Name)
	}
	if len(want) > 0 || len(r.Parts) != 0 {
		t.Errorf("missing %v, parts %v", want, r.Parts)
	}
}

// Conv1D of Transformers, with its type set, goes through every container and is verified.
func TestConv1DConverts(t *testing.T) {
	rule, err := recipe.NewType("c_fc", layer.Conv1D)
	if err != nil {
		t.Fatal(err)
	}
	in := testkit.Safetensors(testkit.F32("c_fc.weight", []int64{64, 96}, 1, 2, 3, -4, 5),
		testkit.F32("c_fc.bias", []int64{96}, 1))
	for _, o := range outputs {
		out, r, err := convertWith(t, in, coremltools.Default, recipe.Options{Types: []recipe.TypeRule{rule}}, o, 2)
		if err != nil || r.Totals.Quantized != 1 || r.Tensors[0].Scheme == nil || r.Tensors[0].Scheme.ScaleShape[0] != 2 ||
			r.Tensors[0].Scheme.ScaleShape[1] != 96 {
			t.Fatalf("%+v: %v, %+v", o, err, r)
		}
		v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)}, []*tensor.File{testkit.File("in", in)},
			quant.Options{})

		if err != nil || !v.OK {
			t.Errorf("%+v: %v, %+v", o, err, v)
		}
		// The packed form has a scale for each row, here as many as weights, which is said.
		if warned := len(r.Warnings) == 1 && r.Warnings[0].About == "grows"; warned != (o.To == "packed") {
			t.Errorf("%+v: warnings %+v", o, r.Warnings)
		}
	}
}

// What else was reported: an archive of NeMo, a head whose embedding is not in the file, an adapter, one file of
// several.
func TestOtherCases(t *testing.T) {
	r, err := planned(t, "model_plain_tar.nemo")
	if err != nil || r.Inputs[0].Format != "NeMo" || r.Totals.Quantized != 1 || r.Tensors[1].Name != "decoder.fc.weight" {
		t.Errorf("NeMo: %v, %+v", err, r)
	}
	r, err = planned(t, "tied_save_model.safetensors")
	if err != nil || r.Tensors[0].Code != plan.IsTied || r.Totals.Quantized != 1 || len(r.Advice) == 0 ||
		r.Advice[0].About != "tied" {
		t.Errorf("tied: %v, %+v", err, r)
	}
	if r, err = planned(t, "lora_kohya.safetensors"); err != nil || len(r.Notes) != 1 ||
		!strings.Contains(r.Notes[0], "LoRA adapter in it (1 layer)") {
		t.Errorf("LoRA: %v, %+v", err, r)
	}
	shard := testkit.File("m/model-00002-of-00003.safetensors",
		testkit.Safetensors(testkit.F32("a.weight", []int64{64, 64}, 1, 2)))
	c, err := quant.Open([]*tensor.File{shard}, quant.Options{})
	if err != nil || strings.Join(c.Missing, " ") != "model-00001-of-00003.safetensors model-00003-of-00003.safetensors" {
		t.Fatalf("%v, %+v", err, c)
	}
	j, err := testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{}, container.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r := j.Report(); len(r.Warnings) != 1 || r.Warnings[0].About != "shards" || len(r.Warnings[0].Names) != 2 {
		t.Errorf("warnings %+v", r.Warnings)
	}
	distributed := []*tensor.File{
		testkit.File("dcp/.metadata", []byte("\x80\x02}.")), testkit.File("dcp/__0_0.distcp", []byte("PK\x03\x04 and so on")),
	}
	if _, err := quant.Open(distributed, quant.Options{}); fault.CodeOf(err) != "distributed" ||
		!strings.Contains(err.Error(), "dcp_to_torch") {
		t.Errorf("distributed: %v", err)
	}
}

// "Times smaller" counts the weights that are converted, each once; what was left out stands beside it.
func TestSums(t *testing.T) {
	r, err := planned(t, "timm_train.pth.tar")
	if err != nil || r.Totals.Weights != 8576 || r.Totals.LeftOut != 8576 {
		t.Errorf("%v, %+v", err, r.Totals)
	}
	tied, err := planned(t, "tied_compiled.pt")
	if err != nil || tied.Totals.Weights*2 != tied.Totals.BytesIn {
		t.Errorf("%v, %+v", err, tied.Totals)
	}
	var asJSON map[string]any
	text, _ := json.Marshal(r)
	if json.Unmarshal(text, &asJSON); asJSON["parts"] == nil || asJSON["warnings"] == nil {
		t.Errorf("report %s", text)
	}
}

// What only looks like a tie or like codes is neither.
func TestWhatOnlyLooksLikeIt(t *testing.T) {
	in := testkit.SafetensorsWith(map[string]string{"main_tensor": "fc.weight"},
		testkit.F32("fc.weight", []int64{64, 64}, 1, 2), testkit.F32("attn.W_q", []int64{64, 64}, 1),
		testkit.F32("vq.codes", []int64{8, 8}, 1), testkit.F32("vq.codebooks", []int64{8, 8}, 1))
	c, err := quant.Open([]*tensor.File{testkit.File("in", in)}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := testkit.Plan(c, parse(t, coremltools.Default), recipe.Options{}, container.Options{})
	if err != nil || j.Plan.Entries[0].Reason.Code != plan.OfLayer || len(j.Plan.Ties) != 0 {
		t.Errorf("%v, %+v", err, j)
	}
}

// A layer that lost most of what it says is warned about.
func TestWarnsOfNoise(t *testing.T) {
	values := make([]float32, 64*64)
	for i := range values {
		values[i] = float32(i%7-3) / 1000
	}
	for i := 0; i < len(values); i += 64 {
		values[i] = 50
	}
	in := testkit.Safetensors(testkit.F32("fc.weight", []int64{64, 64}, values...),
		testkit.F32("fine.weight", []int64{64, 64}, 1, 2, 3))
	_, r, err := convert(t, in, `{"global_config":{"weight_dtype":"int4","granularity":"per_channel"}}`,
		container.Options{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.Tensors {
		if poor := row.SQNR != nil && *row.SQNR < report.Poor; poor != (len(r.Warnings) > 0 &&
			r.Warnings[0].Names[0] == row.Name) {
			t.Errorf("%s has %v dB, warnings %+v", row.Name, row.SQNR, r.Warnings)
		}
	}
}
