/* safetensors.h - reading and writing one .safetensors file.
 *
 *   u64 length of the header (little-endian) | header: JSON | the tensors' bytes
 *
 * The header maps each name to dtype, shape and the range of its bytes.  The format's own rules
 * are enforced: the ranges cover the data without holes or overlaps. */
#ifndef ZX_MODEL_SAFETENSORS_H
#define ZX_MODEL_SAFETENSORS_H

#include "base/file.h"
#include "base/text.h"
#include "model/stored.h"

typedef struct zx_safetensors { /* {0} is a valid closed file */
    zx_file file;
    zx_stored stored;
} zx_safetensors;

/* Maps and judges the file; tensors point into it. */
ZMLX_MUST_CHECK zmlx_status zx_safetensors_open(const char *path, zx_safetensors *safetensors);
/* The same for bytes in memory, which must outlive it; 'name' stands in messages. */
ZMLX_MUST_CHECK zmlx_status zx_safetensors_open_bytes(const char *name, const void *bytes,
                                                      size_t size, zx_safetensors *safetensors);
void zx_safetensors_close(zx_safetensors *safetensors);

/* Adds the eight bytes of length and the header of a file of these tensors (name, dtype, rank,
 * shape, bytes), which lie in it in the given order without holes.  "__metadata__" says "format":
 * FORMAT; NULL: there is none. */
ZMLX_MUST_CHECK zmlx_status zx_safetensors_head(const zx_stored_tensor *tensors, size_t count,
                                                const char *format, zx_text *head);

/* Writes the tensors (name, dtype, rank, shape, data, bytes) in the given order; the file
 * appears whole or not at all. */
ZMLX_MUST_CHECK zmlx_status zx_safetensors_write(const char *path, const zx_stored_tensor *tensors,
                                                 size_t count);

#endif
