"""What all tests here share: MLX on the CPU without its compiler, and a summary that adds up."""

import os
import sys
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "python"), HERE]
os.environ["MLX_DISABLE_COMPILE"] = "1"  # else MLX calls a C++ compiler for every fused expression
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import hypothesis  # noqa: E402
import mlx.core as mx  # noqa: E402

mx.set_default_device(mx.cpu)

# The examples are the same in every run: a change of ours is what makes a test fail.  More, and
# others each time: ZX_EXAMPLES=1000.
count = int(os.environ.get("ZX_EXAMPLES", "0"))
hypothesis.settings.register_profile(
    "oracle",
    max_examples=count or 50,
    derandomize=not count,
    deadline=None,
    database=None,
    print_blob=True,
)
hypothesis.settings.load_profile("oracle")


def pytest_terminal_summary(terminalreporter):
    """The lines that tools/test_all.sh reads: why what was skipped, and the sum."""
    stats = terminalreporter.stats
    reasons = Counter()
    for report in stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        reasons[str(reason).removeprefix("Skipped: ")] += 1
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped: {reason} ({number})")
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    passed, skipped = len(stats.get("passed", [])), len(stats.get("skipped", []))
    terminalreporter.write_line(f"{passed} passed, {failed} failed, {skipped} skipped")
