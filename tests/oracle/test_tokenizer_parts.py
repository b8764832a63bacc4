"""Tokenizers put together at random, against the library that defines tokenizer.json.

Any normalizer with any pre-tokenizer, model, decoder, post-processor and added tokens, each with
random fields, over a small vocabulary of theirs: what the library reads we read, and ids and texts
are its own.
"""

import json
import os
import tempfile

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Reference
from tokenizers.pre_tokenizers import ByteLevel
from tokenizing import ask, same, same_text, texts

import zmlx

FLAG = st.booleans()
# What a pattern may say; each is tried in texts that hold what it looks for.
# fmt: off
REGEX = st.sampled_from(
    [r"\s+", r"\w+", r"\d", r"\p{L}+|\p{N}", r"[^\s\p{L}]+", "a|b", r"(?i:'s|'ll)", r"\s+(?!\S)|\s",
     "x*", r"^a", r".$", "é", r"[a-c]{1,2}", "(?=b)", r"\b"]
)
# fmt: on
LITERAL = st.sampled_from(["", " ", "a", "ab", "é", "\u2581", ".", "''", "``", "12"])
PATTERN = st.one_of(
    REGEX.map(lambda text: {"Regex": text}), LITERAL.map(lambda text: {"String": text})
)
CONTENT = st.sampled_from(["", " ", "\u2581", "x", "é", "ab", "e\u0301", "A"])
CHARACTER = st.sampled_from([" ", "\u2581", "_", "a", "é", "."])
BEHAVIOR = st.sampled_from(
    ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
)
SCHEME = st.sampled_from(["always", "first", "never"])


def part(kind, **fields):
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


def sequence(field, parts):
    """One of the parts, or up to three in a row."""
    return st.one_of(
        parts, st.lists(parts, max_size=3).map(lambda row: {"type": "Sequence", field: row})
    )


NORMALIZERS = st.one_of(
    *(
        part(kind)
        for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")
    ),
    part("Strip", strip_left=FLAG, strip_right=FLAG),
    part("Replace", pattern=PATTERN, content=CONTENT),
    part("Prepend", prepend=CONTENT.filter(bool)),  # an empty one breaks the library's offsets
    part(
        "BertNormalizer",
        clean_text=FLAG,
        handle_chinese_chars=FLAG,
        lowercase=FLAG,
        strip_accents=st.sampled_from([None, True, False]),
    ),
)
METASPACE = part("Metaspace", replacement=CHARACTER, prepend_scheme=SCHEME, split=FLAG)
BYTE_LEVEL = part("ByteLevel", add_prefix_space=FLAG, trim_offsets=FLAG, use_regex=FLAG)
PRE_TOKENIZERS = st.one_of(
    *(
        part(kind)
        for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts")
    ),
    BYTE_LEVEL,
    METASPACE,
    part("Split", pattern=PATTERN, behavior=BEHAVIOR, invert=FLAG),
    part("Digits", individual_digits=FLAG),
    part("Punctuation", behavior=BEHAVIOR),
    part("CharDelimiterSplit", delimiter=CHARACTER),
    part("FixedLength", length=st.integers(1, 5)),
)
DECODERS = st.one_of(
    *(part(kind) for kind in ("ByteFallback", "Fuse")),
    BYTE_LEVEL,
    METASPACE,
    part("Strip", content=CHARACTER, start=st.integers(0, 3), stop=st.integers(0, 3)),
    part("Replace", pattern=PATTERN, content=CONTENT),
    part("WordPiece", prefix=st.sampled_from(["##", "", "a", "é"]), cleanup=FLAG),
    part("BPEDecoder", suffix=st.sampled_from(["</w>", "", "a"])),
    part(
        "CTC",
        pad_token=st.sampled_from(["<pad>", "a"]),
        word_delimiter_token=st.sampled_from(["|", "b"]),
        cleanup=FLAG,
    ),
)

UNKNOWN = "<unk>"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# fmt: off
SINGLE = ["a", "b", "c", "d", "e", "A", "B", "é", "\u0301", "1", "2", " ", "\u2581", ".", "'", "s",
          "中", "\n", "_", "x", "|", "\u200d"]
WORDS = ["ab", "abc", "bc", " a", "\u2581a", "\u2581ab", "12", "'s", "aa", "aaa", "..", "  ",
         "\u2581\u2581", "é", "e\u0301", "中中", "##a", "##bc", "##é", "ab</w>", "a</w>", "c</w>",
         "A.", "a b", "1a"]
ADDED = ["<s>", "</s>", "<unk>", "foo", "Foo", "é", "e\u0301", " ", "a", "ab", "\u2581x", "中", "1",
         "a b", "ﬁ", "\n"]
# fmt: on
LETTERS = sorted(ByteLevel.alphabet())


@st.composite
def vocabularies(draw, fallback=False):
    """Tokens without repetition: letters, words, bytes; the unknown one may be missing."""
    tokens = draw(st.lists(st.sampled_from(SINGLE + WORDS), max_size=30))
    if draw(FLAG):
        tokens = LETTERS + tokens
    if fallback:
        tokens = (
            BYTES if draw(FLAG) else draw(st.lists(st.sampled_from(BYTES), max_size=8))
        ) + tokens
    if draw(st.integers(0, 4)):
        tokens = [UNKNOWN, *tokens]
    if draw(st.integers(0, 9)) == 0:
        tokens.append("")
    return list(dict.fromkeys(tokens)) or ["a"]


OPTIONAL = st.sampled_from([None, UNKNOWN])


