#!/usr/bin/env bash
# hub_test.sh - 'zmlx pull' against hub_server.py, a hub that goes wrong on request, and the cache it
# leaves against the huggingface_hub package (in a venv below $ZX_CACHE, default $BUILD).
#
# $BUILD (default build) holds the program.  Prints a line per check and closes with
# 'N passed, N failed, N skipped'.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

case ${BUILD:-build} in /*) build=$BUILD ;; *) build=$PWD/${BUILD:-build} ;; esac
zmlx=$build/zmlx
command -v python3 >/dev/null || { echo "python3 was not found"; exit 77; }
work=$(mktemp -d)
mkdir "$work/server"
trap 'exec {feed}>&-; chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 skipped=0 status=0
out=$work/out err=$work/err
commit=0123456789abcdef0123456789abcdef01234567

unset HF_HOME HUGGINGFACE_HUB_CACHE HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE
unset TRANSFORMERS_OFFLINE HF_HUB_DISABLE_IMPLICIT_TOKEN
unset SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$work/server/key.pem" -out "$work/server/cert.pem" >/dev/null 2>&1
# The server ends with its standard input, which is this pipe.
mkfifo "$work/feed"
python3 tests/end_to_end/hub_server.py "$work/server" <"$work/feed" >"$work/ports" 2>"$work/server/log" &
exec {feed}>"$work/feed"
for ((i = 0; i < 100; i++)); do
    [ -s "$work/ports" ] && break
    sleep 0.1
done
read -r port other secure <"$work/ports" || { echo "FAILED: the server did not start"; cat "$work/server/log"; exit 1; }
export HF_ENDPOINT=http://127.0.0.1:$port HF_HUB_CACHE=$work/cache HF_HOME=$work/home
export HF_HUB_DOWNLOAD_TIMEOUT=2 HF_HUB_ETAG_TIMEOUT=5
mkdir "$HF_HOME"

pass() { passed=$((passed + 1)) && echo "ok: $*"; }
fail() {
    failed=$((failed + 1))
    echo "FAILED: $* (exit $status)"
    sed 's/^/    stdout: /' <(head -c 400 "$out") && echo
    sed 's/^/    stderr: /' <(head -c 800 "$err") && echo
}
skip() { skipped=$((skipped + 1)) && echo "skipped: $*"; }
run() { # ARGUMENT... - the program, and the requests it made
    status=0
    : >"$work/server/requests"
    timeout 30 "$zmlx" "$@" >"$out" 2>"$err" </dev/null || status=$?
}
check() { # NAME CONDITION...
    local title=$1
    shift
    if "$@"; then pass "$title"; else fail "$title"; fi
}
exits() { [ "$status" = "$1" ]; }
refused() { # EXIT MESSAGE
    [ "$status" = "$1" ] && grep -qF -- "$2" "$err" && [ ! -s "$out" ]
}
repo() { echo "$HF_HUB_CACHE/models--org--$1"; }
no_ref() { [ ! -e "$(repo "$1")/refs/main" ]; }
no_blobs() { [ -z "$(ls "$(repo "$1")/blobs" 2>/dev/null)" ]; }
asked() { grep -qE -- "$1" "$work/server/requests"; }
whole() { # NAME - the snapshot is complete and the ref says so
    local folder
    folder=$(repo "$1")
    [ "$status" = 0 ] && [ "$(cat "$folder/refs/main")" = $commit ] &&
        [ "$(cat "$out")" = "$folder/snapshots/$commit" ] &&
        [ "$(sha256sum <"$folder/snapshots/$commit/model.safetensors")" = "$model_sum" ] &&
        [ "$(cat "$folder/snapshots/$commit/sub/dir/tokenizer.json")" = "{}" ] &&
        ! compgen -G "$folder/blobs/*.incomplete" >/dev/null
}

run pull org/good
if grep -q 'without libcurl' "$err"; then
    skip "the program was built without libcurl"
    echo "$passed passed, $failed failed, $skipped skipped"
    exit 0
fi
model_sum=$(sha256sum <"$(repo good)/snapshots/$commit/model.safetensors")
check "a fresh pull" whole good
check "only what zmlx reads" test "$(cd "$(repo good)/snapshots/$commit" && find . -type l | sort | tr '\n' ' ')" = \
    "./config.json ./empty.txt ./model.safetensors ./sub/dir/tokenizer.json "
check "links are relative" test "$(readlink "$(repo good)/snapshots/$commit/sub/dir/tokenizer.json")" = \
    "../../../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b"
check "the ref is the commit alone" test "$(wc -c <"$(repo good)/refs/main")" = 40
run pull org/good
check "a second pull asks for the list alone" test "$(wc -l <"$work/server/requests")" = 1
rm -r "$(repo good)/snapshots"
run pull org/good --json
check "blobs that are there are linked" test "$(wc -l <"$work/server/requests")" = 1
check "--json" python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not (
    d["files"] == 4 and d["fetched_files"] == 0 and d["bytes"] == 300024 and d["commit"] == sys.argv[2]))' "$out" $commit
run pull "org/good@v1/2"
check "a revision with a slash" test "$(cat "$(repo good)/refs/v1/2")" = $commit
run pull "org/good@$commit"
check "a commit has no ref" test ! -e "$(repo good)/refs/$commit"
run inspect org/good
check "the name is a model now" grep -q "model.safetensors" "$out" "$err"
run inspect org/none
check "what is not there says how to fetch it" refused 2 "zmlx pull org/none"

run pull org/mistral
check "not the weights that stand there twice" test "$(cd "$(repo mistral)/snapshots/$commit" && echo *)" = \
    "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json sub"
check "in a folder below they may be others" test -e "$(repo mistral)/snapshots/$commit/sub/consolidated.safetensors"
run pull org/mistral:consolidated.safetensors
check "unless they are asked for" test -e "$(repo mistral)/snapshots/$commit/consolidated.safetensors"
run pull org/consolidated
check "nor where there are no others" test -e "$(repo consolidated)/snapshots/$commit/consolidated.safetensors"

run pull org/gguf
check "several GGUF files" refused 2 "a-Q4.gguf, b-Q8.gguf"
run pull org/gguf:b-Q8.gguf
check "one of them" test "$(ls "$(repo gguf)/snapshots/$commit")" = b-Q8.gguf
run pull org/gguf:c.gguf
check "one that is not there" refused 2 "has no file 'c.gguf'"
run pull org/good:run.py
check "a file that is no model's" refused 2 "of no kind"

run pull org/cut
check "a cut is gone on with" whole cut
check "from where it was" asked 'bytes=100000-'
run pull org/no-ranges
check "a server without ranges: from the start" whole no-ranges
run pull org/bad-range
check "a range that begins elsewhere" refused 2 "the answer begins at byte 99999, expected byte 100000"
run pull org/stall
check "a server that falls silent" whole stall
run pull org/busy
check "429 with Retry-After" whole busy
run pull org/broken
check "500, then not" whole broken

for row in 'wrong-digest|its SHA-256 is' 'wrong-blob|its SHA-1 is' 'wrong-size|more than the 299990 bytes' \
    'too-short|fewer bytes than the list says'; do
    name=${row%%|*}
    run pull "org/$name" --jobs 1
    check "$name" refused 2 "${row#*|}"
    check "$name leaves no ref" no_ref "$name"
    check "$name leaves no part" test -z "$(find "$(repo "$name")/blobs" -name '*.incomplete')"
done

for row in 'missing|the hub knows no such model' 'private|set HF_TOKEN' 'gated|the model is gated' \
    'forbidden|the token may not read it' 'good@none|no such revision' 'lost-file|no such file' \
    'no-json|is not JSON' "bad-commit|at 'sha'" "huge|more than 16777216 bytes" 'chatty|a body of more than' 'loop|more than 10 redirects' \
    'to-file|rotocol' 'twice|listed twice' 'overflow|add up' 'vast|the disk has' "no-digest|'blobId'"; do
    run pull "org/${row%%|*}"
    check "${row%%|*}" refused 2 "${row#*|}"
done
for name in up root back line long dot; do
    run pull org/hostile-$name
    check "hostile name: $name" refused 2 "is refused"
    check "hostile name: $name writes nothing" no_blobs hostile-$name
done
run pull ../x
check "a name that is none" refused 2 "no model's name"

rm -r "$(repo good)"
HF_TOKEN=$' secret \n' run pull org/good
check "the token goes to the hub" asked "^$port GET /api/.* Bearer secret\$"
check "and not to another host" asked "^$other GET /cdn/.* - -\$"
echo filed >"$HF_HOME/token"
run pull org/good
check "the token of HF_HOME" asked ' Bearer filed$'
HUGGING_FACE_HUB_TOKEN=old run pull org/good
check "a variable wins over it" asked ' Bearer old$'
mv "$HF_HOME/token" "$work/token"
ELSEWHERE=$work HF_TOKEN_PATH='${ELSEWHERE}/token' run pull org/good
check "a token file with a variable in its path" asked ' Bearer filed$'
HF_TOKEN=secret HF_HUB_DISABLE_IMPLICIT_TOKEN=1 run pull org/good
check "a token that shall not be sent is not" asked "^$port GET /api/.* - -\$"
rm "$work/token"
HF_TOKEN=$'a\nX: b' run pull org/good
check "a token that would be two headers" refused 2 "HF_TOKEN: expected a token"
HF_HUB_OFFLINE=1 run pull org/good
check "offline" refused 2 "HF_HUB_OFFLINE"
TRANSFORMERS_OFFLINE=1 run pull org/good
check "offline by the older name" refused 2 "TRANSFORMERS_OFFLINE"
HF_HUB_OFFLINE=0 TRANSFORMERS_OFFLINE=1 run pull org/good
check "which counts less" exits 0
HF_HUB_ETAG_TIMEOUT=soon run pull org/good
check "a timeout that is no number" refused 2 "HF_HUB_ETAG_TIMEOUT"
HF_ENDPOINT=ftp://x run pull org/good
check "an endpoint that is none" refused 2 "HF_ENDPOINT"

if [ -n "${secure:-}" ]; then
    HF_ENDPOINT=https://127.0.0.1:$secure HF_HUB_ETAG_TIMEOUT=1 run pull org/good
    check "a certificate that nobody signed" refused 2 "certificate"
    check "and no request" test ! -s "$work/server/requests"
    reached() { exits 0 && asked "^$secure GET /api/"; }
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=another -keyout "$work/other.key" -out "$work/other.pem" >/dev/null 2>&1
    mkdir "$work/certificates" "$work/none"
    cp "$work/server/cert.pem" "$work/certificates/$(openssl x509 -hash -noout -in "$work/server/cert.pem").0"
    export HF_ENDPOINT=https://127.0.0.1:$secure
    SSL_CERT_FILE=$work/server/cert.pem run pull org/small
    check "a certificate in SSL_CERT_FILE" reached
    SSL_CERT_DIR=$work/certificates run pull org/small
    check "a certificate in SSL_CERT_DIR" reached
    SSL_CERT_DIR=$work/none HF_HUB_ETAG_TIMEOUT=1 run pull org/good
    check "one in neither" refused 2 "certificate"
    SSL_CERT_FILE=$work/other.pem SSL_CERT_DIR=$work/certificates HF_HUB_ETAG_TIMEOUT=1 run pull org/good
    check "the file counts more than the folder" refused 2 "certificate"
    SSL_CERT_FILE='' SSL_CERT_DIR=$work/certificates run pull org/small
    check "an empty one counts for nothing" reached
    SSL_CERT_FILE=$work/none run pull org/good
    check "SSL_CERT_FILE must be a file" refused 2 "SSL_CERT_FILE: '$work/none': expected a file"
    SSL_CERT_DIR=$work/nowhere HF_HUB_ETAG_TIMEOUT=1 run pull org/good
    check "a missing SSL_CERT_DIR has none" refused 2 "https://127.0.0.1:$secure/"
    SSL_CERT_DIR=$work/nowhere:$work/none:$work/certificates run pull org/small
    check "a certificate in one of several" reached
    REQUESTS_CA_BUNDLE=$work/server/cert.pem CURL_CA_BUNDLE=$work/server/cert.pem HF_HUB_ETAG_TIMEOUT=1 run pull org/good
    check "as with huggingface_hub no other variable counts" refused 2 "certificate"
    export HF_ENDPOINT=http://127.0.0.1:$port
else
    skip "openssl made no certificate"
fi

# Two at once, and one that is interrupted.
: >"$work/server/requests"
"$zmlx" pull org/slow >/dev/null 2>"$work/err2" &
first=$!
sleep 0.3
run pull org/slow --json
wait $first
check "two pulls fetch a file once" grep -q '"fetched_files": 0' "$out"
rm -r "$(repo slow)"
timeout --preserve-status -s INT 1.5 "$zmlx" pull org/slow >"$out" 2>"$err"
status=$?
check "Ctrl-C" refused 130 "stopped"
check "leaves the part" test -n "$(find "$(repo slow)/blobs" -name "*.incomplete")"
check "and no ref" no_ref slow
run pull org/slow --json
check "which the next one goes on with" asked 'bytes=[1-9][0-9]*-'
check "to its end" exits 0

if [ "$(id -u)" = 0 ]; then
    HF_HUB_CACHE=/proc/nothing run pull org/good
else
    mkdir -m 555 "$work/closed"
    HF_HUB_CACHE=$work/closed/cache run pull org/good
fi
check "a cache that cannot be written" refused 2 "cannot make the folder"

venv=${ZX_CACHE:-$build}/venv-hub
needs=tests/end_to_end/hub_requirements.txt
if ! cmp -s $needs "$venv/installed.txt"; then
    rm -rf "$venv"
    if python3 -m venv "$venv" && "$venv/bin/python" -m pip -q --disable-pip-version-check install -r $needs; then
        cp $needs "$venv/installed.txt"
    fi >"$work/pip" 2>&1
fi
if [ -f "$venv/installed.txt" ]; then
    status=0
    HF_TOKEN='' timeout 40 "$venv/bin/python" tests/end_to_end/hub_peer.py "$HF_HUB_CACHE" >"$out" 2>"$err" || status=$?
    for what in "it finds what we pulled" "scan_cache_dir sees no fault" "it fetches nothing again" "it fetches another"; do
        check "huggingface_hub: $what" grep -qF "$what" "$out"
    done
    run pull org/theirs
    check "we find what it fetched" test "$(wc -l <"$work/server/requests")" = 1
    run inspect org/theirs
    check "and take it for a model" grep -q "models--org--theirs" "$out" "$err"
else
    skip "what $needs lists cannot be installed here: $(grep -E 'ERROR|rror:' "$work/pip" | tail -n 1)"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
