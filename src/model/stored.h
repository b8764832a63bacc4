/* stored.h - the tensors of one weight file, whatever its format, as they lie in the mapped file.
 *
 * Readers fill a list while they judge the file; afterwards it does not change and holds only
 * what was proven: names unique, every tensor's bytes inside the file, no two overlapping. */
#ifndef ZX_MODEL_STORED_H
#define ZX_MODEL_STORED_H

#include "base/arena.h"
#include "base/hash.h"
#include "quant/format.h"
#include "tensor/dtype.h"

enum { ZX_MAX_DIMS = 8, ZX_SHAPE_TEXT = 256 };

typedef struct zx_stored_tensor {
    const char *path; /* of the file, for messages */
    const char *name; /* as written there */
    size_t name_length;
    zx_dtype dtype;   /* ZX_DTYPE_COUNT: blocks of GGUF */
    zx_format format; /* dense or GGUF blocks; ZX_FORMAT_COUNT: none that a weight may have */
    const char *type; /* what the file calls it: "BF16", "Q4_1" */
    unsigned rank;
    size_t shape[ZX_MAX_DIMS]; /* outermost first */
    const uint8_t *data;
    size_t bytes;
} zx_stored_tensor;

typedef struct zx_stored { /* {0} is empty */
    zx_stored_tensor *tensors;
    size_t count, capacity;
    zx_table names;
    zx_arena arena;
    char *pool; /* where the next name goes */
    size_t pool_left;
    const char *path;
} zx_stored;

/* An empty list for messages that name 'path' (copied). */
ZMLX_MUST_CHECK zmlx_status zx_stored_init(zx_stored *stored, const char *path);
void zx_stored_fini(zx_stored *stored);

/* A copy of the bytes, with a NUL after them, that lives as long as the list. */
ZMLX_MUST_CHECK zmlx_status zx_stored_text(zx_stored *stored, const char *bytes, size_t length,
                                           const char **text);

/* Adds a tensor of that name; one that is there already, is longer than 'limit' bytes, empty,
 * no UTF-8 or holds a NUL is an error.  *tensor is valid until the next call. */
ZMLX_MUST_CHECK zmlx_status zx_stored_add(zx_stored *stored, const char *name, size_t length,
                                          size_t limit, zx_stored_tensor **tensor);

/* NULL where there is none. */
const zx_stored_tensor *zx_stored_find(const zx_stored *stored, const char *name);

/* The product of the shape; false where it does not fit. */
bool zx_stored_elements(const zx_stored_tensor *tensor, size_t *elements);

/* Fails where two tensors share bytes; with 'dense' also where some of the bytes from 'begin' to
 * 'end' belong to none. */
ZMLX_MUST_CHECK zmlx_status zx_stored_check_layout(const zx_stored *stored, const uint8_t *begin,
                                                   const uint8_t *end, bool dense);

/* "F32 [320, 64]" */
const char *zx_stored_describe(const zx_stored_tensor *tensor, char text[ZX_SHAPE_TEXT]);

/* A name from a file as it may be printed: at most 80 bytes, control characters as '?'. */
enum { ZX_SHOWN_NAME = 96 };
const char *zx_shown_name(const char *name, size_t length, char text[ZX_SHOWN_NAME]);

#endif
