package plan

import (
	"testing"

	"nibble/quant/tensor"
)

// StateOf makes tensors without bytes: a plan needs none.
func StateOf(list ...tensor.Tensor) *tensor.StateDict {
	for i := range list {
		list[i].Strides = tensor.DenseStrides(list[i].Shape)
	}
	return &tensor.StateDict{Tensors: list}
}

// F32 is such a tensor.
func F32(name string, shape ...int64) tensor.Tensor {
	return tensor.Tensor{Name: name, DType: tensor.F32, Shape: shape}
}

func TestModuleTypes(t *testing.T) {
	s := StateOf(
		F32("fc.weight", 64, 64), F32("fc.bias", 64), F32("weight", 8, 8),
		F32("model.embed_tokens.weight", 100, 64), F32("wte.weight", 100, 64), F32("tok_embeddings.weight", 9, 9),
		F32("pos_embedding.weight", 9, 9),
		F32("time_embedding.weight", 64, 64), F32("time_embedding.bias", 64), F32("embed_out.weight", 64, 64),
		F32("tok_emb.weight", 64, 64), F32("embed_proj.weight", 64, 64),
		F32("patch_embed.proj.weight", 64, 3, 16, 16), F32("patch_embed.proj.bias", 64),
		F32("c1.weight", 8, 4, 3), F32("c3.weight", 8, 4, 3, 3, 3),
		F32("up.weight", 8, 4, 2, 2), F32("up.bias", 4), F32("down.weight", 8, 4, 2, 2), F32("down.bias", 8),
		F32("grouped_up.weight", 6, 4, 2, 2), F32("grouped_up.bias", 12),
		F32("deconv.weight", 8, 8, 2), F32("deconv.bias", 8), F32("x.ConvTranspose.weight", 8, 4, 2, 2, 2),
		F32("attn.in_proj_weight", 96, 32), F32("attn.out_proj.weight", 32, 32), F32("attn.out_proj.bias", 32),
		F32("cross.q_proj_weight", 32, 32), F32("cross.k_proj_weight", 32, 32), F32("other.out_proj.weight", 32, 32),
		F32("self.q_proj.weight", 32, 32),
		F32("rnn.weight_ih_l0", 32, 32), F32("rnn.weight_hh_l1_reverse", 32, 32),
		F32("norm.weight", 64), F32("pos_embed", 1, 9, 64), F32("conv.weight_v", 8, 4, 3),
	)
	want := []string{
		"Linear fc", " fc", "Linear ",
		"Embedding model.embed_tokens", "Embedding wte", "Embedding tok_embeddings", "Embedding pos_embedding",
		"Linear time_embedding", " time_embedding", "Linear embed_out", "Embedding tok_emb", "Linear embed_proj",
		"Conv2d patch_embed.proj", " patch_embed.proj",
		"Conv1d c1", "Conv3d c3",
		"ConvTranspose2d up", " up", "Conv2d down", " down",
		"ConvTranspose2d grouped_up", " grouped_up",
		"ConvTranspose1d deconv", " deconv", "ConvTranspose3d x.ConvTranspose",
		"MultiheadAttention attn", "MultiheadAttention attn", " attn.out_proj",
		"MultiheadAttention cross", "MultiheadAttention cross", "Linear other.out_proj", "Linear self.q_proj",
		"RNN rnn", "RNN rnn",
		" norm", " ", " conv",
	}
	params, err := modules(s, newFacts(s), newClasses(s, nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range params {
		if got := m.class + " " + m.module; got != want[i] {
			t.Errorf("%s: %q, want %q", s.Tensors[i].Name, got, want[i])
		}
	}
}
