#!/usr/bin/env bash
# cli_test.sh - the program as a user meets it: every command's results, keys, messages, exit codes.
#
# Runs $BUILD/zmlx (default build) on the golden checkpoints, on a folder made of one of them and a
# small tokenizer of $ZX_SHARED (default ../shared), and on the model $ZX_MODEL where it is set.
# Prints a line per check and closes with 'N passed, N failed, N skipped'.
#
# shellcheck disable=SC2016 # conditions are evaluated by check, after the run
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

case ${BUILD:-build} in /*) zmlx=$BUILD/zmlx ;; *) zmlx=$PWD/${BUILD:-build}/zmlx ;; esac
shared=${ZX_SHARED:-../shared}
golden=$PWD/tests/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 skipped=0
status=0 out=$work/out err=$work/err
unset NO_COLOR
export ZMLX_STORE=$work/store.sqlite

pass() { passed=$((passed + 1)) && echo "ok: $*"; }
fail() {
    failed=$((failed + 1))
    echo "FAILED: $* (exit $status)"
    sed 's/^/    stdout: /' <(head -c 400 "$out") && echo
    sed 's/^/    stderr: /' <(head -c 800 "$err") && echo
}
skip() { skipped=$((skipped + 1)) && echo "skipped: $*"; }

# run ARGUMENT... - the program with nothing on standard input.
run() {
    status=0
    "$zmlx" "$@" >"$out" 2>"$err" </dev/null || status=$?
}
# check NAME CONDITION... - the condition is a command.
check() {
    local check_title=$1 # conditions see the names of the script
    shift
    if "$@"; then pass "$check_title"; else fail "$check_title"; fi
}
exits() { [ "$status" = "$1" ]; }
says() { grep -qF -- "$1" "$err"; }
prints() { grep -qF -- "$1" "$out"; }
silent() { [ ! -s "$out" ]; }
both() { # EXIT MESSAGE - the two things a refusal must have, and nothing on stdout
    exits "$1" && says "$2" && silent
}
# json EXPRESSION - stdout is one object 'd' on one line for which the expression holds.
json() {
    python3 - "$out" "$1" <<'PY' 2>>"$err"
import json, math, sys
text = open(sys.argv[1], encoding="utf-8").read()
d = json.loads(text)
assert isinstance(d, dict) and text.count("\n") == 1 and text.endswith("\n"), "not one object"
sys.exit(0 if eval(sys.argv[2]) else 1)
PY
}
# same A B - two safetensors files hold the same logits, bit for bit.
same() { cmp -s "$1" "$2"; }
# near FILE GOLDEN - logits within the bounds beside the golden file.
near() {
    python3 - "$1" "$2" <<'PY' 2>>"$err"
import array, json, struct, sys
def tensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    assert size % 8 == 0
    found = {}
    for name, row in json.loads(data[8:8 + size]).items():
        if name == "__metadata__": continue
        a, b = row["data_offsets"]
        values = array.array("f" if row["dtype"] == "F32" else "i", data[8 + size + a:8 + size + b])
        found[name] = (row["dtype"], row["shape"], values)
    return found
got, want = tensors(sys.argv[1])["logits"], tensors(sys.argv[2] + "/golden.safetensors")["logits"]
meta = json.load(open(sys.argv[2] + "/meta.json"))
def bound(name, node=meta):
    if isinstance(node, dict):
        if name in node: return node[name]
        for child in node.values():
            value = bound(name, child)
            if value is not None: return value
    return None
atol, rtol = bound("atol"), bound("rtol") or 0
assert got[:2] == want[:2], (got[:2], want[:2])
worst = max(abs(a - b) - rtol * abs(b) for a, b in zip(got[2], want[2]))
print("worst", worst, "atol", atol, file=sys.stderr)
sys.exit(0 if worst <= atol else 1)
PY
}
golden_tokens() { # FOLDER -> the ids with commas
    python3 - "$1/golden.safetensors" <<'PY'
import array, json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
a, b = json.loads(data[8:8 + size])["tokens"]["data_offsets"]
print(",".join(map(str, array.array("i", data[8 + size + a:8 + size + b]))))
PY
}

[ -x "$zmlx" ] || { echo "FAILED: $zmlx is not there; run make"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
command -v python3 >/dev/null || { echo "python3 was not found"; exit 77; }
llama=$golden/llama

# --- overview, help, usage ---------------------------------------------------------------------
commands="generate chat logits tokenize detokenize template perplexity bench validate discover inspect kernels patterns quantize convert"
run
check "no arguments: the overview on stderr, exit 2" both 2 "usage: zmlx COMMAND"
run help
check "help: the overview on stdout" eval 'exits 0 && prints "usage: zmlx COMMAND"'
for command in $commands; do check "help names $command" prints "  $command"; done
run --version
check "--version" eval 'exits 0 && grep -qE "^zmlx [0-9]+\.[0-9]+\.[0-9]+" "$out"'
for command in $commands; do
    run "$command" --help
    missing=
    for word in json threads device precision quiet help; do prints "--$word" || missing+=" --$word"; done
    case $command in generate | chat | logits | perplexity | bench | validate | inspect)
        for word in kv dtype; do prints "--$word" || missing+=" --$word"; done ;;
    esac
    check "$command --help lists the common options${missing:+ (not$missing)}" eval '[ -z "$missing" ] && exits 0'
    check "$command --help indents what it says of options" \
        eval 'sed -n "/^Options:/,/^$/p" "$out" | tail -n +2 | tee "$out.options" | grep -q . && ! grep -q "^[^ ]" "$out.options"'
    run "$command" --no-such-option
    check "$command: an unknown option" both 2 "zmlx $command: unknown option --no-such-option"
done
run quantise
check "an unknown command" both 2 "unknown command 'quantise'"
run generte
check "a misspelt command" both 2 "did you mean 'generate'?"
run generate "$llama" -p x --temp abc
check "a value that is no number" both 2 "zmlx generate: --temp: 'abc' is not a number; expected a value of at least 0"
run generate "$llama" -p x --threads 0
check "--threads 0" both 2 "--threads: '0' is out of range"
run kernels --device tpu
check "--device tpu" both 2 "--device: 'tpu' is no device"
run logits "$llama" --tokens 1 --out "$work/x" --precision q7
check "--precision q7" both 2 "--precision: 'q7' is not one of"
run tokenize
check "a missing operand" both 2 "zmlx tokenize: MODEL is missing"
run kernels extra
check "one operand too many" both 2 "'extra' is one operand too many"
run kernels --tmep --json
check "bad usage with --json: an object with the message" \
    eval 'exits 2 && says "unknown option" && json "\"unknown option\" in d[\"error\"][\"message\"]"'

# --- quantize and convert ----------------------------------------------------------------------
run quantize "$llama" "$work/q4" --bits 4 --group 32 --json
check "quantize --json: its keys" eval 'exits 0 && json "d[\"quantized\"] == 23 and d[\"kept\"] == 0 and d[\"shards\"] == 1 and 4 < d[\"bits_per_weight\"] < 8 and set(d) >= {\"out\", \"tensors\", \"parameters\", \"bytes\", \"reused\"}"'
check "quantize: a whole folder and nothing beside it" eval '[ -f "$work/q4/config.json" ] && [ -f "$work/q4/model.safetensors.index.json" ] && [ ! -e "$work/q4.partial" ]'
run validate "$work/q4"
check "quantize: the folder runs, fused as unfused" exits 0
run quantize "$llama" "$work/q4"
check "quantize: a folder that is there is refused" both 2 "$work/q4: exists and is not empty; expected a new name or an empty folder"
run quantize "$work/q4" "$work/q5"
check "quantize: what is quantized already" both 2 "is quantized already; dequantize it first"
mkdir -p "$work/hub/models--tiny--llama/refs" "$work/hub/models--tiny--llama/snapshots"
printf '%040d' 1 >"$work/hub/models--tiny--llama/refs/main"
cp -r "$llama" "$work/hub/models--tiny--llama/snapshots/$(printf '%040d' 1)"
status=0
HF_HUB_CACHE=$work/hub "$zmlx" quantize tiny/llama "$work/qh" --group 32 >"$out" 2>"$err" </dev/null || status=$?
check "quantize: a name in the hub's cache is taken with its own config" eval 'exits 0 && cmp -s "$work/qh/config.json" "$work/q4/config.json"'
run quantize "$llama" "$work/q5" --bits 7
check "quantize --bits 7" both 2 "affine has 2, 3, 4, 5, 6 or 8 bits, not 7"
run quantize "$llama" "$work/q5" --override '*.mlp.*'
check "quantize: an override that says nothing" both 2 "--override: '*.mlp.*' is not GLOB=BITS[:GROUP[:MODE]] or GLOB=keep"
printf '{"*.down_proj": {"bits": 8, "group_size": 32}, "*.embed_tokens": false}' >"$work/rules.json"
run quantize "$llama" "$work/q5" -b 4 -g 32 --override 'lm_head=6:64' --overrides "$work/rules.json" --json
check "quantize: rules by name" eval 'exits 0 && json "d[\"quantized\"] == 22"'
check "quantize: config.json names what differs" python3 -c 'import json, sys
q = json.load(open(sys.argv[1]))["quantization"]
assert q["lm_head"] == {"bits": 6, "group_size": 64, "mode": "affine"}
assert q["model.layers.2.mlp.down_proj"]["bits"] == 8 and len(q) == 3 + 1 + 3' "$work/q5/config.json"
run quantize "$llama" "$work/q6" --mode nvfp4 --quiet
check "quantize --mode nvfp4" exits 0
run quantize "$llama" "$work/q7" --recipe mixed_3_6 --group 32 --quiet
check "quantize --recipe" exits 0
run convert "$work/q4" "$work/back" --dequantize --dtype bf16 --json
check "convert --dequantize" eval 'exits 0 && json "d[\"quantized\"] == 0 and d[\"kept\"] == 0"'
run convert "$golden/gguf/qwen2-q4_0.gguf" "$work/gguf" --json
check "convert: GGUF's codes are kept" eval 'exits 0 && json "d[\"quantized\"] > 4"'
check "convert: a file without a tokenizer says so" says "no tokenizer.json is written"
run convert "$golden/gguf" "$work/none"
check "convert: what is no model" eval 'exits 2 && [ ! -e "$work/none" ] && [ ! -e "$work/none.partial" ]'
status=0
(trap "" XFSZ && ulimit -f 20 && exec "$zmlx" quantize "$llama" "$work/full") >"$out" 2>"$err" </dev/null || status=$?
check "quantize: a disk that takes no more" eval 'both 2 "full.partial/model.safetensors: cannot write it: File too large" && [ ! -e "$work/full" ] && [ ! -e "$work/full.partial" ]'

# --- discover ------------------------------------------------------------------------------------
run discover "$golden/llama-4bit-g64" --json
check "discover --json: its keys" eval 'exits 0 && json "d[\"refused\"] == [] and len(d[\"matched\"]) == len(d[\"applied\"]) > 10 and all(set(s) >= {\"rule\", \"where\", \"bytes_saved\", \"reason\"} for s in d[\"matched\"])"'
cp "$out" "$work/discovered"
run discover "$golden/llama-4bit-g64" --json
check "discover: the outcome does not change from run to run" cmp -s "$out" "$work/discovered"
run discover "$golden/llama-4bit-g64" --exclude gate_up_glu
check "discover --exclude: off, with the reason" eval 'exits 0 && prints "left out by name"'
run discover "$golden/llama-4bit-g64" --include no_such_rule
check "discover: an unknown rule" both 2 "no fusion rule is called 'no_such_rule'"
run discover "$golden/llama-4bit-g64" --undo
check "discover --undo" eval 'exits 0 && silent'
run discover "$golden/gemma4-a4b" --apply --json
cp "$out" "$work/discovered"
run discover "$golden/gemma4-a4b" --json
check "discover --apply: what it says is what holds from then on" cmp -s "$out" "$work/discovered"
run discover "$golden/gemma4-a4b" --apply --json
check "discover --apply: twice is the same as once" cmp -s "$out" "$work/discovered"
run discover "$golden/gemma4-a4b" --undo

# --- kernels, patterns ---------------------------------------------------------------------------
run kernels
check "kernels: a table" eval 'exits 0 && prints "usable"'
run kernels --json
check "kernels --json" eval 'exits 0 && json "len(d[\"kernels\"]) > 10 and all(k[\"name\"] and k[\"op\"] and k[\"backend\"] and k[\"usable\"] in (True, False) for k in d[\"kernels\"])"'
check "kernels --json: backends" json 'd["backend"] in [b["name"] for b in d["backends"] if b["usable"]] and all(b["usable"] or b["detail"] for b in d["backends"])'
run kernels --check --count 2 --json
check "kernels --check --json" json 'd["broken"] == 0 and d["cases"] >= 2 * sum(k["usable"] for k in d["kernels"]) and all(k["holds"] and k["checks"] > k["cases"] and k["errors"] and all(e["nmse"] <= e["nmse_bound"] and e["row_max"] <= e["row_max_bound"] and e["ulps"] <= e["ulps_bound"] for e in k["errors"].values()) for k in d["kernels"] if k["usable"]) and sum(1 for n in d["properties"].values() if n > 0) >= 20'
run kernels --check --op rmsnorm --seed 7 --count 1
check "kernels --check --op" eval 'exits 0 && prints "rmsnorm_ref" && ! prints "attention_ref" && prints " 0 broken"'
run kernels --check --op rmsnrom
check "kernels --check: an unknown op" both 2 "no kernel of op 'rmsnrom'"
run kernels --op rmsnorm
check "kernels --op without --check" both 2 "belong to --check"
run kernels --check --fingerprint
check "kernels --check and --fingerprint together" both 2 "ask for one"
run kernels --fingerprint --json
cp "$out" "$work/fingerprint"
check "kernels --fingerprint --json" json 'd["probes"] >= 30 and len(d["fingerprint"]) > 8 and all(len(f) == 16 for f in d["fingerprint"].values())'
status=0
ZMLX_ISA=baseline "$zmlx" kernels --fingerprint --json >"$out" 2>"$err" || status=$?
check "fingerprints of two instruction sets" json '[k for k, v in json.load(open("'"$work/fingerprint"'"))["fingerprint"].items() if d["fingerprint"][k] != v] in ([], ["matmul_bf16"])'
run patterns --json
check "patterns --json" eval 'exits 0 && json "len(d[\"patterns\"]) >= 7 and all(p[\"pattern\"] for p in d[\"patterns\"])"'

# --- logits --------------------------------------------------------------------------------------
tokens=$(golden_tokens "$llama")
for folder in "$golden"/*/; do
    name=$(basename "$folder")
    case $name in gguf | make | ops | real) continue ;; esac # no checkpoints
    run logits "$golden/$name" --tokens "$(golden_tokens "$golden/$name")" --precision f32 --out "$work/$name"
    check "logits of $name" eval 'exits 0 && near "$work/$name" "$golden/$name"'
