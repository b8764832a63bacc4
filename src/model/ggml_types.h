/* ggml_types.h - the tensor types of GGUF, by number: how large their blocks are, so that every
 * file can be judged, and which of them a weight may have. */
#ifndef ZX_MODEL_GGML_TYPES_H
#define ZX_MODEL_GGML_TYPES_H

#include "quant/format.h"

typedef struct zx_ggml_type {
    const char *name;
    uint16_t block;   /* values */
    uint16_t bytes;   /* of a block */
    zx_dtype dtype;   /* ZX_DTYPE_COUNT: blocks */
    zx_format format; /* ZX_FORMAT_COUNT: not read yet */
} zx_ggml_type;

/* NULL where no type has that number. */
const zx_ggml_type *zx_ggml_type_of(uint32_t number);

#endif
