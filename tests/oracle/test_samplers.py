"""The sampler's filters against mlx-lm's make_sampler: which tokens may be drawn, and how likely
each is.  The draws themselves come from different generators and are not compared.

mlx-lm works with f32 log-probabilities, ours with f64 shares.  So a token may be in on one side and
out on the other only at an edge: its share of the probability above lies within EDGE of top_p, its
logit within EDGE of min_p's limit, or it ties with the last one in (of equal tokens at the end of
top_p mlx-lm keeps all, ours those that come first; top_k keeps any there).
"""

import math

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm import sample_utils

import ops

EDGE = 2e-5


def weights_of_mlx(logits, temperature, top_p, min_p, top_k):
    """What make_sampler hands to the draw, as probabilities."""
    seen = []
    original = sample_utils.categorical_sampling
    sample_utils.categorical_sampling = lambda logprobs, temp: seen.append(logprobs * (1 / temp))
    try:
        sampler = sample_utils.make_sampler(temperature, top_p, min_p, 1, top_k)
        row = mx.array(logits)[None]
        sampler(row - mx.logsumexp(row, axis=-1, keepdims=True))
    finally:
        sample_utils.categorical_sampling = original
    return np.array(mx.softmax(seen[0][0]), np.float64)


def at_an_edge(logits, token, last, top_p, min_p):
    shares = np.exp(logits.astype(np.float64) - logits.max())
    above = shares[logits > logits[token]].sum() / shares.sum()
    floor = logits.max() + (math.log(min_p) if min_p else -math.inf)
    tie = all(logits[token] == logit for logit in last)
    return tie or abs(above - top_p) < EDGE or abs(logits[token] - floor) < EDGE


@pytest.mark.parametrize("filters", ("top_p", "min_p", "top_k", "top_p min_p top_k", ""))
@given(data=st.data())
def test_filters(filters, data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count = data.draw(st.sampled_from((5, 64, 1000)))
    logits = (random.standard_normal(count) * data.draw(st.sampled_from((0.5, 3, 10)))).astype("f4")
    if data.draw(st.booleans()):
        logits = np.round(logits * 2) / np.float32(2)  # ties
    temperature = data.draw(st.sampled_from((0.3, 1.0, 2.0)))
    top_p = data.draw(st.sampled_from((0.1, 0.5, 0.9, 0.99))) if "top_p" in filters else 0.0
    min_p = data.draw(st.sampled_from((0.01, 0.1, 0.5))) if "min_p" in filters else 0.0
    top_k = data.draw(st.sampled_from((1, 3, 4))) if "top_k" in filters else 0
    want = weights_of_mlx(logits, temperature, top_p, min_p, top_k)
    got, token = ops.sample(
        logits, temperature=temperature, top_p=top_p, min_p=min_p, top_k=top_k, seed=7
    )
    got = got / got.sum()
    assert got[token] > 0
    ours, theirs = got > 0, want > 0
    last = logits[ours].min(), logits[theirs].min()
    for odd in np.flatnonzero(ours != theirs):
        # a share that f32 cannot hold is 0 there
        tiny = 0 < got[odd] < 1e-37
        assert tiny or at_an_edge(logits, odd, last, top_p, min_p), f"token {odd}"
    both = ours & theirs
    if not both.any():
        return  # one of several equal tokens
    # the exponent (logit - largest) / temperature is rounded a few times in f32
    spread = (logits.max() - logits[both]) / temperature + np.abs(logits).max() / temperature
    relative = 8 * (spread + count + 8) * ops.UNIT["f32"]
    a, b = got[both] / got[both].sum(), want[both] / want[both].sum()
    assert (np.abs(a - b) <= relative * b + 1e-37).all()


@given(data=st.data())
def test_greedy(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    logits = np.round(random.standard_normal(50) * 3).astype("f4")
    _, token = ops.sample(logits, temperature=0)
    assert token == sample_utils.make_sampler(0.0)(mx.array(logits)).item()
