#!/usr/bin/env bash
# test_all.sh - every suite, one line each; './bootstrap test' calls it with the needs installed.
#
#     test_all.sh [WORD]...       all suites but the nightly ones, or those whose name holds a WORD
#     test_all.sh nightly         valgrind, and each fuzzer for ten minutes
#
# A suite that fails does not stop the others.  One that counts its own tests closes its log with
# 'N passed, N failed, N skipped' (or 'N tests, N failed'); any other counts as one.  Exit 77 means
# skipped, the last line of the log says why.  One that runs longer than LIMIT seconds (1800) is
# ended and has failed.  SECONDS is the time of each fuzzer (60, in 'nightly-fuzz' 600), BUILD where
# things are built, ZX_MODEL the checkpoint that whole runs use, ZX_GEMMA the second real one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

given_seconds=$(printenv SECONDS) # bash itself counts in a variable of this name
export BUILD=${BUILD:-build}
logs=$BUILD/logs
jobs=$(nproc 2>/dev/null || sysctl -n hw.ncpu)
words=("$@")
limit=${LIMIT:-1800}
passed=0 failed=0 skipped=0 broken=() running=
trap '[ -z "$running" ] || kill -TERM -- -"$running" 2>/dev/null; exit 130' INT TERM
mkdir -p "$logs"

# The sum of the numbers before a word in the closing lines of the log; nothing if there are none.
count_of() {
    grep -E '^[0-9]+ (passed|tests), [0-9]+ failed(, [0-9]+ skipped)?$' "$2" |
        grep -oE "[0-9]+ $1" | awk '{ sum += $1 } END { if (NR) print sum }'
}

