#!/bin/sh
# rows.sh - no op without a kernel, none with kernels that no test beside them names, and none that
# 'zmlx kernels --check' makes no cases of.
set -eu
cd "$(dirname "$0")/.."
ops=$(sed -n 's/^OP(\([A-Z0-9_]*\),.*/\1/p' src/graph/ops.def)
[ -n "$ops" ] || { echo "rows: src/graph/ops.def has no rows"; exit 1; }
bad=0
for op in $ops; do
    case $op in INPUT | WEIGHT) continue ;; esac # nothing is computed
    if ! grep -qE "^KERNEL\([a-z0-9_]+, +$op," src/kernels/kernels.def; then
        echo "rows: op $op has no kernel in src/kernels/kernels.def"
        bad=1
    elif ! grep -qwE "ZX_OP_$op" src/kernels/*/*_test.c; then
        echo "rows: the kernels of op $op are named by no test in src/kernels/"
        bad=1
    elif ! grep -qE "^ +ROW\($op," src/check/case_rows.c; then
        echo "rows: op $op has no row in src/check/case_rows.c"
        bad=1
    fi
done
exit $bad
