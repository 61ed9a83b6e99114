import torch
from transformers import AutoModelForCausalLM, AutoTokenizer  # pip install transformers compressed-tensors

# Without dtype="auto" Transformers 4 loads every model in float32 or float16.
model = AutoModelForCausalLM.from_pretrained(MODEL_FILE, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(MODEL_FILE)
prompt = tokenizer("Four bits are", return_tensors="pt")
with torch.no_grad():
    print(tokenizer.decode(model.generate(**prompt, max_new_tokens=30)[0], skip_special_tokens=True))
