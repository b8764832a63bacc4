/* write_tensors.h - the entries of an outgoing list as one safetensors file: read, decoded, cast
 * and encoded a few rows at a time, by several threads. */
#ifndef ZX_MODEL_WRITE_TENSORS_H
#define ZX_MODEL_WRITE_TENSORS_H

#include "base/file.h"
#include "base/pool.h"
#include "base/text.h"
#include "model/outgoing.h"

/* What is common to all files of one call. */
typedef struct zx_tensor_writing {
    const char *source; /* of the values, for messages */
    zx_pool *pool;
    bool (*keep_going)(void *user); /* may be NULL */
    void *user;
    size_t done, total; /* bytes, for the progress */
    bool interrupted;
} zx_tensor_writing;

/* The tensors that an entry becomes, at most three, named in the arena; 'data' is NULL. */
enum { ZX_TENSORS_OF_ENTRY = 3 };
ZMLX_MUST_CHECK zmlx_status zx_outgoing_tensors(const zx_outgoing *entry, zx_arena *arena,
                                                zx_stored_tensor tensors[ZX_TENSORS_OF_ENTRY],
                                                size_t *count);

/* Marks the entries of blocks (GGUF) whose codes, scales and biases an affine form holds exactly,
 * its scales being of the entry's dtype. */
void zx_outgoing_find_exact(zx_outgoing_list *list, zx_pool *pool);

/* Writes the file 'path' of these entries whole, or not at all. */
ZMLX_MUST_CHECK zmlx_status zx_write_entries(const char *path, const zx_outgoing *entries,
                                             size_t count, zx_tensor_writing *writing);

#endif