@st.composite
def byte_pairs(draw):
    fallback = draw(FLAG)
    tokens = draw(vocabularies(fallback))
    prefix = draw(st.sampled_from([None, None, "##", "a"]))
    suffix = draw(st.sampled_from([None, None, "</w>", "b"]))
    merges = []
    for _ in range(draw(st.integers(0, 25))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        cut = len(prefix) if prefix and right.startswith(prefix) else 0
        if [left, right] not in merges and (prefix is None or cut):
            merges.append([left, right])
            tokens.append(left + right[cut:])
    tokens = list(dict.fromkeys(tokens))
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": draw(OPTIONAL),
        "continuing_subword_prefix": prefix,
        "end_of_word_suffix": suffix,
        "fuse_unk": draw(FLAG),
        "byte_fallback": fallback,
        "ignore_merges": draw(FLAG),
        "vocab": {token: number for number, token in enumerate(tokens)},
        "merges": merges,
    }


@st.composite
def unigrams(draw):
    fallback = draw(FLAG)
    tokens = draw(vocabularies(fallback))
    score = st.sampled_from([0.0, -1.0, -1.5, -2.0, -3.25, -10.0, -7.5, 1.0])
    tokens += draw(st.lists(st.sampled_from(tokens), max_size=2))  # twice is no error here
    unknown = tokens.index(UNKNOWN) if UNKNOWN in tokens else draw(st.sampled_from([None, 0]))
    return {
        "type": "Unigram",
        "unk_id": unknown,
        "byte_fallback": fallback,
        "vocab": [[token, draw(score)] for token in tokens],
    }


@st.composite
def words(draw):
    vocabulary = {token: number for number, token in enumerate(draw(vocabularies()))}
    if draw(FLAG):
        return {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN}
    return {
        "type": "WordPiece",
        "vocab": vocabulary,
        "unk_token": UNKNOWN,
        "continuing_subword_prefix": draw(st.sampled_from(["##", "", "a"])),
        "max_input_chars_per_word": draw(st.sampled_from([100, 3])),
    }


@st.composite
def added_tokens(draw, model):
    """Ids as the library itself gives them: those of the model, then new ones.

    One alone is normalized: of two that become the same text it takes either, from run to run.
    """
    vocabulary = model["vocab"]
    known = (
        vocabulary
        if isinstance(vocabulary, dict)
        else {row[0]: i for i, row in enumerate(vocabulary)}
    )
    fresh, rows = len(vocabulary), []
    for content in draw(st.lists(st.sampled_from(ADDED), unique=True, max_size=4)):
        number = known.get(content, fresh)
        fresh += content not in known
        flags = {name: draw(FLAG) for name in ("single_word", "lstrip", "rstrip", "special")}
        rows.append(
            {"id": number, "content": content, **flags, "normalized": not rows and draw(FLAG)}
        )
    return sorted(rows, key=lambda row: row["id"])


def post_processors(added):
    if not added:
        return st.one_of(st.none(), BYTE_LEVEL)
    token = st.sampled_from(added).map(lambda row: [row["content"], row["id"]])
    piece = st.one_of(
        token.map(lambda one: {"SpecialToken": {"id": one[0], "type_id": 0}}),
        st.just({"Sequence": {"id": "A", "type_id": 0}}),
    )
    tokens = {
        row["content"]: {"id": row["content"], "ids": [row["id"]], "tokens": [row["content"]]}
        for row in added
    }
    template = st.lists(piece, max_size=4).map(
        lambda single: {
            "type": "TemplateProcessing",
            "single": [*single, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": tokens,
        }
    )
    others = st.one_of(
        BYTE_LEVEL,
        part("BertProcessing", sep=token, cls=token),
        part("RobertaProcessing", sep=token, cls=token, trim_offsets=FLAG, add_prefix_space=FLAG),
    )
    # No second template: it would take the first one's pieces for a pair of texts.
    few = st.lists(others, max_size=2)
    row = st.tuples(few, template.map(lambda one: [one]) | st.just([]), few).map(
        lambda rows: sum(rows, [])
    )
    return st.one_of(
        st.none(), template, others, row.map(lambda all: {"type": "Sequence", "processors": all})
    )


@st.composite
def documents(draw):
    model = draw(st.one_of(byte_pairs(), unigrams(), words()))
    added = draw(added_tokens(model))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": draw(st.one_of(st.none(), sequence("normalizers", NORMALIZERS))),
        "pre_tokenizer": draw(st.one_of(st.none(), sequence("pretokenizers", PRE_TOKENIZERS))),
        "post_processor": draw(post_processors(added)),
        "decoder": draw(st.one_of(st.none(), sequence("decoders", DECODERS))),
        "model": model,
    }


def open_both(document, rewritten=False):
    """Ours and the library's; none where it refuses the document.  Ours reads the same text, or,
    'rewritten', what the library writes of it."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        theirs = ask(Reference.from_str, text)
    except Exception:
        return None, None
    if rewritten:
        text = theirs.to_str(pretty=True)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
            file.write(text)
        return zmlx.Tokenizer(folder), theirs


def vanishes(theirs):
    """Whether nothing is left of a normalized added token: the library then cuts everywhere."""
    if theirs.normalizer is None:
        return False
    tokens = theirs.get_added_tokens_decoder().values()
    return any(
        token.normalized and not theirs.normalizer.normalize_str(token.content) for token in tokens
    )


@settings(
    max_examples=6 * settings().max_examples,  # there is much to combine
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)
@given(st.data())
def test_any_parts_agree(data):
    document = data.draw(documents())
    ours, theirs = open_both(document, data.draw(FLAG))
    assume(theirs is not None and not vanishes(theirs))
    known = sorted(theirs.get_vocab()), ADDED
    for _ in range(4):
        same(ours, theirs, data.draw(texts(known)))
    top = max(theirs.get_vocab().values())
    ids = data.draw(st.lists(st.integers(0, top), max_size=16))
    same_text(ours, theirs, ids)
