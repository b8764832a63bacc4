/* format.h - weight matrices as they lie in a file, and what their bytes mean.
 *
 * A matrix has 'rows' rows of 'columns' values; y = x W^T, so a row is one output.  Nothing is
 * repacked: MLX's packed words and GGUF's blocks are read in place.
 *
 *   dense      codes: rows of f32, f16 or bf16
 *   affine     codes: element i of a row is the bits [i*bits, (i+1)*bits) of the row as a
 *              little-endian bit string; scales and biases [rows, columns / group] of 'dtype'
 *   mxfp4/8    codes E2M1 (low nibble first) or E4M3; scales E8M0 [rows, columns / 32]
 *   nvfp4      codes E2M1; scales E4M3 [rows, columns / 16]
 *   q4_0 ...   codes: GGUF blocks, each with its own scales (and minimums); mxfp4_b is GGUF's
 *              MXFP4, mxfp4 that of MLX
 *
 * The value of a code, RN into T = 'dtype' (f32 for GGUF):
 *   affine, and GGUF's blocks with a minimum:  RN_T(RN_f32(RN_f32(q * s) + b));  with
 *                  mlx_cpu_decode RN_T(RN_T(q * s) + b)
 *   the others:    RN_T(RN_f32(v * s)), v the signed value of the code
 *
 * The integer form of a group (what the integer matmuls use): unsigned codes q_i of at most 8 bits
 *   AFFINE     value_i = q_i * scale + bias
 *   CENTERED   value_i = (q_i - zero) * scale
 * where scale and bias are f32: exact conversions of what the file holds (an f16 times a scale of
 * its block's group of at most 8 bits is exact too), halved for E2M1 codes (whose values are
 * halves: 2 v + 12 is their integer).
 *
 * Nothing here needs its memory aligned: files do not promise it. */
#ifndef ZX_QUANT_FORMAT_H
#define ZX_QUANT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quant/activation.h"
#include "tensor/dtype.h"
#include "zmlx/status.h"

enum { ZX_MAX_GROUP = 128 };

typedef enum zx_format {
#define FORMAT(id, ...) ZX_FORMAT_##id,
#include "quant/formats.def"
#undef FORMAT
    ZX_FORMAT_COUNT
} zx_format;

typedef enum zx_integer_form {
    ZX_INTEGER_NONE,
    ZX_INTEGER_AFFINE,
    ZX_INTEGER_CENTERED,
} zx_integer_form;

/* One matrix, or 'count' of the same shape and format (experts): one after the other, or each where
 * 'matrices' says.  zx_weight_matrix gives one of them. */
typedef struct zx_weight {
    zx_format format;
    zx_dtype dtype; /* T of the decoded values: of dense elements, of affine scales and biases */
    uint8_t bits;   /* of a code */
    uint16_t group; /* columns that share a scale; 1 when dense */
    bool mlx_cpu_decode; /* affine only */
    size_t count, rows, columns;
    const uint8_t *codes;           /* row r of matrix m begins at (m * rows + r) * codes_stride */
    size_t codes_stride;            /* bytes */
    const uint8_t *scales, *biases; /* NULL where there are none of their own */
    size_t scales_stride;           /* bytes, of biases too */
    const void *bias;               /* of a linear layer, [count * rows], or NULL */
    zx_dtype bias_dtype;
    const struct zx_weight *matrices; /* [count], each with count 1; NULL: one after the other */
} zx_weight;

typedef struct zx_format_traits {
    const char *name;
    uint16_t group;
    uint8_t bits;
    zx_integer_form integer;
    int32_t zero;
    uint16_t block;       /* columns of a block of GGUF, a multiple of the group; 0: no blocks */
    uint16_t block_bytes; /* from block to block */
    uint16_t scale_at;    /* where in a block its f16 scale is; the f16 minimum follows */
    /* Checks group, bits, columns and strides; the message names what is wrong. */
    zmlx_status (*check)(const zx_weight *weight);
    /* Values [first, first + count) of a row, as f32 that T can hold; first and count are multiples
     * of the group (any values when dense). */
    void (*decode)(const zx_weight *weight, size_t row, size_t first, size_t count, float *values);
    /* The integer form of one group of a row; NULL where there is none. */
    void (*codes)(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                  float *bias);
    /* RN of 'columns' f32 values into one row of the weight's memory (which the caller owns and
     * lets be written); NULL where encoding is not offered. */
    void (*encode)(const zx_weight *weight, size_t row, const float *values);
} zx_format_traits;

extern const zx_format_traits zx_formats[ZX_FORMAT_COUNT];

/* The traits' check; also for a weight whose format is unknown. */
ZMLX_MUST_CHECK zmlx_status zx_weight_check(const zx_weight *weight);

/* Matrix 'index' of several, as a weight of its own; its rows [first, first + rows). */
zx_weight zx_weight_matrix(const zx_weight *weight, size_t index);
zx_weight zx_weight_rows(const zx_weight *weight, size_t first, size_t rows);

/* Writes one group of a row of an affine weight (whose memory the caller owns): codes of its bits,
 * a scale and a bias, which are rounded to its dtype. */
void zx_affine_put(const zx_weight *weight, size_t row, size_t group, const uint8_t *codes,
                   float scale, float bias);

/* A row of f32 values in memory, which must outlive it. */
zx_weight zx_weight_of_floats(const float *values, size_t columns);

/* How the activations that meet this weight are to be quantized; planes 0 where they are not: the
 * precision is f32 or the format has no integer form. */
zx_activation_layout zx_weight_layout(const zx_weight *weight, zx_precision precision);

/* Bytes of one packed row. */
size_t zx_weight_row_bytes(const zx_weight *weight);
/* Bytes that reading the whole weight touches, scales and biases included. */
size_t zx_weight_bytes(const zx_weight *weight);
/* Groups of a row. */
static inline size_t zx_weight_groups(const zx_weight *weight)
{
    return weight->columns / weight->group;
}

#endif
