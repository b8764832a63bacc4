/* goldens.h - the checkpoints of tests/golden/, for the tests that every one of them must pass. */
#ifndef ZX_SERVE_GOLDENS_H
#define ZX_SERVE_GOLDENS_H

#include <stdbool.h>
#include <stddef.h>

enum { ZX_GOLDENS = 128, ZX_GOLDEN_NAME = 64 };

typedef struct zx_goldens {
    char names[ZX_GOLDENS][ZX_GOLDEN_NAME]; /* ascending */
    size_t count;
} zx_goldens;

/* Every folder of tests/golden/ but those that are known to be no checkpoints.  False where the
 * folder cannot be read, is empty, or holds more or longer names than fit. */
bool zx_goldens_list(zx_goldens *goldens);

/* Every NAME.gguf of tests/golden/gguf/, without the ending. */
bool zx_goldens_gguf(zx_goldens *goldens);

#endif
