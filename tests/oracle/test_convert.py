"""Folders that zmlx writes, against what mlx-lm's own convert makes of the same checkpoint: every tensor
bit for bit, the config, the index; and whole models on both sides of a quantization, or out of a
GGUF file, by their logits.

In the fp modes an exact tie may go to either neighbour and a zero has either sign: there scales must be
equal and codes where they are not excused (test_formats.py holds them tighter).
"""

import glob
import json
import os

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten
from mlx_lm import utils
from mlx_lm.convert import mixed_quant_predicate_builder
from test_models import CASES, CLOSE, VOCABULARY, logits_of, make

import zmlx

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "tests", "golden")

# Raw checkpoints of Hugging Face's that mlx-lm can load, one of every kind of layout.
FOLDERS = (
    "gemma2-caps",
    "glm4_moe_lite-flash",
    "gpt_oss-mxfp4-hf",
    "llama",
    "llama-tied",
    "ministral3-window",
    "mixtral",
    "olmo2-gqa",
    "olmoe",
    "phi3-window",
    "qwen2_moe-shared",
    "smollm3-nope",
    "starcoder2-window",
)
WAYS = {
    "affine 4/32": {"mode": "affine", "bits": 4, "group": 32},
    "affine 3/32": {"mode": "affine", "bits": 3, "group": 32},
    "mxfp8": {"mode": "mxfp8"},
    "mxfp4": {"mode": "mxfp4"},
    "nvfp4": {"mode": "nvfp4"},
    "mixed_2_6": {"mode": "affine", "bits": 2, "group": 32, "recipe": "mixed_2_6"},
    "mixed_3_4": {"mode": "affine", "bits": 3, "group": 32, "recipe": "mixed_3_4"},
}

# What configs of transformers 5 say otherwise; mlx-lm's own convert leaves it to be guessed.
OLDER_NAMES = (
    "num_experts",
    "partial_rotary_factor",
    "rope_local_base_freq",
    "rope_scaling",
    "rope_theta",
)


def weights_of(folder):
    found = {}
    for path in glob.glob(os.path.join(folder, "model*.safetensors")):
        found.update(mx.load(path))
    return found


def bits_of(array):
    if array.dtype == mx.bfloat16:
        array = array.view(mx.uint16)
    return np.array(array)


def compare(ours, theirs, exact=True):
    """Tensors of the same names, shapes, dtypes and bits."""
    assert sorted(ours) == sorted(theirs)
    for name, want in theirs.items():
        got = ours[name]
        assert (got.dtype, got.shape) == (want.dtype, want.shape), name
        same = bits_of(got).tobytes() == bits_of(want).tobytes()
        assert same or (not exact and want.dtype == mx.uint32), name


def quantize_there(model, config, way):
    predicate = None
    if "recipe" in way:
        predicate = mixed_quant_predicate_builder(way["recipe"], model, way["group"])
    return utils.quantize_model(
        model,
        config,
        way.get("group"),
        way.get("bits"),
        mode=way["mode"],
        quant_predicate=predicate,
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FOLDERS)
def test_folders_are_quantized_as_by_mlx_lm(name, way, tmp_path):
    source = os.path.join(GOLDEN, name)
    model, config = utils.load_model(utils.Path(source))
    if "recipe" in WAYS[way] and name.startswith("starcoder2"):
        with pytest.raises(zmlx.UnsupportedError, match="down_proj"):
            zmlx.convert(source, str(tmp_path / "ours"), **WAYS[way])
        return
    model, config = quantize_there(model, config, WAYS[way])
    utils.save_model(tmp_path / "theirs", model)
    utils.save_config(config, tmp_path / "theirs" / "config.json")
    zmlx.convert(source, str(tmp_path / "ours"), **WAYS[way])
    fp4 = WAYS[way]["mode"] in ("mxfp4", "nvfp4")
    compare(weights_of(tmp_path / "ours"), weights_of(tmp_path / "theirs"), exact=not fp4)
    ours, theirs = (
        {
            file: json.loads((tmp_path / side / file).read_text())
            for file in ("config.json", "model.safetensors.index.json")
        }
        for side in ("ours", "theirs")
    )
    for name in OLDER_NAMES:
        if name not in theirs["config.json"]:
            ours["config.json"].pop(name, None)
    theirs["config.json"].setdefault(
        "tie_word_embeddings", ours["config.json"]["tie_word_embeddings"]
    )
    if "text_config" in theirs["config.json"]:  # mlx-lm adds defaults to it while it loads
        del theirs["config.json"]["text_config"], ours["config.json"]["text_config"]
    assert ours == theirs
    utils.load_model(tmp_path / "ours")


