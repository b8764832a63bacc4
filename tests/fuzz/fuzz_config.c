/* fuzz_config.c - any text as a config.json: refused, or family, sizes and rope readable. */
#include <math.h>
#include <stdlib.h>

#include "model/family.h"
#include "model/rope_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    zx_checkpoint *checkpoint = NULL;
    const zx_family *family = NULL;
    zx_config config;
    zx_arena arena = {0};
    zx_rope rope;
    if (zx_checkpoint_open_config("input", (const char *)bytes, size, &checkpoint) != ZMLX_OK)
        return 0;
    if (zx_family_find(checkpoint, &family) == ZMLX_OK &&
        zx_config_read(family, checkpoint, &config) == ZMLX_OK &&
        zx_checkpoint_rope(checkpoint, config.head_size, &arena, &rope) == ZMLX_OK)
        for (size_t i = 0; i < rope.dims / 2; i++)
            if (!isfinite(rope.inverse_frequency[i])) abort();
    zx_arena_reset(&arena);
    zx_checkpoint_close(checkpoint);
    return 0;
}
