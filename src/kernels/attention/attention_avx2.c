/* attention_avx2.c - vectors of 8 for attention_body.h.  Two 256-bit FMA a cycle with a latency of
 * four need eight sums in flight; tiles are as large as 16 registers allow. */
#ifdef __AVX2__
#include <immintrin.h>
#include <math.h>

#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_avx2

typedef __m256 vec;

enum { LANES = 8 };

/* vectors of columns in a tile of so many rows */
static const size_t wide_vectors[] = {0, 8, 4, 4, 2, 2, 2};

static inline vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vec vec_load(const float *at)
{
    return _mm256_loadu_ps(at);
}

static inline void vec_store(float *at, vec x)
{
    _mm256_storeu_ps(at, x);
}

static inline vec vec_load_f16(const uint16_t *at)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at));
}

static inline vec vec_load_bf16(const uint16_t *at)
{
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

static inline vec vec_subtract(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

static inline vec vec_multiply(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

static inline vec vec_divide(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_larger(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline float vec_largest(vec x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

/* Lanes [first, end) of x, the others -inf. */
static inline vec vec_keep(vec x, size_t first, size_t end)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)first), lane);
    const __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)end), lane);
    const __m256 kept = _mm256_castsi256_ps(_mm256_andnot_si256(before, inside));
    return _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), x, kept);
}

/* 2^n, n in the low bits of what was shifted. */
static inline vec vec_power_of_two(__m256i n)
{
    const __m256i biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

/* The steps of zx_exp. */
static inline vec vec_exp(vec x)
{
    x = _mm256_max_ps(vec_set(-104.0F), x);
    x = _mm256_min_ps(vec_set(89.0F), x);
    const vec magic = vec_set(0x1.8p23F);
    const vec shifted = vec_fma(x, vec_set(0x1.715476p+0F), magic);
    const __m256i n = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_castps_si256(magic));
    const vec whole = vec_subtract(shifted, magic);
    vec r = vec_fma(whole, vec_set(-0x1.62e43p-1F), x);
    r = vec_fma(whole, vec_set(0x1.05c610p-29F), r);
    vec p = vec_set(0x1.6a1a5cp-10F);
    p = vec_fma(p, r, vec_set(0x1.123fc8p-7F));
    p = vec_fma(p, r, vec_set(0x1.555916p-5F));
    p = vec_fma(p, r, vec_set(0x1.55548ap-3F));
    p = vec_fma(p, r, vec_set(0x1.fffffcp-2F));
    p = vec_fma(p, r, vec_set(1.0F));
    p = vec_fma(p, r, vec_set(1.0F));
    const __m256i half = _mm256_srai_epi32(n, 1);
    p = vec_multiply(p, vec_power_of_two(half));
    return vec_multiply(p, vec_power_of_two(_mm256_sub_epi32(n, half)));
}

/* The sixteen partial sums (those of slots 0 to 7 mod 16, and 8 to 15), added at distance 8, 4, 2,
 * 1. */
static inline float vec_sum_partials(vec even, vec odd)
{
    const __m256 eight = _mm256_add_ps(even, odd);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#include "kernels/attention/attention_body.h"
#endif
