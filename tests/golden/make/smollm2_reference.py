#!/usr/bin/env python3
"""smollm2_reference.py - the logits that SmolLM2-135M-Instruct (Q4_1) must give, by an independent float implementation.

    smollm2_reference.py MODEL.gguf TEXT... --out tests/golden/smollm2/reference.safetensors [--full F]

transformers opens the GGUF, decodes its weights to float32 and runs them in float32; the file keeps, per token, the 64
most likely next tokens with their log-probabilities, so that CI needs neither torch nor the full logits. --full writes
all logits too, for a check by hand. Needs transformers, torch, gguf, accelerate, safetensors."""
import argparse
import os

import numpy
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENS, TOP = 192, 64


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--full")
    arguments = parser.parse_args()
    folder, name = os.path.split(arguments.model)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    model.eval()
    text = "".join(open(path, encoding="utf-8").read() for path in arguments.texts)
    ids = tokenizer.encode(text, add_special_tokens=False)[:TOKENS]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].float()
    logprobs = torch.log_softmax(logits.double(), -1)
    values, indices = logprobs.topk(TOP, -1)
    save_file({"tokens": numpy.array(ids, numpy.int32),
               "top_ids": indices.numpy().astype(numpy.int32),
               "top_logprobs": values.numpy().astype(numpy.float32)}, arguments.out)
    if arguments.full:
        save_file({"tokens": numpy.array(ids, numpy.int32), "logits": logits.numpy()}, arguments.full)


if __name__ == "__main__":
    main()
