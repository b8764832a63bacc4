#!/usr/bin/env bash
# chat_terminal_test.sh - 'zmlx chat' at a terminal: chat_terminal.py on a small checkpoint.
#
# $BUILD (default build) holds the program.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

case ${BUILD:-build} in /*) zmlx=$BUILD/zmlx ;; *) zmlx=$PWD/${BUILD:-build}/zmlx ;; esac
command -v python3 >/dev/null || { echo "python3 was not found"; exit 77; }
[ -x "$zmlx" ] || { echo "FAILED: $zmlx is not there; run make"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# A golden with a tokenizer (a token a byte; letters stand for the model's other ids), a template, and a
# context in which an answer takes minutes.
model=$(mktemp -d)
trap 'rm -rf "$model"' EXIT
trap 'exit 130' INT TERM
cp tests/golden/llama/model.safetensors "$model"
sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 200000/' \
    tests/golden/llama/config.json >"$model/config.json"
echo '{"chat_template": "{% for m in messages %}{{ m.content }}|{% endfor %}>"}' >"$model/tokenizer_config.json"
python3 - "$model/tokenizer.json" <<'PY'
import json, sys
plain = [*range(33, 127), *range(161, 173), *range(174, 256)]  # the others move behind 255
letters = [chr(byte) for byte in plain] + [chr(256 + i) for i in range(256 - len(plain))]
vocabulary = {letter: i for i, letter in enumerate(letters)}
vocabulary |= {f"word{i}": i for i in range(256, 320)}
json.dump({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
           "decoder": {"type": "ByteLevel"},
           "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}, open(sys.argv[1], "w"))
PY
python3 tests/end_to_end/chat_terminal.py "$zmlx" "$model"
