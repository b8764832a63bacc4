/* families.h - what the files of this folder share: the functions that formats.def names and a
 * few helpers.  Only src/quant includes it. */
#ifndef ZX_QUANT_FAMILIES_H
#define ZX_QUANT_FAMILIES_H

#include <string.h>

#include "quant/format.h"

zmlx_status zx_dense_check(const zx_weight *weight);
zmlx_status zx_affine_check(const zx_weight *weight);
zmlx_status zx_mx_check(const zx_weight *weight);
zmlx_status zx_block_check(const zx_weight *weight);

void zx_dense_decode(const zx_weight *weight, size_t row, size_t first, size_t count,
                     float *values);
void zx_affine_decode(const zx_weight *weight, size_t row, size_t first, size_t count,
                      float *values);
void zx_mx_decode(const zx_weight *weight, size_t row, size_t first, size_t count, float *values);
void zx_block_decode(const zx_weight *weight, size_t row, size_t first, size_t count,
                     float *values);

void zx_affine_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes,
                     float *scale, float *bias);
void zx_mx_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                 float *bias);
void zx_block_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                    float *bias);
void zx_q2_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias);
void zx_q3_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias);
void zx_q4_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias);
void zx_q6_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias);
void zx_iq4_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                  float *bias);
void zx_mxfp4_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                    float *bias);

void zx_dense_encode(const zx_weight *weight, size_t row, const float *values);
void zx_affine_encode(const zx_weight *weight, size_t row, const float *values);
void zx_mx_encode(const zx_weight *weight, size_t row, const float *values);

/* Fails unless rows of that many bytes fit the strides (scale_bytes 0: no scales of its own). */
zmlx_status zx_check_rows(const zx_weight *weight, size_t code_bytes, size_t scale_bytes);

/* Where a row begins, to be written: the encoders' caller owns the memory. */
static inline uint8_t *zx_writable(const uint8_t *bytes)
{
    return (uint8_t *)(uintptr_t)bytes;
}

/* The block of a row that holds a group. */
static inline const uint8_t *zx_block_at(const zx_weight *weight, size_t row, size_t group)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    return weight->codes + row * weight->codes_stride +
           group * traits->group / traits->block * traits->block_bytes;
}

static inline uint16_t zx_load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

#endif
