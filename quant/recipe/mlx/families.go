package mlx

import (
	"slices"
	"strings"

	"nibble/quant/fault"
)

// router is what a family's predicate says of the routers of its experts.
type router uint8

const (
	keepRouters     router = iota // as nothing is known, they stay floats, which always loads
	usualRouters                  // they are quantized as all layers are
	eightBitRouters               // they get 8 bits in groups of 64
)

// routers of families that were looked at.
var routers = map[string]router{
	"mixtral": usualRouters, "qwen2_moe": usualRouters, "olmoe": usualRouters, "qwen3_moe": eightBitRouters,
}

// known are the model types that mlx-lm 0.32.2 has a file for, and those that it takes for one of these.
var known = strings.Fields(`
	Klear afm7 afmoe apertus baichuan_m1 bailing_hybrid bailing_moe bailing_moe_linear bailing_moe_v3 bitnet cohere
	cohere2 dbrx deepseek deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v41 dots1 ernie4_5 ernie4_5_moe exaone exaone4
	exaone_moe falcon_h1 gear gemma gemma2 gemma3 gemma3_text gemma3n gemma4 gemma4_text glm glm4 glm4_moe
	glm4_moe_lite glm_moe_dsa gpt2 gpt_bigcode gpt_neox gpt_oss gptj granite granitemoe granitemoehybrid helium hunyuan
	hunyuan_v1_dense internlm2 internlm3 iquestloopcoder jamba kimi_k25 kimi_k3 kimi_linear kimi_vl laguna lfm2-vl lfm2
	lfm2_moe lille-130m llama llama4 llama4_text longcat_flash longcat_flash_ngram mamba mamba2 mellum mimo
	mimo_v2_flash minicpm minicpm3 minimax minimax_m3_vl ministral3 mistral3 mistral4 mixtral muse_glimmer muse_spark
	nanbeige nanochat nemotron-nas nemotron nemotron_h olmo olmo2 olmo3 olmo_hybrid olmoe openelm phi phi3 phi3small
	phimoe phixtral pixtral plamo plamo2 plamo3 prism_hadamard_qwen35 qwen qwen2 qwen2_moe qwen2_vl qwen3 qwen3_5
	qwen3_5_moe qwen3_moe qwen3_next qwen3_vl qwen3_vl_moe recurrent_gemma rwkv7 seed_oss smollm3 solar_open spark2_5
	stablelm starcoder2 step3p5 talkie telechat3 youtu_llm
	mistral llava phi-msft falcon_mamba joyai_llm_flash kimi_k2 qwen2_5_vl minimax_m2 iquestcoder xverse gemma4_unified
	deepseek_v41_text`)

// broken are families whose weights mlx-lm moves or changes when it loads them, which codes do not survive: why, and
// which.
var broken = map[string]string{
	"its Conv1D weights are turned when they are loaded": "gpt2",
	"its experts are stacked when they are loaded": "mellum Klear bailing_moe_v3 ernie4_5_moe kimi_linear lfm2_moe " +
		"minimax minimax_m2 nemotron_h qwen3_next",
	"its experts are split when they are loaded": "granitemoe granitemoehybrid gemma4 gemma4_unified dbrx " +
		"deepseek_v41 deepseek_v41_text",
	"its experts are rearranged when they are loaded":       "gpt_oss step3p5",
	"its weights are multiplied when they are loaded":       "falcon_h1",
	"its head is normalised when it is loaded":              "baichuan_m1 bailing_moe bailing_moe_linear",
	"its weights are rearranged when they are loaded":       "rwkv7",
	"its embedding is copied to the head when it is loaded": "minicpm",
	"its attention is split when it is loaded":              "deepseek_v2 deepseek_v32 glm_moe_dsa bailing_hybrid",
}

// answers are what names of Transformers' classes that make text have in them. mlx-lm has no others: it goes by the
// model type, and then finds weights that it has no place for, or none of those that it wants.
var answers = []string{"ForCausalLM", "LMHeadModel", "ForConditionalGeneration"}

// Refuses says why models of a family and a class cannot be converted; nil where they can.
func Refuses(modelType, architecture string) *fault.Error {
	if modelType == "" {
		return fault.Not("", "config.json names no model_type, by which MLX finds the model's class")
	}
	for why, types := range broken {
		if slices.Contains(strings.Fields(types), modelType) {
			return fault.Not("", "MLX does not load %s from such a folder: %s", modelType, why).
				Hint("convert it on a Mac with mlx_lm.convert -q")
		}
	}
	switch {
	case !slices.ContainsFunc(answers, func(a string) bool { return strings.Contains(architecture, a) }):
		return fault.Not("", "mlx-lm runs models that make text, and %s is none", architecture).
			Hint("choose another place to run it")
	case !slices.Contains(known, modelType):
		return fault.Not("", "mlx-lm 0.32.2 has no model of the type %s", modelType).Hint("choose another place to run it")
	}
	return nil
}
