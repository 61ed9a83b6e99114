from vllm import LLM, SamplingParams  # pip install vllm

# dtype="auto" is the model's own, in which the scales are stored.
model = LLM(MODEL_FILE, dtype="auto")
for answer in model.generate(["Four bits are"], SamplingParams(max_tokens=30)):
    print(answer.outputs[0].text)
