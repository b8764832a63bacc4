/* shards.h - the safetensors files of a model folder, all of them open.
 *
 * model.safetensors.index.json says which they are; without one, every model*.safetensors. */
#ifndef ZX_MODEL_SHARDS_H
#define ZX_MODEL_SHARDS_H

#include "model/safetensors.h"

typedef struct zx_shards { /* {0} is empty */
    zx_safetensors *files;
    size_t count, capacity;
} zx_shards;

/* On failure *shards is empty. */
ZMLX_MUST_CHECK zmlx_status zx_shards_open(const char *folder, zx_shards *shards);
ZMLX_MUST_CHECK zmlx_status zx_shards_open_file(const char *path, zx_shards *shards);
void zx_shards_close(zx_shards *shards);

#endif
