/* lanes_avx2.h - eight outputs of a row at once: loading, rounding, storing, and what happens to a
 * sum before it is stored.  Only the avx2 files include this. */
#ifndef ZX_KERNELS_MATMUL_LANES_AVX2_H
#define ZX_KERNELS_MATMUL_LANES_AVX2_H

#include <immintrin.h>

#include "kernels/matmul/strips.h"

enum { EIGHT = 8 };

static inline __m256 load_eight(zx_dtype dtype, const void *array, size_t first)
{
    const char *const from = (const char *)array + first * (dtype == ZX_F32 ? 4 : 2);
    if (dtype == ZX_F32) return _mm256_loadu_ps((const float *)(const void *)from);
    const __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)from);
    if (dtype == ZX_F16) return _mm256_cvtph_ps(halves);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/* zx_f32_to_bf16 of each lane, in the low half of a dword. */
static inline __m256i bf16_eight(__m256 values)
{
    const __m256i bits = _mm256_castps_si256(values), upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, quiet, nan);
}

static inline __m256 round_eight(zx_dtype dtype, __m256 values)
{
    if (dtype == ZX_F16) return _mm256_cvtph_ps(_mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
    if (dtype == ZX_BF16) return _mm256_castsi256_ps(_mm256_slli_epi32(bf16_eight(values), 16));
    return values;
}

static inline void store_eight(zx_dtype dtype, void *array, size_t first, __m256 values)
{
    char *const to = (char *)array + first * (dtype == ZX_F32 ? 4 : 2);
    if (dtype == ZX_F32) {
        _mm256_storeu_ps((float *)(void *)to, values);
        return;
    }
    __m128i halves;
    if (dtype == ZX_F16) {
        halves = _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT);
    } else {
        const __m256i dwords = bf16_eight(values);
        halves =
            _mm_packus_epi32(_mm256_castsi256_si128(dwords), _mm256_extracti128_si256(dwords, 1));
    }
    _mm_storeu_si128((__m128i *)(void *)to, halves);
}

static inline __m256 activate_eight(zx_activation activation, __m256 values)
{
    float lanes[EIGHT] __attribute__((aligned(32)));
    _mm256_store_ps(lanes, values);
    zx_activation_of(activation)(lanes, EIGHT, lanes);
    return _mm256_load_ps(lanes);
}

/* zx_matmul_biased of eight outputs. */
static inline __m256 biased_eight(zx_dtype dtype, const zx_weight *weight, size_t row, __m256 sums)
{
    const __m256 y = round_eight(dtype, sums);
    if (weight->bias == NULL) return y;
    return round_eight(dtype, _mm256_add_ps(y, load_eight(weight->bias_dtype, weight->bias, row)));
}

/* Stores eight of a strip's outputs of one token, from lane 'first' (0 or 8) on. */
static inline void finish_eight(const zx_matmul *matmul, zx_strip strip, size_t first, size_t token,
                                __m256 sums, __m256 up_sums)
{
    const zx_operand *y = matmul->outputs[strip.matrix];
    const unsigned lanes = (strip.lanes >> first) & 0xffu;
    const size_t row = strip.row + first;
    if (lanes == 0) return;
    __m256 value = biased_eight(y->dtype, matmul->weights[strip.matrix], row, sums);
    if (matmul->gated) {
        const __m256 up = biased_eight(y->dtype, matmul->weights[1], row, up_sums);
        value = _mm256_mul_ps(round_eight(y->dtype, activate_eight(matmul->activation, value)), up);
    }
    void *const out = zx_operand_row(y, token);
    if (lanes == 0xff) {
        if (matmul->residual != NULL)
            value = _mm256_add_ps(value, load_eight(matmul->residual->dtype,
                                                    zx_operand_row(matmul->residual, token), row));
        store_eight(y->dtype, out, row, value);
        return;
    }
    float values[EIGHT] __attribute__((aligned(32)));
    _mm256_store_ps(values, value);
    for (size_t i = 0; i < EIGHT; i++) {
        if ((lanes >> i & 1u) == 0) continue;
        if (matmul->residual != NULL)
            values[i] +=
                zx_load(matmul->residual->dtype, zx_operand_row(matmul->residual, token), row + i);
        zx_store(y->dtype, out, row + i, values[i]);
    }
}

#endif
