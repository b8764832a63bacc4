#!/bin/sh
# install_test.sh [MODEL] - installs into a fresh folder, builds examples/generate.c against it the
# two ways a user would (pkg-config, CMake) and, given a model, runs both.  'make install-test'
# calls it with MAKE, CC, BUILD and VERSION set.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
model=${1:-}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM
prefix=$root/prefix

quietly() {
    "$@" >"$root/log" 2>&1 || { cat "$root/log" >&2; echo "install-test: failed: $*" >&2; exit 1; }
}

# Through DESTDIR, as a packager does, then moved to where the files say they are.
quietly "$MAKE" -s -C "$here" install BUILD="$BUILD" CC="$CC" PREFIX="$prefix" DESTDIR="$root/stage"
mv "$root/stage$prefix" "$prefix"

PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
LD_LIBRARY_PATH=$prefix/lib
DYLD_LIBRARY_PATH=$prefix/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH DYLD_LIBRARY_PATH
found=$(pkg-config --modversion zmlx)
[ "$found" = "$VERSION" ] || { echo "install-test: zmlx.pc says $found, not $VERSION" >&2; exit 1; }
said=$("$prefix/bin/zmlx" --version) || { echo "install-test: zmlx --version failed" >&2; exit 1; }
case $said in
*"$VERSION"*) ;;
*) echo "install-test: zmlx --version says '$said', not $VERSION" >&2; exit 1 ;;
esac

# shellcheck disable=SC2046 # the flags are meant to be split
quietly "$CC" -std=c17 "$here/examples/generate.c" -o "$root/by-pkg-config" \
    $(pkg-config --cflags --libs zmlx)
# shellcheck disable=SC2046
quietly "$CC" -std=c17 "$here/examples/generate.c" -o "$root/by-archive" \
    $(pkg-config --cflags zmlx) "$prefix/lib/libzmlx.a" \
    $(pkg-config --static --libs zmlx | sed 's/-lzmlx//')
programs="by-pkg-config by-archive"
if command -v cmake >/dev/null 2>&1; then
    quietly cmake -S "$here/examples" -B "$root/cmake" -DCMAKE_PREFIX_PATH="$prefix" \
        -DCMAKE_C_COMPILER="$CC"
    quietly cmake --build "$root/cmake"
    programs="$programs cmake/generate"
else
    echo "install-test: CMake part skipped, cmake was not found"
fi

for program in $programs; do
    if [ -z "$model" ]; then
        # Without a model it must still start, and refuse with a message of the library.
        status=0
        "$root/$program" "$root/missing.gguf" text >/dev/null 2>"$root/log" || status=$?
        if [ "$status" != 1 ] || ! grep -q missing.gguf "$root/log"; then
            echo "install-test: $program: exit $status: $(cat "$root/log")" >&2
            exit 1
        fi
        continue
    fi
    quietly "$root/$program" "$model" "The capital of France is" 8
    grep -q Paris "$root/log" || { cat "$root/log" >&2; echo "install-test: no Paris" >&2; exit 1; }
done
[ -n "$model" ] || echo "install-test: generation skipped, no MODEL was given"
echo "install-test: ok: $programs"
