package model_test

import (
	"testing"

	"nibble/quant/fault"
	"nibble/quant/model"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// FuzzIndex reads any text as the index of two shards. What is accepted has both, whole.
func FuzzIndex(f *testing.F) {
	const first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	for _, text := range []string{
		`{"metadata":{"total_size":8},"weight_map":{"a":"` + first + `","b":"` + second + `"}}`,
		`{"weight_map":{"a":"` + first + `"}}`, `{"weight_map":{"a":"../x"}}`, `{}`, `[]`, `{"weight_map":{}} x`,
	} {
		f.Add(text)
	}
	shards := []*tensor.File{
		testkit.File("home/"+first, testkit.Safetensors(testkit.F32("a", []int64{1}, 1))),
		testkit.File("home/"+second, testkit.Safetensors(testkit.F32("b", []int64{1}, 2))),
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) == 0 {
			return
		}
		c, err := model.OpenOne(append([]*tensor.File{testkit.File("home/model.safetensors.index.json", []byte(text))},
			shards...))
		if err != nil {
			if fault.KindOf(err) == "" {
				t.Errorf("error is no fault: %v", err)
			}
			return
		}
		if len(c.From) != len(c.State.Tensors) || !c.Sharded || len(c.Files) == 0 {
			t.Errorf("%d tensors of %d in %d files", len(c.From), len(c.State.Tensors), len(c.Files))
		}
	})
}

// FuzzRecognise opens any bytes under any name, alone and beside another file.
func FuzzRecognise(f *testing.F) {
	for _, seed := range []string{"GGUF", "\x08\x08\x12\x07pytorch", "<!DOCTYPE html>", "version https://git-lfs",
		"PK\x03\x04", "\x80\x02}."} {
		f.Add("model.bin", []byte(seed))
	}
	f.Add("m.mlmodelc/coremldata.bin", []byte{1})
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		for _, files := range [][]*tensor.File{{testkit.File(name, b)},
			{testkit.File(name, b), testkit.File("config.json", []byte("{}"))}} {
			if _, err := model.OpenOne(files); err != nil && fault.KindOf(err) == "" {
				t.Errorf("error is no fault: %v", err)
			}
		}
	})
}
