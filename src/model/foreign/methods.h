/* methods.h - what the methods of foreign.h are made of: the parts of a module, and the weights
 * that become of them. */
#ifndef ZX_MODEL_FOREIGN_METHODS_H
#define ZX_MODEL_FOREIGN_METHODS_H

#include <string.h>

#include "model/config.h"
#include "model/foreign/foreign.h"

enum { ZX_FOREIGN_NAME = 512 };

enum { ZX_FOREIGN_TENSORS = 3 };

/* Values that are still to be made: rows of one module's tensors. */
typedef struct zx_foreign_job {
    size_t rows;
    const void *source;              /* the method's own description */
    uint8_t *to[ZX_FOREIGN_TENSORS]; /* where the tensors lie, in the order they were put */
    /* Makes the rows [first, end) of all of them; 'first' is a multiple of ZX_FOREIGN_STEP.  Runs
     * on many threads at once and cannot fail. */
    void (*run)(const struct zx_foreign_job *job, size_t first, size_t end);
    /* Set by work.c. */
    zx_stored_tensor *tensors[ZX_FOREIGN_TENSORS];
    size_t offsets[ZX_FOREIGN_TENSORS], count;
    size_t first_part; /* of the parts of all jobs that are run together */
    bool made;
} zx_foreign_job;

enum { ZX_FOREIGN_STEP = 256 }; /* rows that one thread makes at a time */

/* A module whose weight is converted. */
typedef struct zx_foreign_module {
    zx_foreign *from;
    zx_foreign_work *work;
    zx_fields settings; /* quantization_config */
    json_t *quantization;
    const char **words; /* what was made so far, of all modules */
    const zx_stored_tensor **tensors;
    size_t count;
    /* NAME.weight and its parts beside it; bare: the weight is called NAME, its parts
     * NAME_scale_inv and the like (stacked experts of transformers). */
    char name[ZX_FOREIGN_NAME];
    bool bare;
} zx_foreign_module;

typedef struct zx_foreign_method {
    const char *name;
    const char *refusal; /* NULL: it is read */
    /* Suffixes of the tensors that a weight is made of, NULL at the end; a module is quantized
     * where it has a tensor with one of the first 'keys' suffixes. */
    const char *const *parts;
    size_t keys;
    bool bare; /* modules may be */
    /* Judges the settings, before any module; may be NULL. */
    zmlx_status (*check)(const zx_fields *settings);
    /* Judges a module, and puts its tensors and a job for them. */
    zmlx_status (*plan)(zx_foreign_module *module);
} zx_foreign_method;

extern const zx_foreign_method zx_foreign_awq, zx_foreign_gptq, zx_foreign_fp8,
    zx_foreign_compressed;

/* The module's E4M3 values and their scales as dense bf16 rows. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_plan_fp8(zx_foreign_module *module);

enum { ZX_FOREIGN_FULL_NAME = ZX_FOREIGN_NAME + 32 };
/* MODULE.SUFFIX, or what it is called where the module is bare. */
void zx_foreign_name(const zx_foreign_module *module, const char *suffix,
                     char name[ZX_FOREIGN_FULL_NAME]);
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
typedef struct zx_foreign_shape {
    size_t rows, columns;
    size_t stack; /* so many matrices; 0: one, of two dimensions */
} zx_foreign_shape;

/* Adds MODULE.SUFFIX whose values are there already. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_put(zx_foreign_module *module, const char *suffix,
                                           zx_dtype dtype, zx_foreign_shape shape,
                                           const void *data);
/* The same for values that a job makes. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_put_later(zx_foreign_module *module, const char *suffix,
                                                 zx_dtype dtype, zx_foreign_shape shape,
                                                 zx_foreign_job *job);
/* Adds a job, after its tensors. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_add_job(zx_foreign_module *module,
                                               const zx_foreign_job *job);

/* What a checkpoint's jobs are collected in; the addresses come at the end. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_work_create(const char *path, zx_foreign_work **work);
ZMLX_MUST_CHECK zmlx_status zx_foreign_work_place(zx_foreign_work *work);

/* (code - zero) * scale, by groups of columns */
typedef struct zx_foreign_affine {
    size_t rows, columns, groups; /* groups: of a row */
    unsigned bits;
    const zx_stored_tensor *codes;
    /* Rows [first, end) of 'codes' as MLX packs them, columns * bits / 32 words a row, the first of
     * them at 'to'; NULL: they lie so in the file. */
    void (*turn)(const struct zx_foreign_affine *affine, size_t first, size_t end, uint32_t *to);
    const zx_stored_tensor *scales; /* floats */
    size_t row_step, group_step;    /* from scale to scale of them */
    const zx_stored_tensor *zeros;  /* NULL: 'zero' everywhere */
    unsigned (*zero_at)(const struct zx_foreign_affine *affine, size_t row, size_t group);
    unsigned zero; /* with 'zeros': is added to them */
} zx_foreign_affine;

/* Adds weight, scales and biases = -zero * scale: in the dtype of the scales where all of them are
 * exact there, else both in F32, where they always are.  Groups that MLX does not know are split
 * where they are a multiple of one that it does; others are refused. */
ZMLX_MUST_CHECK zmlx_status zx_foreign_put_affine(zx_foreign_module *module,
                                                  const zx_foreign_affine *affine);

/* Word 'index' of I32s at any byte. */
static inline uint32_t zx_foreign_word(const zx_stored_tensor *tensor, size_t index)
{
    uint32_t word;
    memcpy(&word, tensor->data + index * sizeof word, sizeof word);
    return word;
}

#endif
