#!/usr/bin/env python3
"""peer_quality.py - llama.cpp's distance from a float reference, and its perplexity, on the same file.

    peer_quality.py MODEL.gguf --reference F.safetensors [--text FILE]

F holds "tokens" int32 and "logits" f32, as tests/golden/make/gguf_reference.py --full writes them. Needs
llama-cpp-python, numpy, safetensors."""
import argparse
import json

import numpy
from llama_cpp import Llama
from safetensors.numpy import load_file


def log_softmax(logits):
    logits = logits.astype(numpy.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - numpy.log(numpy.exp(logits).sum(-1, keepdims=True))


def logits_of(llama, tokens):
    llama.reset()
    llama.eval([int(token) for token in tokens])
    return numpy.array(llama.scores[: len(tokens)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--reference")
    parser.add_argument("--text")
    parser.add_argument("--ctx", type=int, default=1024)
    arguments = parser.parse_args()
    llama = Llama(arguments.model, n_ctx=arguments.ctx, n_threads=2, logits_all=True, verbose=False)
    result = {}
    if arguments.reference:
        reference = load_file(arguments.reference)
        want = log_softmax(reference["logits"])
        got = log_softmax(logits_of(llama, reference["tokens"]))
        divergence = (numpy.exp(want) * (want - got)).sum(-1)
        result["kl_mean"] = float(divergence.mean())
        result["kl_max"] = float(divergence.max())
    if arguments.text:
        tokens = llama.tokenize(open(arguments.text, "rb").read(), add_bos=False, special=True)
        total, predicted = 0.0, 0
        for start in range(0, len(tokens), arguments.ctx):
            window = tokens[start : start + arguments.ctx]
            logprobs = log_softmax(logits_of(llama, window))
            for place in range(len(window) - 1):
                total -= logprobs[place, window[place + 1]]
                predicted += 1
        result.update(tokens=len(tokens), predicted=predicted, nll=total / predicted,
                      perplexity=float(numpy.exp(total / predicted)))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