done
for variant in "--chunk 1" "--chunk 7" "--chunk 0" "--no-fuse" "--threads 1" "--threads 3"; do
    # shellcheck disable=SC2086 # two words
    run logits "$llama" --tokens "$tokens" --precision f32 $variant --out "$work/variant"
    check "logits do not depend on $variant" eval 'exits 0 && same "$work/variant" "$work/llama"'
done
echo "$tokens" >"$work/ids"
run logits "$llama" --tokens "@$work/ids" --precision f32 --out "$work/variant" --json
check "logits --tokens @F --json" eval 'exits 0 && same "$work/variant" "$work/llama" && json "d[\"tokens\"] == 56"'
for option in "--kv f16" "--kv bf16" "--dtype f16" "--dtype bf16" "--precision q8" "--decode mlx-cpu"; do
    # shellcheck disable=SC2086
    run logits "$golden/llama-4bit-g64" --tokens 1,2,3 $option --out "$work/x"
    check "logits takes $option" exits 0
done
run logits "$llama" --tokens 1,x --out "$work/x"
check "logits: a list with a word in it" both 2 "--tokens: item 2: 'x' is no token id"
run logits "$llama" --tokens 1,-2 --out "$work/x"
check "logits: a negative id" both 2 "--tokens: item 2: '-2' is no token id"
run logits "$llama" --tokens "" --out "$work/x"
check "logits: no ids" both 2 "--tokens: the list is empty"
run logits "$llama" --tokens 1,999999 --out "$work/never"
check "logits: an id outside the vocabulary, and no file" eval 'both 2 999999 && [ ! -e "$work/never" ]'
run logits "$llama" --tokens "$(seq -s, 0 299)" --out "$work/never"
check "logits: more ids than the context" eval 'both 2 "300 tokens" && says 256'
run logits "$llama" --tokens "@$work/none" --out "$work/x"
check "logits: @F without a file" both 2 "cannot open '$work/none': No such file or directory"
run logits "$llama" --tokens 1 --out "$work/none/x"
check "logits: an --out that cannot be written" both 2 "--out: cannot write '$work/none/x'"
run logits "$llama" --tokens 1 --out "$work"
check "logits: an --out that is a folder" both 2 "--out: cannot write '$work'"
if [ -e /dev/full ]; then
    run logits "$llama" --tokens 1 --out /dev/full
    check "logits: --out on a full device" both 2 "No space left on device"
