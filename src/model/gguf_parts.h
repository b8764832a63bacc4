/* gguf_parts.h - a GGUF model in several files, as llama.cpp's gguf-split writes them.
 *
 * NAME-00001-of-00003.gguf holds all metadata; every part has tensors of its own and the keys
 * 'split.no' (from 0) and 'split.count'.  Any of them may be named: all are opened. */
#ifndef ZX_MODEL_GGUF_PARTS_H
#define ZX_MODEL_GGUF_PARTS_H

#include "model/gguf.h"

typedef struct zx_gguf_parts { /* {0} is empty */
    zx_gguf *files;            /* in order; the first has the metadata */
    size_t count;
} zx_gguf_parts;

/* The file of that name, or the first part where it is a later one. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_open_first(const char *path, zx_gguf *gguf);

/* The parts behind 'first'; none where it is a whole model.  A part that is missing, that counts
 * otherwise, or a sum of tensors other than 'split.tensors.count' is an error. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_parts_open(const zx_gguf *first, zx_gguf_parts *parts);
void zx_gguf_parts_close(zx_gguf_parts *parts);

#endif
