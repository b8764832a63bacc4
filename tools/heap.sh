#!/bin/sh
# heap.sh ARCHIVE - the library takes memory through base/memory.h alone, so that the host's
# allocator sees every byte and tests can count and fail each call.  Asks the linker's view (nm),
# which no macro or comment can fool: only memory.o may want malloc and its kin.
set -eu
stray=$(nm -A -u "$1" 2>/dev/null | awk '
    { symbol = $NF; sub(/@.*/, "", symbol); sub(/^_/, "", symbol) }
    symbol ~ /^(malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|posix_memalign|valloc|memalign|asprintf|vasprintf|getline|getdelim|open_memstream)$/ {
        count = split($1, part, ":")
        object = part[2]
        if (object != "memory.o") print "  " object ": " symbol
    }' | sort -u)
[ -z "$stray" ] && exit 0
echo "memory must come from base/memory.h or base/arena.h; these ask the system:" >&2
printf '%s\n' "$stray" >&2
exit 1
