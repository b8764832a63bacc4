#!/usr/bin/env python3
"""bench_fusion.py - what the fusions gain on a model: fused against unfused, in turns.

    bench_fusion.py --zmlx build/zmlx MODEL [--threads 1,2] [--rounds 12] [--runs 1] [--prompt 512] [--generate 128]

'zmlx bench --compare' measures both once a round, decoding step by step in turns; --runs starts it
several times, for more rounds than one process measures.  Printed are the ratio's
mean over the rounds with its lower bound, the mean less two standard errors, and the ratio's median
with its own: the order statistic that lies below the median in 97.5 % of samples.  The median does
not move when other programs disturb some rounds.
"""
import argparse
import json
import statistics
import subprocess
import sys


def measure(args, threads):
    """{(prompt tokens, generated tokens): {fused: [tokens per second of each round]}}, of all runs"""
    command = [args.zmlx, "bench", args.model, "-p", str(args.prompt), "-n", str(args.generate), "-r", str(args.rounds),
               "--threads", str(threads), "--precision", args.precision, "--compare", "--json", "--quiet"]
    tests = {}
    for _ in range(args.runs):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        for row in json.loads(done.stdout)["tests"]:
            sides = tests.setdefault((row["n_prompt"], row["n_gen"]), {True: [], False: []})
            sides[row["fused"]] += row["samples_ts"]
    return tests


def median_bound(ratios):
    """The lower end of the 95 % interval of the median, by order statistics (normal approximation)."""
    below = int((len(ratios) - 1.96 * len(ratios) ** 0.5) / 2)
    return sorted(ratios)[below - 1] if below >= 1 else float("-inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--zmlx", default="build/zmlx")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--precision", default="q8")
    args = parser.parse_args()
    print("| threads | test | fused t/s | unfused t/s | mean ratio | lower bound | median ratio | lower bound |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|")
    for threads in (int(word) for word in args.threads.split(",")):
        for (prompt, generate), sides in measure(args, threads).items():
            ratios = [a / b for a, b in zip(sides[True], sides[False])]
            mean = statistics.mean(ratios)
            error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("inf")
            test = f"prefill {prompt}" if generate == 0 else f"decode {generate}"
            print(f"| {threads} | {test} | {statistics.median(sides[True]):.1f} | {statistics.median(sides[False]):.1f} "
                  f"| {mean:.4f} | {mean - 2 * error:.4f} "
                  f"| {statistics.median(ratios):.4f} | {median_bound(ratios):.4f} |", flush=True)


if __name__ == "__main__":
    main()
