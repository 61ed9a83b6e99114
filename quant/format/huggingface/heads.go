package huggingface

import "strings"

// heads are what Transformers (4.57 and 5.24, _tied_weights_keys) calls the Linear that makes logits, by model_type,
// where it is not lm_head.
var heads = map[string]string{
	"albert": "predictions.decoder", "biogpt": "output_projection", "convbert": "generator_lm_head",
	"distilbert": "vocab_projector", "electra": "generator_lm_head", "flaubert": "pred_layer.proj",
	"gpt_neox": "embed_out", "gpt_neox_japanese": "embed_out", "modernbert": "decoder",
	"modernbert-decoder": "decoder", "moonshine": "proj_out", "trocr": "output_projection", "whisper": "proj_out",
	"xlm": "pred_layer.proj", "xlnet": "lm_loss",
}

func init() {
	for head, types := range map[string]string{
		"cls.predictions.decoder": "bert big_bird deberta deberta-v2 ernie fnet layoutlm lxmert megatron-bert mobilebert " +
			"mra nomic_bert nystromformer rembert roc_bert roformer squeezebert tapas visual_bert yoso",
		"lm_head.decoder": "bert-generation camembert data2vec-text esm gte ibert longformer luke mpnet roberta " +
			"roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod",
	} {
		for _, t := range strings.Fields(types) {
			heads[t] = head
		}
	}
}

// Head is the module that makes logits of a model that has one; "" for a bare model, which has none.
func (c *Config) Head() string {
	if name := c.Architecture(); name == "" || strings.HasSuffix(name, "Model") {
		return ""
	}
	if head := heads[c.ModelType]; head != "" {
		return head
	}
	return "lm_head"
}
