/* mx.c - the microscaling modes: small floats that share a scale.
 *   mxfp4   codes E2M1 (low nibble first), scales E8M0, groups of 32
 *   mxfp8   codes E4M3, scales E8M0, groups of 32
 *   nvfp4   codes E2M1, scales E4M3 (with a sign), groups of 16
 * E4M3 is read as MLX reads it from 0.32.4 on: 0x7f is NaN.  E8M0 255 is infinity.
 *
 * Encoding: E8M0 scales are the power of two at or above largest / 6 (/ 448 for E4M3 codes);
 * E4M3 scales are RN(largest / 6), at most 448.  Codes are RN(value / scale), saturating. */
#include <math.h>

#include "base/fail.h"
#include "quant/families.h"

enum { LARGEST_GROUP = 32, LARGEST_E4M3 = 0x7e };

static const float e2m1_values[16] = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                      -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};

zmlx_status zx_mx_check(const zx_weight *weight)
{
    return zx_check_rows(weight, zx_weight_row_bytes(weight), zx_weight_groups(weight));
}

static float load_scale(const zx_weight *weight, size_t row, size_t group)
{
    const uint8_t code = weight->scales[row * weight->scales_stride + group];
    return weight->format == ZX_FORMAT_NVFP4 ? zx_e4m3_to_f32(code) : zx_e8m0_to_f32(code);
}

static unsigned nibble(const uint8_t *bytes, size_t index)
{
    return bytes[index / 2] >> index % 2 * 4 & 0xfu;
}

void zx_mx_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                 float *bias)
{
    const uint8_t *packed = weight->codes + row * weight->codes_stride + group * weight->group / 2;
    for (size_t i = 0; i < weight->group; i++)
        codes[i] = (uint8_t)((int)(2.0F * e2m1_values[nibble(packed, i)]) + 12);
    *scale = 0.5F * load_scale(weight, row, group);
    *bias = 0;
}

void zx_mx_decode(const zx_weight *weight, size_t row, size_t first, size_t count, float *values)
{
    const uint8_t *packed = weight->codes + row * weight->codes_stride;
    for (size_t i = 0; i < count; i++) {
        const float scale = load_scale(weight, row, (first + i) / weight->group);
        const float value = weight->format == ZX_FORMAT_MXFP8
                                ? zx_e4m3_to_f32(packed[first + i])
                                : e2m1_values[nibble(packed, first + i)];
        values[i] = zx_round_to(weight->dtype, value * scale);
    }
}

/* RN to E2M1: half way between two values goes to the even code. */
static uint8_t e2m1_from_f32(float value)
{
    static const float limits[7] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
    const float magnitude = fabsf(value);
    unsigned code = 0;
    while (code < 7 && (magnitude > limits[code] || (magnitude == limits[code] && code % 2 == 1)))
        code++;
    return (uint8_t)(code | (signbit(value) ? 8u : 0u));
}

/* RN to E4M3, saturating at 448. */
static uint8_t e4m3_from_f32(float value)
{
    const uint32_t bits = zx_bits_from_float(value), magnitude = bits & 0x7fffffffu;
    uint32_t code;
    if (magnitude >= 0x43e00000u) /* 448 */
        code = LARGEST_E4M3;
    else if (magnitude < 0x3c800000u) /* below 2^-6: multiples of 2^-9 */
        code = zx_bits_from_float(zx_float_from_bits(magnitude) + 0x1p14F) - 0x46800000u;
    else
        code = (magnitude + 0x7ffffu + (magnitude >> 20 & 1u) - 0x3c000000u) >> 20;
    if (code > LARGEST_E4M3) code = LARGEST_E4M3;
    return (uint8_t)(code | (bits >> 24 & 0x80u));
}

/* The exponent of the power of two at or above 'value', biased. */
static uint8_t e8m0_at_least(float value)
{
    const uint32_t bits = zx_bits_from_float(value);
    if (value == 0) return 127;
    if (value <= 0x1p-127F) return 0;
    if (value <= 0x1p-126F) return 1;
    return (uint8_t)((bits + 0x7fffffu) >> 23); /* 255 where it is not finite */
}

static void encode_group(const zx_weight *weight, size_t row, size_t group, const float *values,
                         uint8_t *codes)
{
    const bool fp8 = weight->format == ZX_FORMAT_MXFP8;
    uint8_t *scale = zx_writable(weight->scales) + row * weight->scales_stride + group;
    float largest = 0;
    for (size_t i = 0; i < weight->group; i++) largest = fmaxf(largest, fabsf(values[i]));
    const float step = largest / (fp8 ? 448.0F : 6.0F);
    *scale = weight->format == ZX_FORMAT_NVFP4 ? e4m3_from_f32(step) : e8m0_at_least(step);
    const float divisor = load_scale(weight, row, group);
    for (size_t i = 0; i < weight->group; i++) {
        const float scaled = divisor == 0 ? 0.0F : values[i] / divisor;
        codes[i] = fp8 ? e4m3_from_f32(scaled) : e2m1_from_f32(scaled);
    }
}

void zx_mx_encode(const zx_weight *weight, size_t row, const float *values)
{
    uint8_t codes[LARGEST_GROUP] = {0};
    const size_t size = weight->group;
    uint8_t *packed = zx_writable(weight->codes) + row * weight->codes_stride;
    for (size_t group = 0; group < weight->columns / size; group++) {
        encode_group(weight, row, group, values + group * size, codes);
        if (weight->format == ZX_FORMAT_MXFP8) {
            memcpy(packed + group * size, codes, size);
            continue;
        }
        for (size_t i = 0; i < size; i += 2)
            packed[(group * size + i) / 2] = (uint8_t)(codes[i] | codes[i + 1] << 4);
    }
}