fi
"$zmlx" logits "$llama" --tokens 1,2 --out /dev/stdout 2>"$err" </dev/null | head -c 60 >"$out"
status=${PIPESTATUS[0]}
check "logits: --out /dev/stdout into a pipe" eval 'exits 0 && prints "{\"logits\""'
run logits "$llama" --tokens 1
check "logits without --out" both 2 "--out F.safetensors is missing"
run logits "$llama" --out "$work/x"
check "logits without --tokens" both 2 "--tokens 1,2,3 is missing"
run logits "$work/nowhere" --tokens 1 --out "$work/never" --json
check "a model that is not there is named, also in JSON" \
    eval 'exits 2 && says "$work/nowhere" && json "\"nowhere\" in d[\"error\"][\"message\"]" && [ ! -e "$work/never" ]'
for device in cuda metal sim cuda:1; do
    run logits "$llama" --tokens 1 --out "$work/never" --device $device
    check "--device $device is not here: exit 3" both 3 "'$device'"
done
check "no temporary file stayed behind" eval '! compgen -G "$work/*.tmp"'

# --- forms of config.json ---------------------------------------------------------------------------
# variant GOLDEN OLD NEW - $work/variant is the golden with that line of its config changed.
variant() {
    rm -rf "$work/variant" && mkdir "$work/variant"
    ln -s "$golden/$1/model.safetensors" "$work/variant/model.safetensors"
    sed "s/$2/$3/" "$golden/$1/config.json" >"$work/variant/config.json"
}
run logits "$golden/llama-tied" --tokens 1,2,3 --out "$work/tied"
variant llama-tied '"tie_word_embeddings": true,' ''
run logits "$work/variant" --tokens 1,2,3 --out "$work/x"
check "config: no tie_word_embeddings and no head is a tied one" eval 'exits 0 && same "$work/tied" "$work/x"'
variant llama-tied '"tie_word_embeddings": true,' '"tie_word_embeddings": false,'
run logits "$work/variant" --tokens 1,2,3 --out "$work/x"
check "config: untied and no head" both 2 "tensor 'lm_head.weight' is missing"
variant llama '"tie_word_embeddings": false,' ''
run logits "$llama" --tokens 1,2,3 --out "$work/untied"
run logits "$work/variant" --tokens 1,2,3 --out "$work/x"
check "config: no tie_word_embeddings and a head" eval 'exits 0 && same "$work/untied" "$work/x"'
variant llama '"attention_bias": false' '"attention_bias": true'
run logits "$work/variant" --tokens 1 --out "$work/x"
check "config: attention_bias without biases" both 2 "tensor 'model.layers.0.self_attn.q_proj.bias' is missing"
variant llama '"mlp_bias": false' '"mlp_bias": true'
run logits "$work/variant" --tokens 1 --out "$work/x"
check "config: mlp_bias without biases" both 2 "tensor 'model.layers.0.mlp.gate_proj.bias' is missing"

