#!/usr/bin/env bash
# harness_test.sh - the unit test runner itself: what it says of tests that it did not run.
#
# $BUILD (default build) holds zmlx_test.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

tests=${BUILD:-build}/zmlx_test
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0
[ -x "$tests" ] || { echo "FAILED: $tests is not there; run make $tests"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)) && echo "ok: $name"; else
        failed=$((failed + 1))
        echo "FAILED: $name"
        sed 's/^/    /' "$out"
    fi
}
holds() { grep -qE -- "$1" "$out"; }
table() { sed -n '/^not run, and why:$/,$p' "$out"; }
closes() { tail -n 1 "$out" | grep -qE '^[0-9]+ passed, 0 failed, [0-9]+ skipped$'; }
adds_up() { # the counts of the table are those of the last line
    [ "$(table | awk '$1 ~ /^[0-9]+$/ && $2 != "passed," { sum += $1 } END { print sum + 0 }')" = \
        "$(tail -n 1 "$out" | grep -oE '[0-9]+ skipped' | cut -d' ' -f1)" ]
}

ZX_SKIP_MARKS=slow "$tests" config_ >"$out" 2>/dev/null
check "a test with an unwanted mark is named" holds '^skipped .*: config_bounds_the_tree: ZX_SKIP_MARKS names its mark: slow$'
check "the table gives the reason and its count" holds '^ +1  ZX_SKIP_MARKS names its mark: slow$'
check "the last line is the sum" closes
ZX_SHARED=/nowhere ZX_SKIP_MARKS=slow "$tests" tokenizer >"$out" 2>/dev/null
check "reasons are counted apart" adds_up
"$tests" harness_random_numbers_fill >"$out" 2>/dev/null
check "nothing skipped: no table" eval '! holds "not run, and why"'
"$tests" --list config_ >"$out"
check "--list names the marks" holds ': config_bounds_the_tree slow$'
check "--list: a test without marks is portable" holds ' portable$'

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
