"""Tokenizers against the library that defines tokenizer.json, string by string.

Strings are made from what a vocabulary itself holds: pieces of its tokens, its added tokens glued
to them, and code points of every class.  Ids with and without special tokens, and the decoded text
with and without them, must be the library's; where the normalizer loses nothing the text comes
back.  Vocabularies are read from $ZX_SHARED.
"""

import json
import lzma
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Reference
from tokenizing import same, same_text, texts

import zmlx

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.environ.get("ZX_SHARED", os.path.join(ROOT, "..", "shared")), "data")
# Published ones whose normalizer and decoder give every text back.
LOSSLESS = {"llama3", "deepseek_v3", "gemma3"}


def folders():
    found = {}
    for kind in ("tokenizers", "tokenizers-small"):
        top = os.path.join(SHARED, kind)
        for name in sorted(os.listdir(top)) if os.path.isdir(top) else []:
            found[name] = os.path.join(top, name)
    return found


FOLDERS = folders()
if not FOLDERS:
    pytest.skip("no $ZX_SHARED/data with vocabularies", allow_module_level=True)


def read(folder):
    path = os.path.join(folder, "tokenizer.json")
    if os.path.exists(path):
        with open(path, "rb") as file:
            return file.read()
    with lzma.open(path + ".xz") as file:
        return file.read()


def pair(data, folder):
    """Ours and the library's tokenizer of the same bytes."""
    path = os.path.join(folder, "tokenizer.json")
    with open(path, "wb") as file:
        file.write(data)
    theirs = Reference.from_str(data.decode())
    theirs.no_truncation()
    theirs.no_padding()
    return zmlx.Tokenizer(str(folder)), theirs


class Both:
    """Two tokenizers under one name, which is all that a failing example prints of them."""

    def __init__(self, name, folder):
        self.name = name
        self.ours, self.theirs = pair(read(FOLDERS[name]), folder)
        self.known = pieces(self.theirs)

    def __repr__(self):
        return self.name


@pytest.fixture(scope="module", params=FOLDERS)
def both(request, tmp_path_factory):
    return Both(request.param, tmp_path_factory.mktemp(request.param))


def pieces(theirs):
    """Texts of tokens, evenly over the vocabulary, as they are and as they look decoded."""
    tokens = sorted(theirs.get_vocab().items(), key=lambda item: item[1])
    step = max(1, len(tokens) // 2000)
    texts = [text for text, _ in tokens[::step]]
    texts += [theirs.decode([number], skip_special_tokens=False) for _, number in tokens[::step]]
    added = [token.content for token in theirs.get_added_tokens_decoder().values()]
    return sorted({text for text in texts if text}), added[:64] or ["<s>"]


@given(st.data())
def test_agrees(both, data):
    text = data.draw(texts(both.known))
    ids = same(both.ours, both.theirs, text)
    if both.name in LOSSLESS and "\u2581" not in text:
        assert both.ours.decode(ids) == text


@given(st.data())
def test_any_ids_decode_alike(both, data):
    top = both.theirs.get_vocab_size() - 1
    numbers = st.one_of(st.integers(0, top), st.integers(0, min(top, 300)))
    ids = data.draw(st.lists(numbers, max_size=20))
    same_text(both.ours, both.theirs, ids)
