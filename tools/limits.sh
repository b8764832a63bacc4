#!/bin/sh
# limits.sh - the table of limits in docs/hostile-files.md is what the sources say: each row's
# constant stands in its file with that value, and each file of the table has all its MAX_ in it.
set -eu
cd "$(dirname "$0")/.."
page=docs/hostile-files.md
rows=$(sed -n 's/^| .* | `\(src\/[^`]*\)` | `\([A-Z0-9_]* = [^`]*\)` |$/\1 \2/p' $page)
[ -n "$rows" ] || { echo "limits: $page has no rows"; exit 1; }
printf '%s\n' "$rows" | {
    bad=0
    while read -r file constant; do
        grep -qE "(^|[^A-Z0-9_])$(printf '%s' "$constant" | sed 's/[()*]/\\&/g')( *[,;}/]|\$)" "$file" && continue
        echo "limits: $page says '$constant' of $file, which does not"
        bad=1
    done
    exit $bad
}
bad=0
for file in $(printf '%s\n' "$rows" | cut -d' ' -f1 | sort -u); do
    for name in $(grep -oE '\b[A-Z_]*(MAX|MOST)_[A-Z_]+ = ' "$file" | cut -d' ' -f1); do
        printf '%s\n' "$rows" | grep -q "^$file $name = " && continue
        echo "limits: $name of $file is not in $page"
        bad=1
    done
done
exit $bad
