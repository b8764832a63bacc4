/* quantize_rows.h - one row of f32 activations to integers, by the formulas of quant/activation.h;
 * fused kernels end in it too, so that they keep its bits.  Include it only from kernel bodies. */
#ifndef ZX_KERNELS_QUANTIZE_QUANTIZE_ROWS_H
#define ZX_KERNELS_QUANTIZE_QUANTIZE_ROWS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "quant/activation.h"
#include "quant/format.h"
#include "tensor/dtype.h"

enum { ZX_QUANTIZE_LANES = 16 }; /* divides every group */

/* The largest |x_i|, as bits: above those of infinity when one is NaN. */
static inline uint32_t zx_largest_bits(const float *x, size_t count)
{
    int32_t largest[ZX_QUANTIZE_LANES] = {0};
    for (size_t i = 0; i < count; i += ZX_QUANTIZE_LANES)
        for (size_t lane = 0; lane < ZX_QUANTIZE_LANES; lane++) {
            const int32_t bits = (int32_t)(zx_bits_from_float(x[i + lane]) & 0x7fffffffu);
            largest[lane] = bits > largest[lane] ? bits : largest[lane];
        }
    int32_t most = 0;
    for (size_t lane = 0; lane < ZX_QUANTIZE_LANES; lane++)
        most = largest[lane] > most ? largest[lane] : most;
    return (uint32_t)most;
}

/* The codes of one group and their sum; returns d. */
static inline float zx_quantize_group(const float *x, size_t count, int32_t limit, int32_t *codes,
                                      int32_t *total)
{
    const uint32_t infinity = 0x7f800000u;
    const uint32_t bits = zx_largest_bits(x, count);
    const float largest = zx_float_from_bits(bits);
    *total = 0;
    if (bits >= infinity || largest < 0x1p-100F) {
        memset(codes, 0, count * sizeof *codes);
        return bits >= infinity ? zx_float_from_bits(0x7fc00000u) : 0.0F;
    }
    const float scale = largest / (float)limit;
    const float inverse = 1.0F / scale;
    /* adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits */
    const float shifter = 0x1.8p23F;
    const int32_t shifted = (int32_t)zx_bits_from_float(shifter);
    int32_t sums[ZX_QUANTIZE_LANES] = {0};
    for (size_t i = 0; i < count; i += ZX_QUANTIZE_LANES)
        for (size_t lane = 0; lane < ZX_QUANTIZE_LANES; lane++) {
            const float scaled = x[i + lane] * inverse;
            int32_t code = (int32_t)zx_bits_from_float(scaled + shifter) - shifted;
            code = code > limit ? limit : code;
            code = code < -limit ? -limit : code;
            codes[i + lane] = code;
            sums[lane] += code;
        }
    for (size_t lane = 0; lane < ZX_QUANTIZE_LANES; lane++) *total += sums[lane];
    return scale;
}

/* Codes into the order of the planes. */
static inline void zx_order_codes(zx_order order, size_t count, const int32_t *codes,
                                  int32_t *ordered)
{
    if (order == ZX_ORDER_NATURAL) {
        memcpy(ordered, codes, count * sizeof *codes);
        return;
    }
    const size_t half = (count < 32 ? count : 32) / 2;
    for (size_t i = 0; i < count; i += 2 * half)
        for (size_t j = 0; j < half; j++) {
            ordered[i + j] = codes[i + 2 * j];
            ordered[i + half + j] = codes[i + 2 * j + 1];
        }
}

/* 'columns' is a multiple of the group.  What pads the parts of the slot becomes zero. */
static inline void zx_quantize_slot(zx_activation_layout layout, const float *x, size_t columns,
                                    void *row)
{
    const zx_activation_row parts = zx_activation_parts(layout, columns, row);
    const size_t group = layout.group, groups = columns / group;
    const int32_t limit = layout.planes == 2 ? 32512 : 127;
    int32_t codes[ZX_MAX_GROUP], ordered[ZX_MAX_GROUP];
    for (size_t g = 0; g < groups; g++) {
        const size_t first = g * group;
        const float scale = zx_quantize_group(x + first, group, limit, codes, &parts.total[g]);
        parts.scale[g] = scale;
        parts.sum[g] = scale * (float)parts.total[g];
        zx_order_codes((zx_order)layout.order, group, codes, ordered);
        if (layout.planes == 2) {
            for (size_t i = 0; i < group; i++) {
                parts.plane[0][first + i] = (int8_t)((ordered[i] + 128) >> 8);
                parts.plane[1][first + i] = (int8_t)ordered[i];
            }
        } else {
            for (size_t i = 0; i < group; i++) parts.plane[0][first + i] = (int8_t)ordered[i];
        }
    }
    const size_t padding = zx_activation_plane_bytes(columns) - columns;
    for (size_t plane = 0; plane < layout.planes; plane++)
        memset(parts.plane[plane] + columns, 0, padding);
    const size_t rest = zx_activation_part_bytes(layout, columns) - groups * sizeof *parts.scale;
    memset(parts.scale + groups, 0, rest);
    memset(parts.sum + groups, 0, rest);
    memset(parts.total + groups, 0, rest);
}

static inline void zx_quantize_row(zx_activation_layout layout, const float *x, size_t columns,
                                   void *row)
{
    const size_t slots = zx_activation_slots(layout), size = columns / slots;
    for (size_t slot = 0; slot < slots; slot++)
        zx_quantize_slot(layout, x + slot * size, size,
                         (char *)row + slot * zx_activation_slot_bytes(layout, size));
}

#endif
