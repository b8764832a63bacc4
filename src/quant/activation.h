/* activation.h - a row of activations as integers, the right-hand side of the integer matmuls.
 *
 * Per group of columns (the weight's group) with a = max |x_i|:
 *   q8   d = RN(a / 127),    q_i = clamp(rint(RN(x_i * RN(1 / d))), -127, 127),     one plane: q_i
 *   q16  d = RN(a / 32512),  q_i = clamp(rint(RN(x_i * RN(1 / d))), -32512, 32512), two planes:
 *        high_i = (q_i + 128) >> 8, low_i = q_i - 256 * high_i, both int8
 *   a below 2^-100: d = 0, all q_i = 0.  a NaN or infinity in the group: d = NaN, all q_i = 0.
 *   total = sum q_i (exact),  sum = RN(d * f32(total))
 *
 * A row in memory, every part at a multiple of 64 bytes (columns is padded to that with zeros):
 *   int8 plane[planes][columns]   f32 d[groups]   f32 sum[groups]   int32 total[groups]
 * A row of several slots (one for each expert of a token) is that many such rows, one behind the
 * other, each of columns / slots columns.
 * The columns of a plane lie in the order that the weight's codes come in: */
#ifndef ZX_QUANT_ACTIVATION_H
#define ZX_QUANT_ACTIVATION_H

#include <stddef.h>
#include <stdint.h>

typedef enum zx_precision {
    ZX_PRECISION_DEFAULT, /* q16 */
    ZX_PRECISION_F32,
    ZX_PRECISION_Q16,
    ZX_PRECISION_Q8,
} zx_precision;

typedef enum zx_order {
    ZX_ORDER_NATURAL,
    ZX_ORDER_EVEN_ODD, /* of each 32 columns (16 where the group is 16) the even ones, then the odd
                          ones: what the low and the high nibbles of 16 bytes hold */
} zx_order;

typedef struct zx_activation_layout { /* {0}: not quantized */
    uint8_t planes;                   /* 1: q8, 2: q16 */
    uint8_t order;                    /* zx_order */
    uint16_t group;
    uint16_t slots; /* 0 counts as 1 */
} zx_activation_layout;

static inline size_t zx_round_up(size_t value, size_t step)
{
    return (value + step - 1) / step * step;
}

static inline size_t zx_activation_plane_bytes(size_t columns)
{
    return zx_round_up(columns, 64);
}

static inline size_t zx_activation_part_bytes(zx_activation_layout layout, size_t columns)
{
    return zx_round_up(columns / layout.group * 4, 64);
}

static inline size_t zx_activation_slots(zx_activation_layout layout)
{
    return layout.slots > 1 ? layout.slots : 1;
}

/* Bytes of one slot of so many columns. */
static inline size_t zx_activation_slot_bytes(zx_activation_layout layout, size_t columns)
{
    return layout.planes * zx_activation_plane_bytes(columns) +
           3 * zx_activation_part_bytes(layout, columns);
}

/* Bytes of one row, a multiple of 64. */
static inline size_t zx_activation_row_bytes(zx_activation_layout layout, size_t columns)
{
    const size_t slots = zx_activation_slots(layout);
    return slots * zx_activation_slot_bytes(layout, columns / slots);
}

typedef struct zx_activation_row { /* where the parts of a slot are */
    int8_t *plane[2];
    float *scale, *sum;
    int32_t *total;
} zx_activation_row;

static inline zx_activation_row zx_activation_parts(zx_activation_layout layout, size_t columns,
                                                    void *row)
{
    char *at = row;
    const size_t plane = zx_activation_plane_bytes(columns);
    const size_t part = zx_activation_part_bytes(layout, columns);
    char *after = at + layout.planes * plane;
    return (zx_activation_row){{(int8_t *)at, (int8_t *)(at + plane)},
                               (float *)(void *)after,
                               (float *)(void *)(after + part),
                               (int32_t *)(void *)(after + 2 * part)};
}

#endif
