/* lanes_avx512.h - sixteen outputs of a row at once: loading, rounding, storing, and what happens
 * to a sum before it is stored.  Only the avx512 files include this. */
#ifndef ZX_KERNELS_MATMUL_LANES_AVX512_H
#define ZX_KERNELS_MATMUL_LANES_AVX512_H

#include <immintrin.h>

#include "kernels/matmul/strips.h"

static inline __m512 load_lanes(zx_dtype dtype, const void *array, size_t first, __mmask16 lanes)
{
    if (dtype == ZX_F32) return _mm512_maskz_loadu_ps(lanes, (const float *)array + first);
    const __m256i halves = _mm256_maskz_loadu_epi16(lanes, (const uint16_t *)array + first);
    if (dtype == ZX_F16) return _mm512_cvtph_ps(halves);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* zx_f32_to_bf16 of each lane, in the low half of a dword. */
static inline __m512i bf16_lanes(__m512 values)
{
    const __m512i bits = _mm512_castps_si512(values), upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
    return _mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x40));
}

static inline __m512 round_lanes(zx_dtype dtype, __m512 values)
{
    if (dtype == ZX_F16) return _mm512_cvtph_ps(_mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
    if (dtype == ZX_BF16) return _mm512_castsi512_ps(_mm512_slli_epi32(bf16_lanes(values), 16));
    return values;
}

static inline void store_lanes(zx_dtype dtype, void *array, size_t first, __mmask16 lanes,
                               __m512 values)
{
    if (dtype == ZX_F32)
        _mm512_mask_storeu_ps((float *)array + first, lanes, values);
    else if (dtype == ZX_F16)
        _mm256_mask_storeu_epi16((uint16_t *)array + first, lanes,
                                 _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
    else
        _mm256_mask_storeu_epi16((uint16_t *)array + first, lanes,
                                 _mm512_cvtepi32_epi16(bf16_lanes(values)));
}

static inline __m512 activate_lanes(zx_activation activation, __m512 values)
{
    float lanes[ZX_STRIP] __attribute__((aligned(64)));
    _mm512_store_ps(lanes, values);
    zx_activation_of(activation)(lanes, ZX_STRIP, lanes);
    return _mm512_load_ps(lanes);
}

/* zx_matmul_biased of the strip's outputs. */
static inline __m512 biased_lanes(zx_dtype dtype, const zx_weight *weight, size_t row, __m512 sums)
{
    const __m512 y = round_lanes(dtype, sums);
    if (weight->bias == NULL) return y;
    const __m512 bias = load_lanes(weight->bias_dtype, weight->bias, row, 0xffff);
    return round_lanes(dtype, _mm512_add_ps(y, bias));
}

/* Stores a strip's outputs of one token; 'up_sums' only where the launch is gated. */
static inline void finish_strip(const zx_matmul *matmul, zx_strip strip, size_t token, __m512 sums,
                                __m512 up_sums)
{
    const zx_operand *y = matmul->outputs[strip.matrix];
    __m512 value = biased_lanes(y->dtype, matmul->weights[strip.matrix], strip.row, sums);
    if (matmul->gated) {
        const __m512 up = biased_lanes(y->dtype, matmul->weights[1], strip.row, up_sums);
        value = _mm512_mul_ps(round_lanes(y->dtype, activate_lanes(matmul->activation, value)), up);
    }
    if (matmul->residual != NULL) {
        const zx_operand *residual = matmul->residual;
        value = _mm512_add_ps(value, load_lanes(residual->dtype, zx_operand_row(residual, token),
                                                strip.row, strip.lanes));
    }
    store_lanes(y->dtype, zx_operand_row(y, token), strip.row, strip.lanes, value);
}

#endif
