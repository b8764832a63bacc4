#!/bin/sh
# format.sh [-i] FILE... - checks the format (or, with -i, makes it).  Versions of clang-format
# differ in what they write, so only version 14 judges; without it the check says it was left out.
set -eu
tool=clang-format
command -v clang-format-14 >/dev/null 2>&1 && tool=clang-format-14
version=$($tool --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
if [ "$version" != 14 ]; then
    echo "format: skipped, clang-format 14 is wanted and ${version:-none} was found" >&2
    exit 0
fi
if [ "$1" = -i ]; then
    exec "$tool" "$@"
fi
exec "$tool" --dry-run -Werror "$@"
