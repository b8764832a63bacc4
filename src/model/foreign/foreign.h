/* foreign.h - weights as another quantizer stored them, made into MLX's affine form or into dense
 * rows when their checkpoint is opened.
 *
 * Which quantizer it was says config.json's quantization_config.quant_method; methods.c has a row
 * for each.  Where the config has MLX's own "quantization", or no method, nothing happens. */
#ifndef ZX_MODEL_FOREIGN_H
#define ZX_MODEL_FOREIGN_H

#include <jansson.h>

#include "base/arena.h"
#include "base/hash.h"
#include "model/stored.h"

typedef struct zx_foreign {
    const char *path; /* of the config, for messages */
    json_t *config;
    const zx_table *names; /* of the tensors below, to their places */
    const char **words;
    const zx_stored_tensor **tensors;
    size_t count;
    zx_arena *arena; /* where what is made lives */
} zx_foreign;

/* Replaces the lists by those of the converted tensors, never more than before, and the config's
 * settings by what MLX would say of them; *changed says whether it did.  A method that is not read
 * is ZMLX_ERROR_UNSUPPORTED with its reason, or with the methods that are. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_convert(zx_foreign *foreign, bool *changed);

#endif
