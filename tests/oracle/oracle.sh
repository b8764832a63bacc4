#!/bin/sh
# oracle.sh VENV [PYTEST ARGUMENT]... - the tests of this folder; 'make oracle' calls it, with what is
# to be tested in ZMLX_LIBRARY and ZX_ORACLE.
#
# Their Python packages lie in the folder VENV, which is made where requirements.txt is another than
# that it was made from.  Where they cannot be had (no network, no wheel for this machine) all is
# skipped, with pip's reason.
set -eu
cd "$(dirname "$0")/../.."
needs=tests/oracle/requirements.txt
venv=$1
log=$venv.log
shift

provide() {
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" &&
        "$venv/bin/python" -m pip --disable-pip-version-check install -r "$needs" &&
        "$venv/bin/python" -c 'import gguf, mlx.core, mlx_lm, numpy, hypothesis, pytest, tokenizers'
}

if ! cmp -s "$needs" "$venv/installed.txt"; then
    if ! provide >"$log" 2>&1; then
        why=$(grep -E 'ERROR|Error|rror:' "$log" | tail -n 1)
        echo "skipped: what $needs lists cannot be installed here: ${why:-see $log}"
        echo "0 passed, 0 failed, 1 skipped"
        exit 0
    fi
    cp "$needs" "$venv/installed.txt"
fi
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/oracle "$@"