wanted() {
    [ ${#words[@]} = 0 ] && return 0
    local word
    for word in "${words[@]}"; do [[ $1 == *"$word"* ]] && return 0; done
    return 1
}

add() { # passed failed skipped
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# Runs a command or function as a process group of its own, so that all it started can be ended.
within_limit() {
    local watch status=0
    set -m
    "$@" </dev/null &
    running=$!
    {
        sleep "$limit"
        echo "ended after $limit s, the limit of one suite"
        kill -TERM -- -"$running"
        sleep 10
        kill -KILL -- -"$running"
    } 2>/dev/null &
    watch=$!
    set +m
    wait "$running" || status=$?
    running=
    kill -TERM -- -"$watch" 2>/dev/null
    wait "$watch" 2>/dev/null
    return $status
}

# suite NAME COMMAND...
suite() {
    local name=$1 log status=0 began good bad left all verdict
    wanted "$name" || return 0
    shift
    log=$logs/$name.log
    began=$(date +%s)
    within_limit "$@" >"$log" 2>&1 || status=$?
    all=$(count_of tests "$log")
    good=$(count_of passed "$log") bad=$(count_of failed "$log") left=$(count_of skipped "$log")
    left=${left:-0}
    [ -z "$all" ] || good=$((all > bad ? all - bad : 0))
    if [ $status = 77 ]; then
        good=0 bad=0 left=1 verdict="skipped: $(tail -n 1 "$log")"
    else
        : "${good:=$((status == 0))}" "${bad:=$((status != 0))}"
        [ $status = 0 ] || [ "$bad" != 0 ] || bad=1 # it broke after its tests passed
        verdict="$good passed, $bad failed, $left skipped"
        [ $((good + bad + left)) != 1 ] || verdict=$([ "$bad" = 0 ] && echo ok || echo failed)
    fi
    add "$good" "$bad" "$left"
    printf '%-22s %4d s  %s\n' "$name" $(($(date +%s) - began)) "$verdict"
    [ $status = 77 ] || grep -E '(^|: )skipped[ ,:]' "$log" | sort -u | sed 's/^/    /'
    if [ "$bad" != 0 ]; then
        broken+=("$name")
        tail -n 25 "$log" | sed 's/^/    | /'
        printf '    whole log: %s\n' "$log"
    fi
}

skip() { # NAME REASON
    wanted "$1" || return 0
    add 0 0 1
    printf '%-22s    - s  skipped: %s\n' "$1" "$2"
}

fuzz() { # SUITE SECONDS
    local target ok=0 bad=0
    make -s fuzz SECONDS="$2" || echo "a fuzzer failed or could not be built"
    for target in tests/fuzz/fuzz_*.c; do
        target=$(basename "$target" .c)
        if grep -q "^$target: ok" "$logs/$1.log"; then ok=$((ok + 1)); else bad=$((bad + 1)); fi
    done
    echo "$ok passed, $bad failed, 0 skipped"
    [ $bad = 0 ]
}

static_build() {
    local said
    make -s -j"$jobs" STATIC=1 all || return 1
    "$BUILD/static/zmlx" --version || return 1
    if said=$("$BUILD/static/zmlx" pull a/b 2>&1); then
        echo "the static program pulls"
        return 1
    fi
    grep 'without libcurl' <<<"$said" || return 1
    if ldd "$BUILD/static/zmlx" | grep -E 'jansson|pcre2|utf8proc|sqlite|libedit|libcurl'; then
        echo "the static program still asks for these"
        return 1
    fi
}

# Reads of memory that was never written, which the sanitizers do not see.
memcheck() {
    command -v valgrind >/dev/null || { echo "valgrind was not found"; return 77; }
    valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
        "$BUILD/zmlx" generate "$ZX_MODEL" -p Hi -n 2 --threads 1
}

nightly() {
    command -v valgrind >/dev/null || { echo "valgrind was not found"; return 77; }
    make -s nightly
}

other_compiler() { # the one that 'cc' is not
    local other=clang
    case $(cc --version) in *clang*) other=gcc ;; esac
    command -v $other >/dev/null || { echo "$other was not found"; return 77; }
    make -s -j"$jobs" CC=$other BUILD="$BUILD/$other" all test
}

example() { "$BUILD/examples/generate" "$ZX_MODEL" "The capital of France is" 8 | grep Paris; }

cuda_sources() {
    local file
    while read -r file; do
        echo "$file"
        nvcc -std=c++17 -arch=sm_80 -Iinclude -Isrc --ptx "$file" -o "$BUILD/logs/out.ptx" || return 1
    done < <(find src -name '*.cu')
}

began=$(date +%s)
suite build make -s -j"$jobs" all shared examples "$BUILD/zmlx_test"
suite unit make -s test
if [ "$(uname -m)" = x86_64 ]; then
    for isa in baseline avx2; do suite "unit-$isa" env ZMLX_ISA=$isa ZX_SKIP_MARKS=slow make -s test; done
fi
suite style make -s style
suite headers make -s headers
suite tidy make -s tidy
suite size make -s size
suite sanitize make -s sanitize
suite faults make -s faults
suite tsan make -s tsan
suite other-compiler other_compiler
suite fuzz fuzz fuzz "${given_seconds:-60}"
if [ -n "${ZX_MODEL:-}" ]; then
    suite example example
    suite validate "$BUILD/zmlx" validate "$ZX_MODEL"
    suite memcheck memcheck
else
    for name in example validate memcheck; do skip $name "ZX_MODEL is not set"; done
fi
suite install make -s install-test MODEL="${ZX_MODEL:-}"
if [ "$(uname -s)" = Linux ]; then suite static static_build; fi
for script in tests/*_test.sh tests/*/*_test.sh; do
    [ ! -f "$script" ] || suite "$(basename "$script" _test.sh)" bash "$script"
done
if [[ " ${words[*]-} " == *" nightly"* ]]; then
    suite nightly nightly
    fuzzers=(tests/fuzz/fuzz_*.c)
    limit=$((limit + ${#fuzzers[@]} * ${given_seconds:-600})) # they may have one core
    suite nightly-fuzz fuzz nightly-fuzz "${given_seconds:-600}"
    limit=${LIMIT:-1800}
fi
suite oracle make -s -j"$jobs" oracle
if ! find src -name '*.cu' | grep -q .; then
    : # no CUDA source yet: nothing to compile, nothing to skip
elif command -v nvcc >/dev/null; then
    suite cuda cuda_sources
else
    skip cuda "nvcc was not found; the .cu files were not compiled"
fi

printf '%-22s %4d s\n' total $(($(date +%s) - began))
[ ${#broken[@]} = 0 ] || echo "failed suites: ${broken[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed != 0 ]