# --- memory ------------------------------------------------------------------------------------------
# The golden with a context beyond any machine's memory; under a limit on the address space, so that
# every machine is small.
variant llama-4bit-g64 '"max_position_embeddings": [0-9]*' '"max_position_embeddings": 1073741824'
limited() {
    status=0
    (ulimit -v 700000 && exec "$zmlx" "$@") >"$out" 2>"$err" </dev/null || status=$?
}
limited bench "$work/variant" -p 0 -n 1 -d 1000000000 --threads 1
check "bench: keys and values that do not fit in memory, exit 3 with figures" \
    eval 'both 3 "keys and values for 1000000002 tokens" && says "MiB needed (weights"'
limited bench "$work/variant" -p 0 -n 1 -d 900000 --threads 1 --compare
check "bench --compare: two sessions that do not fit together, exit 3" both 3 "MiB needed by 2 sessions at once"

# --- validate, inspect, bench on a golden ----------------------------------------------------------
run validate "$golden/llama-4bit-g64"
check "validate: equal" eval 'exits 0 && prints "equal"'
run validate "$llama" --tokens 1,2,3 --json
check "validate --json" eval 'exits 0 && json "d[\"equal\"] is True and d[\"first_difference\"] is None and d[\"checked_logits\"] >= 3 * 8"'
run validate "$llama" --tokens 1,70000
check "validate: an id outside the vocabulary" both 2 70000
run inspect "$golden/llama-4bit-g64" --json
check "inspect --json" eval 'exits 0 && json "d[\"architecture\"] == \"LlamaForCausalLM\" and d[\"parameters\"] > 1000 and d[\"bits_per_weight\"] and d[\"tensors\"] and d[\"memory\"]"'
run inspect "$golden/llama-4bit-g64"
check "inspect" eval 'exits 0 && prints LlamaForCausalLM'
run inspect "$golden/llama-4bit-g64/model.safetensors" --json
check "inspect of one file" eval 'exits 0 && json "d[\"tensors\"]"'
run inspect "$golden/llama-4bit-g64" --graph
check "inspect --graph" eval 'exits 0 && [ -s "$out" ]'
cp "$out" "$work/graph"
run inspect "$golden/llama-4bit-g64" --graph --no-fuse
check "inspect --graph --no-fuse is another one" eval 'exits 0 && ! cmp -s "$out" "$work/graph"'
run inspect "$golden/llama-4bit-g64" --graph --dot
check "inspect --graph --dot" eval 'exits 0 && head -n 1 "$out" | grep -q "^digraph"'
run inspect "$golden/llama-4bit-g64" --graph --json
check "inspect --graph --json" eval 'exits 0 && json "d[\"graph\"]"'
head -c 1000 "$llama/model.safetensors" >"$work/cut.safetensors"
run inspect "$work/cut.safetensors"
check "inspect of a truncated file names it" both 2 "$work/cut.safetensors"
run bench "$golden/llama-4bit-g64" -p 16 -n 8 -r 2
check "bench: a table" eval 'exits 0 && prints "| pp16 " || prints " pp16 |"'
run bench "$golden/llama-4bit-g64" -p 16 -n 8 -d 4 -r 2 --json
check "bench --json" eval 'exits 0 && json "len(d[\"tests\"]) == 2 and d[\"tests\"][1][\"n_gen\"] == 8 and d[\"tests\"][1][\"n_depth\"] == 4"'
check "bench: no allocation per decoded token" json 'd["tests"][1]["allocs_per_step"] == 0'
run bench "$golden/llama-4bit-g64" -p 16 -n 8 -r 2 --compare --output jsonl --threads 2 --precision q8
check "bench --compare --output jsonl" eval 'exits 0 && python3 - "$out" <<"PY"
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
keys = "model_filename n_prompt n_gen n_depth n_threads avg_ts stddev_ts samples_ts precision fused bytes_per_token read_loop_gbs read_share allocs_per_step fingerprint".split()
assert len(rows) == 4 and all(key in row for row in rows for key in keys), rows
assert sorted(row["fused"] for row in rows) == [False, False, True, True]
assert all(len(row["samples_ts"]) == 2 and row["n_threads"] == 2 and row["precision"] == "q8" for row in rows)
PY'
run bench "$golden/llama-4bit-g64" -p 16 -n 0 -r 1 --output csv
check "bench --output csv, one test" eval 'exits 0 && [ "$(wc -l <"$out")" = 2 ] && prints "model_filename,"'
check "bench --output csv: the fingerprint" prints '"exact='
run bench "$golden/llama-4bit-g64" -p 16 -n 8 -r 1 --summary
check "bench --summary" eval 'exits 0 && prints "fused / unfused" && prints "peak memory" && prints "read loop"'
run bench "$llama" -p 200 -d 57 -n 0
check "bench: a prompt test beyond the model's context" both 2 "--depth and --prompt: 257 tokens are more than the 256"
run bench "$llama" -p 0 -d 200 -n 56
check "bench: a decode test beyond the model's context" both 2 "--depth, one token and --tokens: 257 tokens are more than the 256"
run bench "$llama" -p 0 -d 200 -n 55 -r 1
check "bench: a decode test that fills the model's context" exits 0
run bench "$llama" -p 0 -n 0
check "bench of nothing" both 2 "leave nothing to measure"
run bench "$llama" -r 65
check "bench -r 65" both 2 "--repetitions: '65' is out of range"
run tokenize "$llama" hi
check "tokenize: a folder without a tokenizer" both 2 tokenizer

