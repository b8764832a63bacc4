/* affine.c - MLX's affine mode: codes of 2 to 8 bits as one little-endian bit string per row,
 * and a scale and a bias per group of 32, 64 or 128.
 *
 * Encoding is mx.quantize of MLX's CPU build, bit for bit.  For a group with n = 2^bits - 1,
 * all in f32:
 *   scale = max((largest - smallest) / n, 1e-7), negative unless |smallest| > |largest|
 *   edge  = smallest if |smallest| > |largest|, else largest
 *   q0    = rint(edge / scale); if not 0: scale = edge / q0, bias = edge; else bias = 0
 *   q_i   = rint(clamp((w_i - bias) / scale, 0, n));  scale and bias are rounded to T last */
#include <math.h>

#include "base/fail.h"
#include "quant/families.h"

zmlx_status zx_affine_check(const zx_weight *weight)
{
    const unsigned bits = weight->bits, group = weight->group;
    if (bits < 2 || bits > 8 || bits == 7)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "affine weight: %u bits, not 2, 3, 4, 5, 6 or 8", bits);
    if (group != 32 && group != 64 && group != 128)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "affine weight: group size %u, not 32, 64 or 128", group);
    if (weight->biases == NULL) return ZX_FAIL(ZMLX_ERROR_FORMAT, "affine weight: no biases");
    const size_t scale_bytes = weight->columns / group * zx_dtypes[weight->dtype].bytes;
    return zx_check_rows(weight, zx_weight_row_bytes(weight), scale_bytes);
}

/* 'count' codes from code 'first' on; 8 codes fill whole bytes, and both are multiples of 8. */
static void unpack(const uint8_t *bytes, unsigned bits, size_t first, size_t count, uint8_t *codes)
{
    bytes += first / 8 * bits;
    for (size_t i = 0; i < count; i += 8, bytes += bits) {
        uint64_t eight = 0;
        for (unsigned b = 0; b < bits; b++) eight |= (uint64_t)bytes[b] << 8 * b;
        for (unsigned j = 0; j < 8; j++)
            codes[i + j] = (uint8_t)((eight >> j * bits) & ((1u << bits) - 1));
    }
}

static void pack(const uint8_t *codes, unsigned bits, size_t first, size_t count, uint8_t *bytes)
{
    bytes += first / 8 * bits;
    for (size_t i = 0; i < count; i += 8, bytes += bits) {
        uint64_t eight = 0;
        for (unsigned j = 0; j < 8; j++) eight |= (uint64_t)codes[i + j] << j * bits;
        for (unsigned b = 0; b < bits; b++) bytes[b] = (uint8_t)(eight >> 8 * b);
    }
}

void zx_affine_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes,
                     float *scale, float *bias)
{
    const size_t at = row * weight->scales_stride;
    unpack(weight->codes + row * weight->codes_stride, weight->bits, group * weight->group,
           weight->group, codes);
    *scale = zx_load(weight->dtype, weight->scales + at, group);
    *bias = zx_load(weight->dtype, weight->biases + at, group);
}

void zx_affine_decode(const zx_weight *weight, size_t row, size_t first, size_t count,
                      float *values)
{
    uint8_t codes[ZX_MAX_GROUP] = {0};
    const size_t size = weight->group;
    for (size_t i = 0; i < count; i += size) {
        float scale, bias;
        zx_affine_codes(weight, row, (first + i) / size, codes, &scale, &bias);
        for (size_t j = 0; j < size; j++) {
            float product = (float)codes[j] * scale;
            if (weight->mlx_cpu_decode) product = zx_round_to(weight->dtype, product);
            values[i + j] = zx_round_to(weight->dtype, product + bias);
        }
    }
}

static void encode_group(const float *values, size_t count, unsigned bits, uint8_t *codes,
                         float *scale_out, float *bias_out)
{
    const float most = (float)((1u << bits) - 1);
    float largest = values[0], smallest = values[0];
    for (size_t i = 1; i < count; i++) {
        largest = largest < values[i] ? values[i] : largest;
        smallest = values[i] < smallest ? values[i] : smallest;
    }
    const bool low_side = fabsf(smallest) > fabsf(largest);
    const float edge = low_side ? smallest : largest;
    float scale = (largest - smallest) / most, bias = 0;
    scale = scale < 1e-7F ? 1e-7F : scale;
    scale = low_side ? scale : -scale;
    const float steps = rintf(edge / scale);
    if (steps != 0) {
        scale = edge / steps;
        bias = edge;
    }
    for (size_t i = 0; i < count; i++) {
        const float code = (values[i] - bias) / scale;
        const float above = code > 0 ? code : 0; /* also where it is NaN */
        const float capped = above < most ? above : most;
        codes[i] = (uint8_t)(capped + 0x1p23F - 0x1p23F); /* rint, also where rintf is a call */
    }
    *scale_out = scale;
    *bias_out = bias;
}

void zx_affine_put(const zx_weight *weight, size_t row, size_t group, const uint8_t *codes,
                   float scale, float bias)
{
    const size_t at = row * weight->scales_stride;
    pack(codes, weight->bits, group * weight->group, weight->group,
         zx_writable(weight->codes + row * weight->codes_stride));
    zx_store(weight->dtype, zx_writable(weight->scales + at), group, scale);
    zx_store(weight->dtype, zx_writable(weight->biases + at), group, bias);
}

void zx_affine_encode(const zx_weight *weight, size_t row, const float *values)
{
    uint8_t codes[ZX_MAX_GROUP] = {0};
    const size_t size = weight->group;
    for (size_t group = 0; group < weight->columns / size; group++) {
        float scale, bias;
        encode_group(values + group * size, size, weight->bits, codes, &scale, &bias);
        zx_affine_put(weight, row, group, codes, scale, bias);
    }
}
