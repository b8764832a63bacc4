"""The binding itself: its structs are those of the headers, failures are exceptions, results are
the library's."""

import ctypes
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from tokenizers import Tokenizer as Official

import zmlx
from zmlx import _native

LLAMA = os.path.join(ROOT, "tests/golden/llama")
QUANTIZED = os.path.join(ROOT, "tests/golden/llama-4bit-g64")
TOKENIZERS = os.path.join(ROOT, "tests/data/tokenizers-small")


def test_structs_are_those_of_the_headers(tmp_path):
    lines = ['#include <stddef.h>\n#include <stdio.h>\n#include "zmlx/zmlx.h"\nint main(void){']
    want = []
    for name, struct in _native.STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(zmlx_{name}));')
        want.append(f"{name} {ctypes.sizeof(struct)}")
        for field, _ in struct._fields_:
            lines.append(f'printf("{name}.{field} %zu\\n", offsetof(zmlx_{name}, {field}));')
            want.append(f"{name}.{field} {getattr(struct, field).offset}")
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text("\n".join(lines) + "return 0;}\n")
    compiler = os.environ.get("CC", "cc").split()
    include = "-I" + os.path.join(ROOT, "include")
    subprocess.run([*compiler, "-std=c17", include, str(source), "-o", str(program)], check=True)
    got = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    assert got.split("\n")[:-1] == want


def test_enums_are_those_of_the_headers():
    text = ""
    for header in ("model", "session", "fusion", "status"):
        with open(os.path.join(ROOT, f"include/zmlx/{header}.h"), encoding="utf-8") as file:
            text += re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    for words, prefix in (
        (_native.DTYPES, "ZMLX_DTYPE"),
        (_native.PRECISIONS, "ZMLX_PRECISION"),
        (_native.FINISHES, "ZMLX_FINISH"),
        (_native.VERDICTS, "ZMLX_FUSION"),
    ):
        found = re.findall(prefix + r"_(\w+)(?: = 0)?,", text)
        assert [word.lower() for word in found] == list(words)
    assert len(re.findall(r"ZMLX_ERROR_\w+,", text)) == len(_native.ERRORS) - 1


def test_failures_are_exceptions_with_the_message(tmp_path):
    with pytest.raises(zmlx.Error, match="no-such-folder"):
        zmlx.Model(str(tmp_path / "no-such-folder"))
    (tmp_path / "config.json").write_text('{"architectures": ["Unheard"]}')
    with pytest.raises(zmlx.Error, match="config.json|safetensors"):
        zmlx.Model(str(tmp_path))
    with zmlx.Model(LLAMA) as model:
        with pytest.raises(ValueError, match="precision is 'q4'; expected one of"):
            model.session(precision="q4")
        with model.session(threads=1) as session:
            with pytest.raises(zmlx.ArgumentError, match="temperature"):
                session.generate([1, 2], temperature=-1.0)
            with pytest.raises(zmlx.ArgumentError):
                session.logits([model.vocabulary])
    with pytest.raises(ValueError, match="closed"):
        session.logits([1])


def test_a_model_says_what_it_is():
    with zmlx.Model(LLAMA) as model:
        assert model.architecture == "LlamaForCausalLM" and model.dtype == "f32"
        assert model.path.endswith("llama") and model.layers > 0 and model.parameters > 1000
        need = model.estimate(context=64)
        assert need.weights == model.weight_bytes and need.kv > 0 and need.available > 0
        assert "rmsnorm" in model.graph(fuse=False)
        assert model.graph(dot=True).startswith("digraph")
    assert zmlx.inspect(LLAMA)["architecture"] == "LlamaForCausalLM"
    assert re.fullmatch(r"\d+\.\d+\.\d+", zmlx.__version__)


def test_logits_and_greedy_tokens_agree():
    prompt = [5, 9, 33, 7]
    with zmlx.Model(QUANTIZED) as model, model.session(threads=2) as session:
        heard = []
        result = session.generate(
            prompt, max_tokens=6, ignore_eos=True, on_token=lambda *piece: heard.append(piece)
        )
        assert result.finish == "length" and result.prompt_tokens == 4
        assert len(result.tokens) == 6 and result.text == ""
        assert heard == [(token, "") for token in result.tokens]
        logits = np.asarray(session.logits(prompt + result.tokens[:-1]))
        assert logits.shape == (9, model.vocabulary) and logits.dtype == np.float32
        assert logits[3:].argmax(-1).tolist() == result.tokens
        again = session.generate(prompt, max_tokens=2, ignore_eos=True)
        assert again.tokens == result.tokens[:2]
        assert session.perplexity(prompt * 4, window=8).predicted == 14


def test_a_callback_may_stop_and_may_raise():
    with zmlx.Model(LLAMA) as model, model.session(threads=1) as session:
        result = session.generate([1, 2], max_tokens=9, ignore_eos=True, on_token=lambda *_: False)
        assert result.finish == "cancelled" and len(result.tokens) == 1

        def fails(*_):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            session.generate([1, 2], max_tokens=9, on_token=fails, ignore_eos=True)


def test_fusions_keep_every_bit():
    ids = list(range(3, 20))
    with zmlx.Model(QUANTIZED) as model:
        sites = model.discover(threads=1)
        assert sites and {site.verdict for site in sites} <= set(_native.VERDICTS)
        assert any(site.verdict == "applied" and site.bytes_saved > 0 for site in sites)
        rule = sites[0].rule
        assert all(
            site.rule != rule or site.verdict == "off" for site in model.discover(exclude=[rule])
        )
        with pytest.raises(zmlx.ArgumentError, match="no-such-rule"):
            model.discover(include=["no-such-rule"])
        results = []
        for change in (model.unfuse, model.fuse, lambda: model.fuse(exclude=[rule])):
            change()
            with model.session(threads=1) as session:
                results.append(np.array(session.logits(ids)))
        assert all(np.array_equal(results[0], other) for other in results[1:])


def test_kernels():
    rows = zmlx.kernels()
    assert {"rmsnorm", "matmul"} <= {row.op for row in rows if row.usable_here}


@pytest.mark.parametrize("name", sorted(os.listdir(TOKENIZERS)))
def test_tokenizers_agree_with_the_official_library(name):
    folder = os.path.join(TOKENIZERS, name)
    official = Official.from_file(os.path.join(folder, "tokenizer.json"))
    official.no_padding()
    official.no_truncation()
    texts = ["Hello, world!", "  two  spaces\n", "zażółć 漢字 \U0001f600", "a\0b", ""]
    with zmlx.Tokenizer(folder) as ours:
        assert len(ours) >= official.get_vocab_size()
        for text in texts:
            for special in (True, False):
                ids = official.encode(text, add_special_tokens=special).ids
                assert ours.encode(text, special) == ids
                for skip in (True, False):
                    want = official.decode(ids, skip_special_tokens=skip)
                    assert ours.decode(ids, skip) == want


def test_templates(tmp_path):
    source = os.path.join(TOKENIZERS, sorted(os.listdir(TOKENIZERS))[0], "tokenizer.json")
    shutil.copy(source, tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"chat_template": "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}'
        '{% if add_generation_prompt %}[{{ name }}]{% endif %}"}'
    )
    with zmlx.Tokenizer(str(tmp_path)) as tokenizer:
        assert tokenizer.has_template
        talk = [{"role": "user", "content": "hé"}]
        assert tokenizer.render(talk, name="bot") == "[user]hé[bot]"
        assert tokenizer.render(talk, generation_prompt=False) == "[user]hé"