# --- text, with a small tokenizer -------------------------------------------------------------------
small=$shared/data/tokenizers-small/bpe_bytelevel
tiny=$work/tiny
if [ -f "$small/tokenizer.json" ]; then
    mkdir "$tiny"
    cp "$llama/config.json" "$llama/model.safetensors" "$small/tokenizer.json" "$tiny"
    cat >"$tiny/tokenizer_config.json" <<'JSON'
{"chat_template": "{% if nope %}{{ raise_exception('I refuse: ' + nope) }}{% endif %}{% for m in messages %}{{ m.content }}|{% endfor %}{% if tools %}{{ tools | length }}{% endif %}{% if add_generation_prompt %}>{% endif %}"}
JSON
    printf '{"messages": [{"role": "user", "content": "a\\nb"}], "tools": [1, 2]}' >"$work/messages.json"

    run tokenize "$tiny" "Hello, world!"
    check "tokenize: an array of ids" eval 'exits 0 && [ "$(cat "$out")" = "[41, 70, 356, 80, 13, 314, 293, 77, 69, 2]" ]'
    run tokenize "$tiny" "Hello, world!" --json
    check "tokenize --json" eval 'exits 0 && json "d[\"ids\"][:3] == [41, 70, 356]"'
    run tokenize "$tiny" ""
    check "tokenize of nothing" eval 'exits 0 && [ "$(cat "$out")" = "[]" ]'
    run tokenize "$tiny" --no-special -- --json
    check "tokenize: text after --" eval 'exits 0 && ! prints "ids"'
    python3 - "$small/expect.jsonl" "$work" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
