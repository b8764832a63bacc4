/* outgoing_parts.h - what the files that fill an outgoing list share; nobody else includes it.
 */
#ifndef ZX_MODEL_OUTGOING_PARTS_H
#define ZX_MODEL_OUTGOING_PARTS_H

#include "model/mlx_names.h"
#include "model/outgoing.h"

typedef struct zx_collector {
    const zx_checkpoint *checkpoint;
    const zx_family *family;
    const zx_config *config;
    bool wrapped, dequantize;
    zx_outgoing_list *list;
} zx_collector;

/* A tensor at hand, and its name in two parts. */
typedef struct zx_subject {
    const zx_stored_tensor *tensor;
    char module[ZX_MLX_NAME];
    const char *suffix; /* ".weight", "" ... */
} zx_subject;

zmlx_status zx_outgoing_shape_error(const zx_stored_tensor *tensor, const char *expected);
bool zx_name_ends(const char *name, const char *ending);

/* Matrices as the tensor has them: a vector is one row; what stands before the last two dimensions
 * counts matrices. */
ZMLX_MUST_CHECK zmlx_status zx_dense_source(const zx_stored_tensor *tensor, zx_weight *source);
/* The same for a tensor of bytes that are copied. */
void zx_raw_source(const zx_stored_tensor *tensor, zx_weight *source);
/* A vector's source becomes rows of one value; blocks, which are no rows, are refused. */
ZMLX_MUST_CHECK zmlx_status zx_rows_of_one(const zx_stored_tensor *vector, zx_weight *source);
/* True for a module that MLX quantized. */
bool zx_is_quantized(const zx_collector *c, const char *module);
/* What MLX quantized, as a weight: its shape follows from the words and the config's bits. */
ZMLX_MUST_CHECK zmlx_status zx_quantized_source(const zx_collector *c, const zx_subject *s,
                                                zx_weight *source);

/* An entry of values with the source's own rows and columns. */
zx_outgoing zx_values_of(const zx_weight *source);
/* Its rank and shape: a matrix, or where 'stack' is not 0 so many. */
void zx_set_shape(zx_outgoing *entry, size_t stack);
/* Adds an entry for the module of that name (in Hugging Face's words). */
ZMLX_MUST_CHECK zmlx_status zx_outgoing_add(zx_collector *c, const zx_subject *s,
                                            const char *module, const char *suffix,
                                            const zx_outgoing *what);

/* Experts: '*taken' is false, and nothing is added, where the tensor holds none. */
ZMLX_MUST_CHECK zmlx_status zx_outgoing_add_experts(zx_collector *c, const zx_subject *s,
                                                    bool *taken);

/* Layers that keep a state, in GGUF: likewise. */
ZMLX_MUST_CHECK zmlx_status zx_outgoing_add_recurrent(zx_collector *c, const zx_subject *s,
                                                      bool *taken);

static inline bool zx_tensor_is_float(const zx_stored_tensor *tensor)
{
    return tensor->dtype < ZX_DTYPE_COUNT && zx_dtypes[tensor->dtype].is_float;
}

#endif
