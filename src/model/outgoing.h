/* outgoing.h - what a checkpoint becomes in an MLX folder: a list of tensors, each with where its
 * values lie in the mapped files and what is done to them on the way.
 *
 * Names and shapes are those that mlx-lm's models have once its 'sanitize' went over a Hugging Face
 * checkpoint: experts stacked, gate and up apart, latent attention's kv_b_proj in its two halves,
 * convolutions with their channels last, norms with the family's offset in them. */
#ifndef ZX_MODEL_OUTGOING_H
#define ZX_MODEL_OUTGOING_H

#include "model/family.h"

/* How rows are put back from the order that llama.cpp's converters give them. */
typedef enum zx_row_order {
    ZX_ROWS_AS_THEY_ARE,
    ZX_ROWS_FROM_PAIRS, /* (2i, 2i + 1) of a head back to (i, i + half) */
    ZX_ROWS_FROM_PARTS, /* queries, keys, values of all heads back to those of each head */
    /* 'skipped' rows stay; then 'heads' heads of 'unit' rows, the first of each of 'keys' keys, the
     * second of each, ... back to all of the first key, all of the second, ... */
    ZX_ROWS_FROM_TILES,
    ZX_COLUMNS_FROM_TILES, /* likewise */
    /* rows of all keys, 'skipped' each of queries and of keys, 'unit' of values and, in 'second',
     * as many of gates, to all rows of the first key, all of the second, ... */
    ZX_ROWS_BY_KEY,
} zx_row_order;

typedef struct zx_outgoing {
    const char *module; /* in mlx-lm's words: "model.layers.0.mlp.up_proj" */
    const char *suffix; /* ".weight", ".scales", ".bias" or "" */
    const char *origin; /* a tensor's name in the file, for messages */
    zx_weight source;   /* 'count' matrices of rows and columns, as stored */
    zx_dtype copied; /* rows are copied as bytes of this dtype; ZX_DTYPE_COUNT: they are values */

    bool turned;        /* row r of a matrix written is column first + step * r of the source's */
    size_t first, step; /* of what is turned */
    zx_row_order order;
    size_t heads, keys, skipped, unit; /* that the order speaks of */
    zx_weight second;                  /* rows behind those of 'source' */
    bool logarithm;                    /* the source has -exp(x), and x is written */
    float shift;                       /* is added to every value */
    bool to_cast;                      /* false: keeps its dtype whatever is asked for */
    bool matrix;                       /* may be quantized */
    bool encoded;                      /* the source is quantized: its values come from codes */

    size_t rows, columns; /* of a matrix as written */
    unsigned rank;        /* as written, dense */
    size_t shape[ZX_MAX_DIMS];

    /* What it becomes; recipes.h fills these. */
    zx_format format; /* ZX_FORMAT_COUNT: dense */
    uint8_t bits;
    uint16_t group;
    bool named, named_mode; /* config.json has an entry for it; that names the mode */
    bool exact;             /* the source's own codes, scales and biases in affine form */
    bool fixed;             /* quantized already in the source with these bits and this group */
    zx_dtype dtype;         /* of dense values, of affine scales and biases */
} zx_outgoing;

typedef struct zx_outgoing_list { /* {0} is empty */
    zx_outgoing *items;
    size_t count, capacity;
    size_t kept; /* modules that stay quantized */
    zx_arena arena;
} zx_outgoing_list;

/* Every tensor that is to be written, in the order of the files.  With 'dequantize' modules that
 * MLX quantized become values.  On failure the list is to be freed too. */
ZMLX_MUST_CHECK zmlx_status zx_outgoing_collect(const zx_checkpoint *checkpoint,
                                                const zx_family *family, const zx_config *config,
                                                bool dequantize, zx_outgoing_list *list);
void zx_outgoing_fini(zx_outgoing_list *list);

#endif