EXTREMES = (0.0, -0.0, 1e-45, -1e-40, 1e-7, -1e-7, 1.0, -1.0, 3.0, 2.0**15, -(2.0**15))


def write_llama(folder, weight, dtype):
    """A model of one matrix besides its norm: the embedding, which is the head too."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": weight.shape[1],
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "rms_norm_eps": 1e-5,
        "vocab_size": weight.shape[0],
        "tie_word_embeddings": True,
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    parts = {
        "model.embed_tokens.weight": mx.array(weight).astype(dtype),
        "model.norm.weight": mx.ones(weight.shape[1]).astype(dtype),
    }
    mx.save_safetensors(str(folder / "model.safetensors"), parts)
    return parts["model.embed_tokens.weight"]


@pytest.mark.parametrize("dtype", (mx.float32, mx.float16, mx.bfloat16))
@pytest.mark.parametrize("bits", (2, 3, 4, 5, 6, 8))
@settings(max_examples=10)
@given(data=st.data())
def test_affine_is_bit_exact_with_mx_quantize(bits, dtype, data, tmp_path_factory):
    group = data.draw(st.sampled_from((32, 64, 128)))
    shape = (data.draw(st.integers(1, 5)), group * data.draw(st.integers(1, 3)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    weight = random.standard_normal(shape) * 2.0 ** data.draw(st.integers(-30, 10))
    share = data.draw(st.sampled_from((0, 0.1, 1)))
    weight = np.where(random.random(shape) < share, random.choice(EXTREMES, shape), weight)
    if data.draw(st.booleans()):
        weight[0] = data.draw(st.sampled_from(EXTREMES))
    folder = tmp_path_factory.mktemp("affine")
    source = write_llama(folder / "source", weight.astype(np.float32), dtype)
    zmlx.convert(str(folder / "source"), str(folder / "out"), "affine", bits, group, threads=2)
    got = weights_of(folder / "out")
    want = mx.quantize(source, group_size=group, bits=bits)
    for part, array in zip(("weight", "scales", "biases"), want):
        there = got["model.embed_tokens." + part]
        assert there.dtype == array.dtype and there.shape == array.shape
        assert bits_of(there).tobytes() == bits_of(array).tobytes(), part


@pytest.mark.parametrize("name", ("llama", "qwen3_moe", "gemma3", "deepseek_v3", "lfm2", "gpt_oss"))
def test_rules_and_logits(name, tmp_path):
    """A quantized folder gives the same logits on both sides; a rule reaches what it names."""
    kind, config = CASES[name]
    model, config = make(kind, config)
    utils.save_model(tmp_path / "source", model)
    (tmp_path / "source" / "config.json").write_text(json.dumps(config))
    rules = {"*.o*_proj": {"bits": 8, "group_size": 32}, "*embed*": False}
    zmlx.convert(
        str(tmp_path / "source"), str(tmp_path / "out"), "affine", 4, 32, rules=rules, threads=2
    )
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    named = [path for path in written["quantization"] if ".o" in path]
    entry = {"bits": 8, "group_size": 32, "mode": "affine"}
    assert named and all(written["quantization"][path] == entry for path in named)
    assert written["quantization"] == written["quantization_config"]
    there, _ = utils.load_model(tmp_path / "out")
    parts = dict(tree_flatten(there.parameters()))
    assert all(path + ".scales" in parts for path in named)
    assert not any("embed" in path and path.endswith(".scales") for path in parts)
    ids = np.random.default_rng(5).integers(0, VOCABULARY, 24).tolist()
    want = logits_of(there, ids)
    with zmlx.Model(str(tmp_path / "out"), mlx_cpu_decode=True) as ours:
        with ours.session(precision="f32", threads=2) as session:
            got = np.array(session.logits(ids))
    assert np.abs(got - want).max() <= CLOSE * np.abs(want).max()


@pytest.mark.parametrize("name", ("llama", "granitemoe", "mixtral", "olmoe-norm", "qwen3_next"))
def test_ropes_of_transformers_5_reach_mlx_lm(name, tmp_path):
    """Configs with "rope_parameters" alone, which mlx-lm's models of these kinds do not read."""
    zmlx.convert(os.path.join(GOLDEN, name), str(tmp_path / "out"))
    there, config = utils.load_model(tmp_path / "out")
    ids = np.random.default_rng(5).integers(0, config["vocab_size"], 24).tolist()
    want = logits_of(there, ids)
    with zmlx.Model(str(tmp_path / "out")) as ours:
        with ours.session(precision="f32", threads=2) as session:
            got = np.array(session.logits(ids))
    assert np.abs(got - want).max() <= CLOSE * np.abs(want).max()


