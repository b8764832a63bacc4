#!/usr/bin/env python3
"""gguf_reference.py - the logits that a real model's GGUF file must give, by an independent float implementation.

    gguf_reference.py SmolLM2-135M-Instruct.Q4_1.gguf TEXT... --out tests/golden/real/smollm2.safetensors
    gguf_reference.py gemma-3-270m-q4_k_m.gguf TEXT... --special --out tests/golden/real/gemma3_270m.safetensors

transformers opens the GGUF, decodes its weights to float32 and runs them in float32; the file keeps, per token, the 64
most likely next tokens with their log-probabilities, so that CI needs neither torch nor the full logits. --special
begins with the tokens that the model's tokenizer adds; --full F writes all logits too, for a check by hand. The first
TEXT of both was tests/data/texts/01_english.txt. Needs transformers, torch, gguf, accelerate, safetensors."""
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
    parser.add_argument("--special", action="store_true")
    parser.add_argument("--full")
    arguments = parser.parse_args()
    folder, name = os.path.split(arguments.model)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    model.eval()
    text = "".join(open(path, encoding="utf-8").read() for path in arguments.texts)
    ids = tokenizer.encode(text, add_special_tokens=arguments.special)[:TOKENS]
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
