from mlx_lm import generate, load  # pip install mlx-lm

model, tokenizer = load(MODEL_FILE)
print(generate(model, tokenizer, prompt="Four bits are", max_tokens=30))
