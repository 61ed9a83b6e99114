"""Models of transformers, timm and torchvision with random weights, small ones: what people convert. Each row is a
name and a function that builds it. The names are those of the libraries' classes, or of their factories."""

import timm
import torchvision
import transformers as hf

TEXT = {"vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
    "num_attention_heads": 4}
DECODER = {**TEXT, "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2}
ENCODER = {**TEXT, "max_position_embeddings": 128}
VISION = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "image_size": 64, "patch_size": 16}
SEQ2SEQ = {
    "vocab_size": 512, "d_model": 128, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 256, "decoder_ffn_dim": 256, "max_position_embeddings": 128, "pad_token_id": 1,
}
SPEECH = {
    "vocab_size": 32, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256,
    "conv_dim": (64, 64, 64),
    "conv_stride": (5, 2, 2), "conv_kernel": (10, 3, 2), "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def of(model, **config):
    """A builder of a class of transformers; its config class is the model's own."""
    cls = getattr(hf, model)
    return model, lambda: cls(cls.config_class(**config))


def vision(name, **options):
    return "torchvision " + name, lambda: torchvision.models.get_model(name, weights=None, **options)


def pytorch_image_models(name, **options):
    return "timm " + name, lambda: timm.create_model(name, pretrained=False, **options)


MODELS = [
    of("GPT2LMHeadModel", vocab_size=512, n_embd=128, n_layer=2, n_head=4, n_positions=128),
    of("ImageGPTForCausalImageModeling", vocab_size=513, n_embd=128, n_layer=2, n_head=4, n_positions=128),
    of("OpenAIGPTLMHeadModel", vocab_size=512, n_embd=128, n_layer=2, n_head=4, n_positions=128),
    of("GPTNeoXForCausalLM", **{k: v for k, v in DECODER.items() if k != "num_key_value_heads"}),
    of("LlamaForCausalLM", **DECODER),
    of("MistralForCausalLM", **DECODER),
    of("Qwen2ForCausalLM", **DECODER, tie_word_embeddings=True),
    of("Qwen3ForCausalLM", **DECODER, head_dim=32),
    of("Gemma2ForCausalLM", **DECODER, head_dim=32),
    of("Phi3ForCausalLM", **DECODER),
    of("FalconForCausalLM", vocab_size=512, hidden_size=128, num_hidden_layers=2, num_attention_heads=4),
    of("BloomForCausalLM", vocab_size=512, hidden_size=128, n_layer=2, n_head=4),
    of("OPTForCausalLM", vocab_size=512, hidden_size=128, ffn_dim=256, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=128),
    of("MixtralForCausalLM", **DECODER, num_local_experts=4),
    of("Qwen3MoeForCausalLM", **DECODER, head_dim=32, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64),
    of("GptOssForCausalLM", **DECODER, head_dim=32, num_local_experts=4, num_experts_per_tok=2),
    of("GraniteMoeForCausalLM", **DECODER, num_local_experts=4, num_experts_per_tok=2),
    of("MambaForCausalLM", vocab_size=512, hidden_size=128, num_hidden_layers=2, state_size=16),
    of("BertForMaskedLM", **ENCODER),
    of("RobertaForMaskedLM", **ENCODER),
    of("DistilBertForMaskedLM", vocab_size=512, dim=128, hidden_dim=256, n_layers=2, n_heads=4),
    of("AlbertForMaskedLM", **ENCODER, embedding_size=64),
    of("ElectraForPreTraining", **ENCODER, embedding_size=64),
    of("DebertaV2ForMaskedLM", **ENCODER),
    of("T5ForConditionalGeneration", vocab_size=512, d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4),
    of("BartForConditionalGeneration", **SEQ2SEQ),
    of("MarianMTModel", **SEQ2SEQ, decoder_start_token_id=1),
    of("SwitchTransformersForConditionalGeneration", vocab_size=512, d_model=128, d_kv=32, d_ff=256, num_layers=2,
        num_heads=4, num_experts=4),
    of("WhisperForConditionalGeneration", **{k: v for k, v in SEQ2SEQ.items() if k != "max_position_embeddings"},
        num_mel_bins=80),
    of("Wav2Vec2ForCTC", **SPEECH),
    of("HubertModel", **SPEECH),
    of("ViTForImageClassification", **VISION),
    of("Dinov2Model", **{k: v for k, v in VISION.items() if k != "intermediate_size"}),
    of("CLIPModel", text_config=ENCODER, vision_config=VISION, projection_dim=64),
    of("SwinForImageClassification", image_size=64, embed_dim=32, depths=[2, 2], num_heads=[2, 4], window_size=4),
    of("SegformerForSemanticSegmentation", hidden_sizes=[32, 64, 128, 128], depths=[1, 1, 1, 1]),
    of("ConvNextForImageClassification", hidden_sizes=[32, 64, 128, 128], depths=[1, 1, 2, 1]),
    of("DPTForDepthEstimation", **VISION, backbone_out_indices=[0, 1, 1, 1], neck_hidden_sizes=[32, 64, 128, 128],
        fusion_hidden_size=64),
    of("SamModel", vision_config={**VISION, "output_channels": 64, "mlp_dim": 256}),
    of("EncodecModel", num_filters=8, hidden_size=64, codebook_size=64, codebook_dim=64),
    of("VitsModel", vocab_size=64, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, ffn_dim=128,
        flow_size=64, spectrogram_bins=129,
       upsample_initial_channel=128, wavenet_dilation_rate=1),
    vision("resnet18"),
    vision("mobilenet_v2"),
    vision("squeezenet1_1"),
    vision("shufflenet_v2_x1_0"),
    vision("densenet121"),
    vision("efficientnet_b0"),
    vision("swin_t"),
    vision("googlenet", init_weights=False),
    vision("r3d_18"),
    vision("lraspp_mobilenet_v3_large", weights_backbone=None),
    vision("keypointrcnn_resnet50_fpn", weights_backbone=None),
    vision("maskrcnn_resnet50_fpn", weights_backbone=None),
    vision("raft_small"),
    pytorch_image_models("vit_tiny_patch16_224"),
    pytorch_image_models("convnext_atto"),
    pytorch_image_models("mixer_s32_224"),
    pytorch_image_models("mobilenetv3_small_050"),
    pytorch_image_models("resnetv2_50"),
    pytorch_image_models("regnetx_002"),
    pytorch_image_models("edgenext_xx_small"),
    pytorch_image_models("efficientvit_b0"),
    pytorch_image_models("pvt_v2_b0"),
    pytorch_image_models("poolformerv2_s12"),
]
