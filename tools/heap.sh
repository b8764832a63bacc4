#!/bin/sh
# heap.sh - the library's memory comes from base/memory.h alone.
#
#     tools/heap.sh [FOLDER]      (src)
#
# Names every line that calls the C library's heap elsewhere and exits 1.  Exempt are the two
# doors themselves, and the program, which sees the public headers only.  Comments do not count,
# neither do members and longer names such as 'backend->free(' or 'zx_free('.
set -eu
folder=${1:-src}
found=$(find "$folder" -name '*.[ch]' ! -path '*/base/memory.c' ! -path '*/backend/cpu/*' \
    ! -path '*/cli/*' |
    sort | xargs awk '
        FNR == 1 { inside = 0 }
        {
            line = $0
            gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
            if (inside) {
                if (!sub(/^.*\*\//, "", line)) next
                inside = 0
            }
            gsub(/\/\*([^*]|\*[^\/])*\*\//, " ", line)
            sub(/\/\/.*/, "", line)
            if (sub(/\/\*.*/, "", line)) inside = 1
            if (line ~ /(^|[^A-Za-z0-9_.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign|memalign|getline|getdelim|open_memstream)[ \t]*\(/)
                print FILENAME ":" FNR ": " $0
        }')
[ -z "$found" ] && exit 0
printf '%s\n' "$found" >&2
echo "heap.sh: memory is taken through base/memory.h or base/arena.h only" >&2
exit 1