with open(sys.argv[2] + "/cases", "w") as cases:
    for i, row in enumerate(rows):
        open(f"{sys.argv[2]}/text{i}", "wb").write(row["text"].encode())
        open(f"{sys.argv[2]}/back{i}", "wb").write(row["decoded"].encode())
        print(i, ",".join(map(str, row["ids"])), file=cases)
PY
    wrong=0 cases=0
    while read -r i ids; do
        cases=$((cases + 1))
        run tokenize "$tiny" --file "$work/text$i"
        [ "$(tr -d '[] \n' <"$out")" = "$ids" ] || wrong=$((wrong + 1))
        run detokenize "$tiny" --ids "$ids"
        cmp -s "$out" "$work/back$i" || wrong=$((wrong + 1))
    done <"$work/cases"
    check "tokenize and detokenize agree with all $cases reference cases" [ $wrong = 0 ]
    printf 'Hello, world!' | "$zmlx" tokenize "$tiny" >"$out" 2>"$err"
    check "tokenize reads standard input" prints "[41, 70, 356, 80"
    run tokenize "$tiny" $'a\xff'
    check "tokenize: bytes that are no text" both 2 "TEXT is not UTF-8 text (byte 1)"
    run generate "$tiny" -p $'ab\xc3'
    check "generate: bytes that are no text" both 2 "--prompt is not UTF-8 text (byte 2)"
    run generate "$tiny" -p a --system $'\xed\xa0\x80'
    check "generate: a system message that is no text" both 2 "--system is not UTF-8 text (byte 0)"
    status=0
    printf 'a\xffb\n' | "$zmlx" chat "$tiny" >"$out" 2>"$err" || status=$?
    check "chat: bytes that are no text" both 2 "the message is not UTF-8 text (byte 1)"
    printf 'a\xff' >"$work/bytes"
    run perplexity "$tiny" --file "$work/bytes"
    check "perplexity: bytes that are no text" both 2 "--file is not UTF-8 text (byte 1)"
    run tokenize "$tiny" --file "$work/none"
    check "tokenize --file that is not there" both 2 "--file: cannot open '$work/none'"
    run detokenize "$tiny" --ids 41,70,356 --json
    check "detokenize --json" eval 'exits 0 && json "d[\"text\"] == \"Hell\" or d[\"text\"].startswith(\"He\")"'
    run detokenize "$tiny" --ids "[41, 70]"
    check "detokenize takes what tokenize prints, and adds no newline" eval 'exits 0 && [ "$(wc -l <"$out")" = 0 ] && prints He'
    run detokenize "$tiny" --ids 1,99999999
    check "detokenize: an unknown id" both 2 99999999

    run template "$tiny" --messages "$work/messages.json"
    check "template: the text as it is" eval 'exits 0 && [ "$(od -An -c "$out" | tr -d " ")" = "a\\nb|2>" ]'
    run template "$tiny" --messages "$work/messages.json" --no-generation-prompt --json
    check "template --no-generation-prompt --json" eval 'exits 0 && json "d[\"text\"] == \"a\\nb|2\""'
    run template "$tiny" --messages "$work/messages.json" --kwargs '{"nope": "this"}'
    check "a template that raises: its message, exit 1" both 1 "I refuse: this"
    run template "$tiny" --messages "$work/messages.json" --kwargs '{"nope": '
    check "template: broken --kwargs" both 2 "--kwargs: line"
    run template "$tiny" --messages "$work/messages.json" --kwargs '[1]'
    check "template: --kwargs that are no object, exit 2" eval 'exits 2 && silent'
    echo '{"messages": [' >"$work/broken.json"
    run template "$tiny" --messages "$work/broken.json"
    check "template: a broken file is named" both 2 "--messages: '$work/broken.json': line"
    echo '{"tools": []}' >"$work/broken.json"
    run template "$tiny" --messages "$work/broken.json"
    check "template: no messages, exit 2" both 2 messages
    run template "$llama" --messages "$work/messages.json"
    check "template: a model without one, exit 2" eval 'exits 2 && silent'

    run generate "$tiny" -p a --raw -n 8 --ignore-eos --json
    check "generate --json" eval 'exits 0 && json "len(d[\"tokens\"]) == 8 == d[\"generated_tokens\"] and d[\"prompt_tokens\"] == 1 and d[\"finish_reason\"] == \"length\" and d[\"prefill_seconds\"] > 0 and d[\"decode_seconds\"] > 0 and isinstance(d[\"text\"], str)"'
    python3 -c 'import json,sys; sys.stdout.write(json.load(open(sys.argv[1]))["text"])' "$out" >"$work/text"
    run generate "$tiny" -p a --raw -n 8 --ignore-eos
    check "generate: the same text on stdout, the speed on stderr" eval 'exits 0 && cmp -s "$out" "$work/text" && says "tokens/s"'
    cp "$out" "$work/text"
    for variant in "--no-fuse" "--threads 1" "--ctx 200" "--seed 9"; do
        # shellcheck disable=SC2086
        run generate "$tiny" -p a --raw -n 8 --ignore-eos $variant
        check "generate does not depend on $variant at temperature 0" eval 'exits 0 && cmp -s "$out" "$work/text"'
    done
    run generate "$tiny" -p a --raw -n 30 --ignore-eos --temp 5 --seed 1 --json
    cp "$out" "$work/one"
    run generate "$tiny" -p a --raw -n 30 --ignore-eos --temp 5 --seed 1 --json
    check "the same seed, the same tokens" eval 'python3 -c "import json,sys; a,b=[json.load(open(f))[\"tokens\"] for f in sys.argv[1:]]; sys.exit(a != b)" "$out" "$work/one"'
    run generate "$tiny" -p a --raw -n 30 --ignore-eos --temp 5 --seed 2 --top-k 50 --top-p 0.99 --min-p 0.001 --json
    check "another seed, other tokens" eval 'python3 -c "import json,sys; a,b=[json.load(open(f))[\"tokens\"] for f in sys.argv[1:]]; sys.exit(a == b)" "$out" "$work/one"'
    run generate "$tiny" -p a --raw -n 4 --ignore-eos --quiet
    check "generate --quiet says nothing on stderr" eval 'exits 0 && [ ! -s "$err" ]'
    run generate "$tiny" -p a -n 2 --ignore-eos --json
    check "generate applies the template without --raw" json 'd["prompt_tokens"] == 3'
    run generate "$tiny" -p "" --raw
    check "generate: an empty prompt without the template" both 2 "--prompt is empty; expected a text to continue"
    run generate "$tiny" -p "" -n 2 --ignore-eos --json
    check "generate: an empty message through the template" json 'd["prompt_tokens"] == 2'
    : >"$work/empty"
    run generate "$tiny" --file "$work/empty"
    check "generate: an empty file" both 2 "--file: '$work/empty' is empty; expected a prompt"
    run generate "$tiny" </dev/null
    check "generate: nothing on standard input" both 2 "standard input is empty; expected a prompt"
    run generate "$tiny" -p a --ctx 257
    check "generate: --ctx beyond the model's" both 2 "--ctx: 257 tokens are more than the 256 of the model's context"
    run chat "$tiny" --ctx 257
    check "chat: --ctx beyond the model's" both 2 "--ctx: 257 tokens are more than the 256 of the model's context"
    mkdir "$work/vast" && cp "$tiny"/* "$work/vast"
    sed -i 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 1073741824/' "$work/vast/config.json"
    limited generate "$work/vast" -p a --ctx 1000000000
    check "generate: a context that does not fit in memory, exit 3 with figures" \
        both 3 "keys and values for 1000000000 tokens"
    run generate "$tiny" -p "$(printf 'a%.0s ' $(seq 400))" --raw
    check "generate: a prompt longer than the context" both 2 "256"
    run generate "$tiny" -p "a b c d e f" --raw --ctx 2
    check "generate: a prompt longer than --ctx" both 2 "--ctx"
    run generate "$llama" -p a
    check "generate: a model without a tokenizer" both 2 tokenizer
    printf 'a' | "$zmlx" generate "$tiny" --raw -n 8 --ignore-eos >"$out" 2>"$err"
    check "generate reads the prompt from standard input" cmp -s "$out" "$work/text"
    printf 'a' >"$work/prompt"
    run generate "$tiny" --file "$work/prompt" --raw -n 8 --ignore-eos
    check "generate --file" cmp -s "$out" "$work/text"

    # The checkpoint knows fewer ids than the tokenizer: only bytes that never merge.
    for _ in $(seq 60); do printf 'x~q}7'; done >"$work/plain"
    run perplexity "$tiny" --file "$work/plain" --json
    check "perplexity --json" eval 'exits 0 && json "d[\"tokens\"] > 100 and 0 < d[\"predicted\"] < d[\"tokens\"] and abs(math.exp(d[\"nll\"]) / d[\"perplexity\"] - 1) < 1e-6"'
    run perplexity "$tiny" --file "$work/plain" --ctx 10 --json
    check "perplexity --ctx 10: windows" json 'd["predicted"] == d["tokens"] - -(-d["tokens"] // 10)'
    : >"$work/empty"
    run perplexity "$tiny" --file "$work/empty"
    check "perplexity of an empty file" both 2 "'$work/empty' is empty"
    run perplexity "$tiny" --file "$work/plain" --ctx 1000
    check "perplexity: --ctx beyond the model's" both 2 "--ctx: 1000 tokens are more than the 256 of the model's context"
    printf 'x~q}7' >"$work/short"
    run perplexity "$tiny" --file "$work/short" --ctx 1000
    check "perplexity: --ctx beyond the model's, and a short text" both 2 "--ctx: 1000 tokens"
    run perplexity "$tiny"
    check "perplexity without --file" both 2 "--file F is missing"

    printf 'a\n/reset\na\n\n/quit\nnever\n' | "$zmlx" chat "$tiny" -n 3 >"$out" 2>"$err"
    check "chat: two answers from a pipe" eval '[ "$(grep -c "tokens/s" "$err")" = 2 ] && prints ""'
    printf 'a\na\n' | "$zmlx" chat "$tiny" -n 3 --json >"$out" 2>"$err"
    check "chat --json" json '[m["role"] for m in d["messages"]] == ["user", "assistant"] * 2'
    run chat "$llama"
    check "chat: a model without a tokenizer" both 2 tokenizer

    if [ -e /dev/full ]; then
        for line in "generate $tiny -p a --raw -n 4" "tokenize $tiny a" "kernels" "inspect $llama" "help"; do
            status=0 && : >"$out"
            # shellcheck disable=SC2086
            "$zmlx" $line >/dev/full 2>"$err" </dev/null || status=$?
            check "${line%% *}: a full device is an error" both 2 "cannot write to standard output: No space left on device"
        done
    fi
else
    skip "text commands on a small checkpoint: $small is not there"
fi

# --- a reader that goes away ---------------------------------------------------------------------
for line in "kernels" "kernels --json" "help" "inspect $llama --tensors"; do
    # shellcheck disable=SC2086
    "$zmlx" $line 2>"$err" | true
    status=${PIPESTATUS[0]}
    check "$line: a closed pipe ends quietly" eval '[ "$status" = 0 ] && [ ! -s "$err" ]'
done
status=0; "$zmlx" kernels >&- 2>"$err" || status=$?
check "stdout closed from the start" eval '[ "$status" = 0 ] && [ ! -s "$err" ]'

# --- a real model --------------------------------------------------------------------------------
if [ -n "${ZX_MODEL:-}" ]; then
    run generate "$ZX_MODEL" -p "What is the capital of France?" -n 24
    check "generate: the answer" eval 'exits 0 && prints Paris && says "tokens/s"'
    run generate "$ZX_MODEL" -p "Count from one to nine." -n 40 --stop 3 --stop nothing --json
    check "generate --stop" eval 'exits 0 && json "d[\"finish_reason\"] == \"stop\" and \"3\" not in d[\"text\"]"'
    run generate "$ZX_MODEL" -p "The capital of France is" --raw -n 8
    check "generate --raw" prints Paris
    status=0
    "$zmlx" generate "$ZX_MODEL" -p "Tell a long story." -n 2000 --ignore-eos 2>"$err" | head -c 20 >"$out"
    status=${PIPESTATUS[0]}
    check "generate into a pipe that closes" eval '[ "$status" = 0 ] && [ ! -s "$err" ]'
    python3 - "$zmlx" "$ZX_MODEL" "$work" <<'PY'
import json, os, select, signal, subprocess, sys, time
zmlx, model, work = sys.argv[1:]
def start(*more):
    return subprocess.Popen([zmlx, "generate", model, "-p", "Tell a long story.", "-n", "4000",
                             "--ignore-eos", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
p = start()
first = os.read(p.stdout.fileno(), 1)           # each piece comes as soon as it is known
alive = p.poll() is None
p.send_signal(signal.SIGINT)
text, said = p.communicate(timeout=60)
q = start("--json")
time.sleep(3)
q.send_signal(signal.SIGINT)
answer, _ = q.communicate(timeout=60)
reason = json.loads(answer)["finish_reason"]
r = subprocess.Popen([zmlx, "logits", model, "--tokens", ",".join(["5"] * 4000), "--out",
                      work + "/long"], stdout=subprocess.PIPE)
while not any(".tmp" in name for name in os.listdir(work)): time.sleep(0.01)
time.sleep(0.5)
r.send_signal(signal.SIGINT)
r.wait(60)
left = [name for name in os.listdir(work) if name.startswith("long")]
with open(work + "/interrupt", "w") as f:
    print(alive and bool(first), p.returncode, b"tokens/s" in said, q.returncode, reason, r.returncode, left,
          file=f)
PY
    check "Ctrl-C: text stays, speed line, exit 130, also with --json; logits leave no file" \
        [ "$(cat "$work/interrupt")" = "True 130 True 130 cancelled 130 []" ]
    run template "$ZX_MODEL" --messages <(echo '{"messages": [{"role": "user", "content": "Hi"}]}')
    check "template of the model" eval 'exits 0 && prints "<|im_start|>user" && prints "<|im_start|>assistant"'
    run tokenize "$ZX_MODEL" "Hello world 123"
    ids=$(cat "$out")
    run detokenize "$ZX_MODEL" --ids "$ids"
    check "detokenize undoes tokenize" eval 'exits 0 && [ "$(cat "$out")" = "Hello world 123" ]'
    run detokenize "$ZX_MODEL" --ids 1,2 --skip-special
    check "detokenize --skip-special" eval 'exits 0 && silent'
    run generate "$ZX_MODEL" -p Hi --ctx 900000000
    check "generate: --ctx beyond the context that a .gguf file names" both 2 "--ctx: 900000000 tokens"
    run inspect "$ZX_MODEL" --json
    check "inspect of a .gguf file" eval 'exits 0 && json "d[\"architecture\"] and 134e6 < d[\"parameters\"] < 165e6"'
    head -c 100000 "$ZX_MODEL" >"$work/cut.gguf"
    run generate "$work/cut.gguf" -p Hi
    check "a truncated .gguf file is named" both 2 "$work/cut.gguf"
else
    skip "whole answers, Ctrl-C, memory: ZX_MODEL is not set"
fi
if [ -n "${ZX_GEMMA:-}" ]; then # blocks of Q5_0, Q4_K, Q6_K and Q8_0, which no affine form holds whole
    run inspect "$ZX_GEMMA" --json
    check "inspect of Gemma's .gguf file" eval 'exits 0 && json "d[\"architecture\"] == \"Gemma3ForCausalLM\" and d[\"vocabulary\"] == 262144"'
    said=
    for how in "--precision f32" "--precision q16" "--precision q8" "--precision q16 --no-fuse"; do
        # shellcheck disable=SC2086
        run generate "$ZX_GEMMA" -p "Once upon a time" --raw -n 12 --temp 0 $how
        check "generate of Gemma, $how" eval 'exits 0 && prints "girl named Lily"'
        [ "$how" != "--precision q16" ] || said=$(cat "$out")
    done
    check "Gemma says the same without fusions" [ "$said" = "$(cat "$out")" ]
else
    skip "Gemma: ZX_GEMMA is not set"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
