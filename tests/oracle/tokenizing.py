"""What the tests of tokenizers share: strings that are hard on them, and the comparison itself."""

import unicodedata

import pytest
from hypothesis import strategies as st

import zmlx

# Classes of code points; the unassigned ones are left out, of which each version knows others.
OLD = unicodedata.ucd_3_2_0


def settled(char):
    return OLD.category(char) == unicodedata.category(char)


CHARS = st.characters(exclude_categories=["Cs", "Cn"]).filter(settled)
MARKS = st.sampled_from([chr(point) for point in range(0x300, 0x1F000)
                         if unicodedata.category(chr(point))[0] == "M" and settled(chr(point))])
BLANK = st.sampled_from(" \t\n\r\x0b\x0c\x85\xa0\u2003\u2028\u3000\ufeff\u200b\u200d\u2581")
PLAIN = st.sampled_from(
    ["'s", "'S", "'LL", "don't", "0", "12", "123456", "a", "Z", "é", "ß", "İ", "ſ", "中", "の",
     "한", "ا", "ก็", "👩‍👩‍👧", "🇩🇪", "e\u0301", ".", "...", "!?", "_", "-", "/", "<", ">", "|",
     "<0x41>", "<0xFF>", "##", "</w>", "Ġ", "Ċ", "\x00", "\x7f", "\ufffd", "\ufb01", "①", "ﾊﾞ"]
)


def texts(known):
    """Texts of atoms: tokens, added tokens, code points of every class, runs."""
    tokens, added = known
    atom = st.one_of(
        st.sampled_from(tokens),
        st.sampled_from(added),
        PLAIN,
        BLANK,
        st.integers(1, 40).flatmap(lambda n: BLANK.map(lambda c: c * n)),
        CHARS,
        MARKS,
        st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=40),
    )
    return st.lists(atom, max_size=12).map("".join)


class Broke(Exception):
    """The library itself went wrong (its Rust code panics): what we do then is our own affair."""


def ask(function, *arguments, **options):
    """The library's answer."""
    try:
        return function(*arguments, **options)
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise Broke from error
        raise


def same(ours, theirs, text):
    """The ids, which are the library's, and so are their texts; None where it refuses the text."""
    for special in (True, False):
        try:
            want = ask(theirs.encode, text, add_special_tokens=special).ids
        except Broke:
            return None
        except Exception:  # a vocabulary without the unknown token it names
            with pytest.raises(zmlx.Error):
                ours.encode(text, special)
            return None
        got = ours.encode(text, special)
        assert got == want, (text, special)
    same_text(ours, theirs, want)
    return want


def same_text(ours, theirs, ids):
    for skip in (True, False):
        try:
            want = ask(theirs.decode, ids, skip_special_tokens=skip)
        except Broke:
            return
        assert ours.decode(ids, skip) == want, (ids, skip)
