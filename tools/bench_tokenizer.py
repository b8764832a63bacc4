#!/usr/bin/env python3
"""bench_tokenizer.py FOLDER... - our rate of encoding against that of `tokenizers`, a thread each.

Each FOLDER holds a tokenizer.json.  The texts are 1 MB each of English, of code and of Chinese: what
is installed with Python (its licences and docstrings, its library), and Chinese made from a list of
common characters in words of one to four with punctuation; --text NAME=FILE takes another.  Rounds
are interleaved; the table shows the median of ours and of the library's encode and encode_batch_fast
(which leaves out offsets), the median ratio of a round to each and the first one's spread.  Then the
time to open each whole folder (tokenizer, chat template, special tokens): the first time, with no
tables kept from another one, and again with them, each as median, least and most, beside the
library's to read tokenizer.json alone.  --open measures only that.  The files are in the page cache.
ZMLX_LIBRARY names our library.  On one core; ids that differ are an error.
"""

import argparse
import glob
import os
import pydoc_data.topics
import random
import statistics
import sys
import sysconfig
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "python"))
MEGABYTE = 1_000_000
COMMON = (
    "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去"
    "行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从知全两向"
    "明实现高长此点如间动意期文外业新情正等部度理本政化相加机力合工产体信水由问社义平关系建数第应使题记统世界"
)


def filled(parts):
    text = "".join(parts)
    while text and len(text.encode()) < MEGABYTE:
        text += text
    return text.encode()[:MEGABYTE].decode("utf-8", "ignore")


def english():
    return filled(topic for _, topic in sorted(pydoc_data.topics.topics.items()))


def code():
    parts = []
    for path in sorted(glob.glob(os.path.join(sysconfig.get_path("stdlib"), "*.py"))):
        with open(path, encoding="utf-8", errors="ignore") as file:
            parts.append(file.read())
    return filled(parts)


def chinese():
    chance = random.Random(1)
    words = ["".join(chance.choices(COMMON, k=chance.randint(1, 4))) for _ in range(5000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    parts = []
    for word in chance.choices(words, weights, k=MEGABYTE // 6):
        parts.append(word)
        if chance.random() < 0.15:
            parts.append(chance.choice("，。，。、；：“”\n"))
    return filled(parts)


def rate(encode, text):
    begin = time.perf_counter()
    ids = encode(text)
    return len(text.encode()) / (time.perf_counter() - begin) / 1e6, ids


def measure(name, encoders, text, rounds):
    rows = []
    for number in range(rounds):
        order = list(range(len(encoders)))[:: -1 if number % 2 else 1]
        found = {index: rate(encoders[index], text) for index in order}
        if any(ids != found[0][1] for _, ids in found.values()):
            sys.exit(f"{name}: the ids differ")
        rows.append([found[index][0] for index in range(len(encoders))])
    ratios = sorted(row[0] / row[1] for row in rows)
    fast = statistics.median(row[0] / row[2] for row in rows)
    medians = [statistics.median(column) for column in zip(*rows)]
    return *medians, statistics.median(ratios), ratios[0], ratios[-1], fast


def milliseconds(make, path):
    begin = time.perf_counter()
    made = make(path)
    taken = (time.perf_counter() - begin) * 1e3
    del made  # closing is not opening
    return taken


def spread(times):
    return f"{statistics.median(times):.1f} | {min(times):.1f} | {max(times):.1f} |"


def measure_opening(folder, ours, theirs, rounds):
    """Milliseconds: first, again and the library's, a list each; in a store of its own."""
    first, again, other = [], [], []
    before = os.environ.get("ZMLX_STORE")
    with tempfile.TemporaryDirectory() as store:
        os.environ["ZMLX_STORE"] = os.path.join(store, "store.sqlite")
        for _ in range(rounds):
            for kept in glob.glob(os.path.join(store, "tokenizer-*")):
                os.unlink(kept)
            first.append(milliseconds(ours, folder))
            again.append(milliseconds(ours, folder))
            other.append(milliseconds(theirs, os.path.join(folder, "tokenizer.json")))
    if before is None:
        del os.environ["ZMLX_STORE"]
    else:
        os.environ["ZMLX_STORE"] = before
    return first, again, other


def print_opening(folders, ours, theirs, rounds):
    print("| folder | first ms | from | to | again ms | from | to | theirs ms | from | to |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for folder in folders:
        times = measure_opening(folder, ours, theirs, rounds)
        label = os.path.basename(os.path.normpath(folder))
        print(f"| {label} |", *(spread(column) for column in times), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--open", action="store_true", help="measure only the opening")
    parser.add_argument("--text", action="append", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    from tokenizers import Tokenizer

    import zmlx

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if arguments.open:
        print_opening(arguments.folders, zmlx.Tokenizer, Tokenizer.from_file, arguments.rounds)
        return
    texts = {"english": english(), "code": code(), "chinese": chinese()}
    for given in arguments.text:
        name, path = given.split("=", 1)
        with open(path, encoding="utf-8") as file:
            texts[name] = filled([file.read()])
    print("| tokenizer | text | ours MB/s | encode | fast | ratio | from | to | to fast |")
    print("|---|---|---|---|---|---|---|---|---|")
    for folder in arguments.folders:
        ours = zmlx.Tokenizer(folder)
        theirs = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        theirs.no_truncation()
        theirs.no_padding()
        label = os.path.basename(os.path.normpath(folder))
        encoders = [
            ours.encode,
            lambda text, made=theirs: made.encode(text).ids,
            lambda text, made=theirs: made.encode_batch_fast([text])[0].ids,
        ]
        for name, text in texts.items():
            found = measure(f"{label} {name}", encoders, text, arguments.rounds)
            print(f"| {label} | {name} |", *(f"{number:.2f} |" for number in found), flush=True)
    print()
    print_opening(arguments.folders, zmlx.Tokenizer, Tokenizer.from_file, arguments.rounds)


if __name__ == "__main__":
    main()
