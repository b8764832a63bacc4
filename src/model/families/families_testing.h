/* families_testing.h - what a config's text means, for the tests of this folder. */
#ifndef ZX_MODEL_FAMILIES_TESTING_H
#define ZX_MODEL_FAMILIES_TESTING_H

#include <string.h>

#include "base/test.h"
#include "model/family.h"
#include "model/rope_config.h"

/* The config of a family named by the text, and the ropes of its full and (unless 'sliding' is
 * NULL) sliding layers. */
static inline zmlx_status read_config(const char *text, zx_config *config, zx_rope_settings *full,
                                      zx_rope_settings *sliding)
{
    zx_checkpoint *checkpoint = NULL;
    const zx_family *family = NULL;
    zx_arena arena = {0};
    zmlx_status status = zx_checkpoint_open_config("c", text, strlen(text), &checkpoint);
    if (status == ZMLX_OK) status = zx_family_find(checkpoint, &family);
    if (status == ZMLX_OK) status = zx_config_read(family, checkpoint, config);
    if (status == ZMLX_OK)
        status = zx_family_rope(family, checkpoint, config, ZX_LAYER_FULL, &arena, full);
    if (status == ZMLX_OK && sliding != NULL)
        status = zx_family_rope(family, checkpoint, config, ZX_LAYER_SLIDING, &arena, sliding);
    zx_arena_reset(&arena);
    if (checkpoint != NULL) zx_checkpoint_close(checkpoint);
    return status;
}

#endif
