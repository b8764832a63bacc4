/* foreign.h - weights as another quantizer stored them, made into MLX's affine form or into dense
 * rows.
 *
 * Which quantizer it was says config.json's quantization_config.quant_method; methods.c has a row
 * for each.  Where the config has MLX's own "quantization", or no method, nothing happens.
 *
 * It is done in two steps.  When a checkpoint is opened its modules are judged and the new tensors
 * get their shapes, dtypes and addresses; the values of those that are used are made later, once,
 * after whoever needs them has looked at the memory there is. */
#ifndef ZX_MODEL_FOREIGN_H
#define ZX_MODEL_FOREIGN_H

#include <jansson.h>

#include "base/arena.h"
#include "base/hash.h"
#include "model/stored.h"

typedef struct zx_foreign_work zx_foreign_work; /* what is still to be made */

typedef struct zx_foreign {
    const char *path; /* of the config, for messages */
    json_t *config;
    const zx_table *names; /* of the tensors below, to their places */
    const char **words;
    const zx_stored_tensor **tensors;
    size_t count;
    zx_arena *arena; /* where what is made lives, but for the values */
} zx_foreign;

/* Replaces the lists by those of the converted tensors, and the config's settings by what MLX would
 * say of them; *work is NULL where nothing was to be done.  A method
 * that is not read is ZMLX_ERROR_UNSUPPORTED with its reason, or with the methods that are. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_convert(zx_foreign *foreign, zx_foreign_work **work);

/* Those of a checkpoint's tensors whose 'used' is true. */
typedef struct zx_foreign_wanted {
    const zx_stored_tensor *const *tensors;
    const bool *used;
    size_t count;
} zx_foreign_wanted;

/* Makes the values of what is wanted and was not made yet; other calls wait for it or find them.
 * 'threads' 0: all that the process may use.  Needs the arena and the mapped files of the first
 * step.  NULL: does nothing. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_make(zx_foreign_work *work, const zx_foreign_wanted *wanted,
                                            size_t threads);
/* True for a tensor whose values are made: no file has them. */
bool zx_foreign_makes(const zx_foreign_work *work, const zx_stored_tensor *tensor);
/* Bytes of memory that the values made so far take. */
size_t zx_foreign_made(zx_foreign_work *work);
/* Those and what the machine can still give; both of the same moment, so that it waits for values
 * that are being made. */
size_t zx_foreign_available(zx_foreign_work *work);
void zx_foreign_close(zx_foreign_work *work);

#endif