@pytest.mark.parametrize("name", ("llama-4bit-g64", "mixtral-4bit-g64", "llama-6bit-g32"))
def test_dequantizes_as_mlx_lm(name, tmp_path):
    source = os.path.join(GOLDEN, name)
    model, _ = utils.load_model(utils.Path(source))
    want = dict(tree_flatten(utils.dequantize_model(model).parameters()))
    zmlx.convert(source, str(tmp_path / "out"), dequantize=True, mlx_cpu_decode=True)
    compare(weights_of(tmp_path / "out"), want)
    assert "quantization" not in json.loads((tmp_path / "out" / "config.json").read_text())


# GGUF files whose models mlx-lm computes as the official code does (its LFM2 has no head of its own).
GGUF = (
    "cohere2",
    "deepseek2",
    "deepseek2-glm",
    "gemma4",
    "gemma4-a4b",
    "glm4moe",
    "gpt-oss-plain",
    "granite",
    "granite-bias",
    "granitemoe",
    "lfm2",
    "lfm2-q8_0",
    "lfm2moe",
    "llama-llama3",
    "llama-nemo",
    "mistral3",
    "olmo2",
    "olmo3",
    "olmoe",
    "phi3",
    "qwen2",
    "qwen2-q4_0",
    "qwen2moe",
    "qwen3",
    "qwen3-q8_0",
    "qwen35",
    "qwen35-f16",
    "qwen35-vision",
    "qwen35moe",
    "qwen35moe-tiled",
    "qwen3moe",
    "qwen3moe-q8_0",
    "qwen3next",
    "qwen3next-sizes",
    "qwen3next-together",
    "smollm3",
)


@pytest.mark.parametrize("name", GGUF)
def test_gguf_becomes_a_folder_that_mlx_lm_runs(name, tmp_path):
    """With scales of f32 every block keeps its values, so the logits are those of the file."""
    source = os.path.join(GOLDEN, "gguf", name + ".gguf")
    golden = mx.load(source.removesuffix(".gguf") + ".safetensors")
    ids = np.array(golden["tokens"]).reshape(-1).tolist()
    zmlx.convert(source, str(tmp_path / "out"), dtype="f32", threads=2)
    model, _ = utils.load_model(tmp_path / "out")
    want = logits_of(model, ids)
    for path in (source, str(tmp_path / "out")):
        with zmlx.Model(path) as ours, ours.session(precision="f32", threads=2) as session:
            got = np.array(session.logits(ids))
        assert np.abs(got - want).max() <= CLOSE * np.abs(want).max(), path
