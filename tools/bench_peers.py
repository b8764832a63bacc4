#!/usr/bin/env python3
"""bench_peers.py - zmlx against llama.cpp on the same GGUF file, interleaved in one run.

    bench_peers.py --zmlx build/zmlx MODEL.gguf [--threads 1,2] [--rounds 5] [--check]

A round measures both once, in the order A B, then B A, so that a machine that slows down or
speeds up hits both alike.  Each measurement is a process of its own with a warm-up.  Printed are
the medians, the ratio per round (median, lowest, highest) and the floor it has to reach; --check
makes a missed floor an error.  llama.cpp comes through llama-cpp-python; see 'make bench-peers'.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

FLOORS = {"prefill": 2.0, "decode": 1.3}
TESTS = ("prefill", "decode")


def default_model():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "zmlx", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")


def peer(args, threads):
    """Runs in a child: one warm-up and one timed pass of llama.cpp; prints tokens per second."""
    import ctypes
    import llama_cpp as lc

    silent = lc.llama_log_callback(lambda level, text, user: None)
    lc.llama_log_set(silent, ctypes.c_void_p(0))
    lc.llama_backend_init()
    model = lc.llama_model_load_from_file(args.model.encode(), lc.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {args.model}")
    params = lc.llama_context_default_params()
    params.n_ctx = args.prompt + args.generate + 64
    params.n_batch = params.n_ubatch = args.prompt
    params.n_threads = params.n_threads_batch = threads
    context = lc.llama_init_from_model(model, params)
    size = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(model))
    ids = [(7919 * i + 13) % (size - 256) + 128 for i in range(args.prompt)]

    def feed(chunk):
        tokens = (lc.llama_token * len(chunk))(*chunk)
        if lc.llama_decode(context, lc.llama_batch_get_one(tokens, len(chunk))) != 0:
            sys.exit("llama.cpp: decode failed")
        lc.llama_synchronize(context)

    def timed(chunks, count):
        lc.llama_memory_clear(lc.llama_get_memory(context), True)
        start = time.perf_counter()
        for chunk in chunks:
            feed(chunk)
        return count / (time.perf_counter() - start)

    steps = [[ids[i % len(ids)]] for i in range(args.generate)]
    timed([ids], args.prompt)
    timed(steps[:8], 8)
    print(json.dumps({"prefill": timed([ids], args.prompt), "decode": timed(steps, args.generate)}))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def measure_peer(args, threads):
    return json.loads(run([sys.executable, os.path.abspath(__file__), args.model,
                           "--prompt", str(args.prompt), "--generate", str(args.generate),
                           "--child", str(threads)]).splitlines()[-1])


def measure_zmlx(args, threads):
    text = run([args.zmlx, "bench", args.model, "-p", str(args.prompt), "-n", str(args.generate),
                "-r", "1", "--threads", str(threads), "--precision", args.precision,
                "--output", "jsonl"])
    speed = {}
    for line in text.splitlines():
        test = json.loads(line)
        speed["prefill" if test["n_gen"] == 0 else "decode"] = test["avg_ts"]
    return speed


def compare(args, threads):
    """Returns {test: ([zmlx], [peer])} of all rounds, measured ABBA."""
    samples = {test: ([], []) for test in TESTS}
    for number in range(args.rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for side in order:
            speed = (measure_zmlx, measure_peer)[side](args, threads)
            for test in TESTS:
                samples[test][side].append(speed[test])
        print(f"\r{threads} threads: round {number + 1}/{args.rounds}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return samples


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=default_model())
    parser.add_argument("--zmlx", default="build/zmlx")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--precision", default="q8")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return peer(args, args.child)

    missed = 0
    print(f"| threads | test | zmlx {args.precision} t/s | llama.cpp t/s | ratio | spread | floor |")
    print("|---:|---|---:|---:|---:|---|---:|")
    for threads in (int(word) for word in args.threads.split(",")):
        for test, (ours, theirs) in compare(args, threads).items():
            ratios = [a / b for a, b in zip(ours, theirs)]
            middle = statistics.median(ratios)
            missed += middle < FLOORS[test]
            size = args.prompt if test == "prefill" else args.generate
            print(f"| {threads} | {test} {size} | {statistics.median(ours):.1f} "
                  f"| {statistics.median(theirs):.1f} | {middle:.2f} "
                  f"| {min(ratios):.2f} to {max(ratios):.2f} | {FLOORS[test]:.1f} |", flush=True)
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
