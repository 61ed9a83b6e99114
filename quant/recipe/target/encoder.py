import torch
from transformers import AutoTokenizer, MODEL_CLASS  # pip install transformers compressed-tensors

# Without dtype="auto" Transformers 4 loads every model in float32 or float16.
model = MODEL_CLASS.from_pretrained(MODEL_FILE, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(MODEL_FILE)
with torch.no_grad():
    print(model(**tokenizer("Four bits are enough.", return_tensors="pt")))
