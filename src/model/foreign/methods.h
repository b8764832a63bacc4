/* methods.h - what the methods of foreign.h are made of: the parts of a module, and the weights
 * that become of them. */
#ifndef ZX_MODEL_FOREIGN_METHODS_H
#define ZX_MODEL_FOREIGN_METHODS_H

#include "model/config.h"
#include "model/foreign/foreign.h"

enum { ZX_FOREIGN_NAME = 512 };

/* A module whose weight is converted. */
typedef struct zx_foreign_module {
    zx_foreign *from;
    zx_fields settings; /* quantization_config */
    json_t *quantization;
    const char **words; /* what was made so far, of all modules */
    const zx_stored_tensor **tensors;
    size_t count;
    char name[ZX_FOREIGN_NAME];
} zx_foreign_module;

typedef struct zx_foreign_method {
    const char *name;
    const char *refusal; /* NULL: it is read */
    /* Suffixes of the tensors that a weight is made of, NULL at the end; a module is quantized
     * where it has a tensor with one of the first 'keys' suffixes. */
    const char *const *parts;
    size_t keys;
    /* Judges the settings, before any module; may be NULL. */
    zmlx_status (*check)(const zx_fields *settings);
    zmlx_status (*make)(zx_foreign_module *module);
} zx_foreign_method;

extern const zx_foreign_method zx_foreign_awq, zx_foreign_gptq, zx_foreign_fp8,
    zx_foreign_compressed;

/* The module's E4M3 values and their scales as dense bf16 rows. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_make_fp8(zx_foreign_module *module);

/* MODULE.SUFFIX, or NULL. */
const zx_stored_tensor *zx_foreign_find(const zx_foreign_module *module, const char *suffix);
/* The same, of that dtype and a matrix; an error where it is not there or is another.  A 'rows' or
 * 'columns' of 0 fits any. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_matrix(const zx_foreign_module *module, const char *suffix,
                                              zx_dtype dtype, size_t rows, size_t columns,
                                              const zx_stored_tensor **tensor);
/* The same for F32, F16 or BF16. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_floats(const zx_foreign_module *module, const char *suffix,
                                              size_t rows, size_t columns,
                                              const zx_stored_tensor **tensor);
/* "FILE: module 'NAME': WHAT", ZMLX_ERROR_UNSUPPORTED */
zmlx_status zx_foreign_refuse(const zx_foreign_module *module, const char *what);

/* Room for 'count' things of 'bytes' bytes that lives as long as the checkpoint. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_take(const zx_foreign_module *module, size_t count,
                                            size_t bytes, void **memory);
/* Adds MODULE.SUFFIX [rows, columns]. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_put(zx_foreign_module *module, const char *suffix,
                                           zx_dtype dtype, size_t rows, size_t columns,
                                           const void *data);

/* (code - zero) * scale, by groups of columns */
typedef struct zx_foreign_affine {
    size_t rows, columns, groups; /* groups: of a row */
    unsigned bits;
    const void *codes;              /* as MLX packs them: [rows, columns * bits / 32] words */
    const zx_stored_tensor *scales; /* floats */
    bool turned;                    /* scales are [groups, rows], else [rows, groups] */
    const uint16_t *zeros;          /* [rows, groups], or NULL: 'zero' everywhere */
    unsigned zero;
} zx_foreign_affine;

/* Adds weight, scales and biases = -zero * scale: in the dtype of the scales where all of them are
 * exact there, else both in F32, where they always are.  Groups that MLX does not know are split
 * where they are a multiple of one that it does; others are refused. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_put_affine(zx_foreign_module *module,
                                                  const zx_foreign_affine *affine);

/* Word 'index' of I32s at any byte. */
uint32_t zx_foreign_word(const zx_stored_tensor *tensor, size_t index);

#endif
