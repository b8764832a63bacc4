"""Vocabularies of GGUF that zmlx convert writes as tokenizer.json: the library tokenizers must make
of the file's tokenizer.json the ids that we make of the GGUF file itself.

Unigram's scores are such that no two cuts of a text tie, and texts are made of characters that one
replacement each normalizes: longest and shortest matches differ elsewhere (docs/formats.md).
"""

import json
import os

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Reference

import zmlx

BLOCK = "\u2581"
NORMAL, UNKNOWN, CONTROL, OWN, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
WORDS = ("un", "able", "aff", "a", "b", "c", "1", ",", "!", "é", "中")


def bert(**options):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    types = [CONTROL, UNKNOWN, CONTROL, CONTROL]
    tokens += [BLOCK + word for word in (*WORDS, "unab", "abc")] + [*WORDS[:7], "le", "bc"]
    types += [NORMAL] * (len(tokens) - 4)
    return {"model": "bert", "tokens": tokens, "types": types, **options}


def whitespace(lowercase):
    tokens = ["<s>", "<unk>", "<own>", *WORDS, *"nleuf", "A"]
    merges = [("u", "n"), ("a", "b"), ("l", "e"), ("ab", "le"), ("c", "1")]
    tokens += [left + right for left, right in merges if left + right not in tokens]
    return {
        "model": "whitespace",
        "pre": "whitespace",
        "tokens": tokens,
        "types": [CONTROL, UNKNOWN, OWN] + [NORMAL] * (len(tokens) - 3),
        "merges": [" ".join(pair) for pair in merges],
        "lowercase": lowercase,
    }


def unigram(prefix, merge):
    tokens = ["<pad>", "</s>", "<unk>", "<own>", "unun", "z", "<0x41>"]
    pieces = [BLOCK, *WORDS, BLOCK + "a", BLOCK + "un", "able,", "ab", "unab", "bb"]
    random = np.random.default_rng(7)
    scores = [0.0] * 4 + [-1000.0, -1000.0, 0.0] + list(-2 - 3 * random.random(len(pieces)))
    return {
        "model": "t5",
        "tokens": tokens + pieces,
        "types": [CONTROL, CONTROL, UNKNOWN, OWN, UNUSED, UNUSED, BYTE] + [NORMAL] * len(pieces),
        "scores": scores,
        "prefix": prefix,
        "merge": merge,
    }


def write(path, vocabulary):
    """A llama of one layer around the vocabulary."""
    size, count = 32, len(vocabulary["tokens"])
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(size)
    writer.add_feed_forward_length(size)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(vocabulary["model"])
    writer.add_token_list(vocabulary["tokens"])
    writer.add_token_types(vocabulary["types"])
    if vocabulary["model"] == "t5":
        writer.add_token_scores(vocabulary["scores"])
        writer.add_eos_token_id(1)
        writer.add_unk_token_id(2)
        writer.add_add_space_prefix(vocabulary["prefix"])
        writer.add_remove_extra_whitespaces(vocabulary["merge"])
    else:
        writer.add_unk_token_id(1)
        writer.add_token_merges(vocabulary.get("merges", []))
    if "pre" in vocabulary:
        writer.add_tokenizer_pre(vocabulary["pre"])
    for key in ("lowercase", "strip_accents"):
        if key in vocabulary:
            writer.add_bool(f"tokenizer.ggml.normalizer.{key}", vocabulary[key])
    matrix, norm = np.zeros((size, size), np.float32), np.ones(size, np.float32)
    writer.add_tensor("token_embd.weight", np.zeros((count, size), np.float32))
    writer.add_tensor("output_norm.weight", norm)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{part}.weight", matrix)
    for part in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{part}.weight", norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


KINDS = {
    "bert": bert(),
    "bert-cased": bert(lowercase=False),
    "bert-accents": bert(lowercase=True, strip_accents=False),
    "bert-without-accents": bert(lowercase=False, strip_accents=True),
    "whitespace": whitespace(True),
    "whitespace-cased": whitespace(False),
    "t5": unigram(True, True),
    "t5-spaces": unigram(True, False),
    "t5-plain": unigram(False, False),
    "t5-merged": unigram(False, True),
}


@pytest.fixture(scope="module", params=KINDS)
def both(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    source, target = str(folder / "f.gguf"), str(folder / "out")
    write(source, KINDS[request.param])
    zmlx.convert(source, target)
    path = os.path.join(target, "tokenizer.json")
    with open(path, "rb") as file:
        assert json.load(file)["model"]["type"] in ("Unigram", "WordPiece", "BPE")
    return zmlx.Tokenizer(source), zmlx.Tokenizer(target), Reference.from_file(path)


PIECES = (*WORDS, *" \nxzAÉ-\u3002", "  ", "a" * 101, "<own>", "</s>", "<0x41>", "[SEP]", "[MASK]")


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=14))
def test_the_same_ids(both, pieces):
    text = "".join(pieces)
    ours, written, theirs = both
    want = list(ours.encode(text))
    assert list(written.encode(text)) == want
    assert theirs.encode(text).ids == want
