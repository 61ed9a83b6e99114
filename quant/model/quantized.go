package model

import (
	"encoding/json"
	"slices"
	"strings"

	"nibble/quant/fault"
	"nibble/quant/format/safetensors"
	"nibble/quant/tensor"
)

// Quantized says that a model is quantized already, and by what.
type Quantized struct {
	By      string `json:"by"`      // the tool or format, for people
	Weights int    `json:"weights"` // how many are
	Tensor  string `json:"tensor"`  // the first of them, as it is named in the file
	do      string // what to do instead
}

// What to do with a model that is quantized.
const (
	before     = "take the checkpoint from before it was quantized"
	dequantize = before + ", or load it in Transformers, call model.dequantize() and save it"
)

// marks is the literal table of how quantized weights are recognised: by the end of a tensor's name, its dtypes, and
// what must stand beside it under the same name with another end. "" as an end is any tensor of that dtype.
var marks = []struct {
	by, end string
	dtypes  []tensor.Type
	beside  []string // ends, all of which must be there
	do      string
}{
	{"bitsandbytes (NF4)", ".quant_state.bitsandbytes__nf4", nil, nil, dequantize},
	{"bitsandbytes (FP4)", ".quant_state.bitsandbytes__fp4", nil, nil, dequantize},
	{"bitsandbytes (int8)", ".SCB", nil, nil, dequantize},
	{"bitsandbytes", ".quant_map", nil, []string{".absmax"}, dequantize},
	{"GPTQ", ".qweight", words32, []string{".qzeros", ".scales", ".g_idx"}, before},
	{"AWQ or GPTQ", ".qweight", words32, []string{".scales"}, before},
	{"HQQ", ".W_q", integers, nil, before},
	{"EXL2", ".q_weight", words32, []string{".q_scale"}, before},
	{"AQLM", ".codes", integers, []string{".codebooks"}, before},
	{"VPTQ", ".indices", integers, []string{".centroids.weight"}, before},
	{"EETQ", ".weight", bytes8, []string{".weight_scales"}, before},
	{"MLX", ".weight", []tensor.Type{tensor.U32}, []string{".scales"}, before},
	{"coremltools", "/quantization_scale", nil, nil, before},
	{"compressed-tensors", "_packed", bytes832, []string{"_scale"}, before},
	{"compressed-tensors or ModelOpt", ".weight", bytes8, []string{".weight_scale"}, before},
	{"FP8 with scales", ".weight", floats8, []string{".weight_scale_inv"}, before},
	{"FP8 with scales", ".weight", floats8, []string{".scale_weight"}, before},
	{"FP8 with scales", ".weight", floats8, []string{".scale"}, before},
	{"FP8 with scales", "", floats8, []string{"_scale_inv"}, before},
	{"MXFP4", "_blocks", bytes8, []string{"_scales"},
		"load it in Transformers with Mxfp4Config(dequantize=True), and save it"},
	{"torchao", "_weight_qdata", nil, []string{"_weight_scale"}, before},
	{"Quanto", "._data", nil, []string{"._scale"}, before},
	{"PyTorch's dynamic quantization", "._packed_params.dtype", nil, nil, before},
}

var (
	integers = []tensor.Type{tensor.I8, tensor.U8, tensor.I16, tensor.U16, tensor.I32, tensor.U32, tensor.I64}
	words32  = []tensor.Type{tensor.I32, tensor.U32}
	bytes8   = []tensor.Type{tensor.I8, tensor.U8, tensor.F8E4M3, tensor.F8E5M2, tensor.F8E4M3FNUZ, tensor.F8E5M2FNUZ}
	floats8  = bytes8[2:]
	bytes832 = append([]tensor.Type{tensor.I32}, bytes8...)
)

// quantized finds out whether a model is quantized already; nil when it is not.
func quantized(c *Model) *Quantized {
	if by := safetensors.Meta(c.Bodies, safetensors.NibbleVersion); by != "" &&
		safetensors.Meta(c.Bodies, safetensors.NibbleContainer) != "" {
		schemes := map[string]any{}
		for _, body := range c.Bodies { // of each shard
			if json.Unmarshal([]byte(safetensors.Meta([]any{body}, safetensors.NibbleSchemes)), &schemes) != nil {
				return nil
			}
		}
		if len(schemes) == 0 {
			return nil
		}
		return &Quantized{By: "Nibble " + by, Weights: len(schemes), do: "convert the checkpoint it was made from"}
	}
	names := make(map[string]bool, len(c.State.Tensors))
	for i := range c.State.Tensors {
		names[c.State.Tensors[i].Name] = true
	}
	for _, row := range marks {
		matches := func(t *tensor.Tensor) bool {
			stem, ok := strings.CutSuffix(t.Name, row.end)
			if !ok || row.dtypes != nil && !slices.Contains(row.dtypes, t.DType) {
				return false
			}
			for _, end := range row.beside {
				if !names[stem+end] {
					return false
				}
			}
			return true
		}
		q := &Quantized{By: row.by, do: row.do}
		for i := range c.State.Tensors {
			if matches(&c.State.Tensors[i]) {
				if q.Weights++; q.Weights == 1 {
					q.Tensor = c.State.Tensors[i].Name
				}
			}
		}
		if q.Weights > 0 {
			return q
		}
	}
	return nil
}

// Convertible says why no plan can be made of a model: it is quantized already, or holds several models and none was
// chosen; nil when one can.
func (c *Model) Convertible() error {
	if len(c.State.Tensors) == 0 {
		return c.chooseError()
	}
	if c.Quantized != nil {
		return c.Already()
	}
	return nil
}

// Already is the error for a model that is quantized already.
func (c *Model) Already() *fault.Error {
	q := c.Quantized
	return fault.Not(c.Name, "this model is quantized already (%s)", q.By).In(q.Tensor).
		Code(fault.AlreadyQuantized, q.By).Hint("%s", q.do)
}
