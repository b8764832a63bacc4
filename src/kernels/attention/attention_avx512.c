/* attention_avx512.c - vectors of 16 for attention_body.h.  512-bit FMA runs at one a cycle or two
 * with a latency of four: six rows by four vectors keep it fed and fit the 32 registers. */
#ifdef __AVX512F__
#include <immintrin.h>
#include <math.h>

#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_avx512

typedef __m512 vec;

enum { LANES = 16 };

/* vectors of columns in a tile of so many rows */
static const size_t wide_vectors[] = {0, 4, 4, 4, 4, 4, 4};

static inline vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vec vec_load(const float *at)
{
    return _mm512_loadu_ps(at);
}

static inline void vec_store(float *at, vec x)
{
    _mm512_storeu_ps(at, x);
}

static inline vec vec_load_f16(const uint16_t *at)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at));
}

static inline vec vec_load_bf16(const uint16_t *at)
{
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

static inline vec vec_subtract(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec vec_multiply(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec vec_divide(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_larger(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline float vec_largest(vec x)
{
    return _mm512_reduce_max_ps(x);
}

/* Lanes [first, end) of x, the others -inf. */
static inline vec vec_keep(vec x, size_t first, size_t end)
{
    const __mmask16 lanes = (__mmask16)(((1u << end) - 1) & ~((1u << first) - 1));
    return _mm512_mask_blend_ps(lanes, _mm512_set1_ps(-INFINITY), x);
}

/* The steps of zx_exp; scalef rounds once, as the product of the two halves there does. */
static inline vec vec_exp(vec x)
{
    x = _mm512_max_ps(vec_set(-104.0F), x);
    x = _mm512_min_ps(vec_set(89.0F), x);
    const vec magic = vec_set(0x1.8p23F);
    const vec n = vec_subtract(vec_fma(x, vec_set(0x1.715476p+0F), magic), magic);
    vec r = vec_fma(n, vec_set(-0x1.62e43p-1F), x);
    r = vec_fma(n, vec_set(0x1.05c610p-29F), r);
    vec p = vec_set(0x1.6a1a5cp-10F);
    p = vec_fma(p, r, vec_set(0x1.123fc8p-7F));
    p = vec_fma(p, r, vec_set(0x1.555916p-5F));
    p = vec_fma(p, r, vec_set(0x1.55548ap-3F));
    p = vec_fma(p, r, vec_set(0x1.fffffcp-2F));
    p = vec_fma(p, r, vec_set(1.0F));
    p = vec_fma(p, r, vec_set(1.0F));
    return _mm512_scalef_ps(p, n);
}

/* The sixteen partial sums, added at distance 8, 4, 2, 1; 'odd' is for narrower vectors. */
static inline float vec_sum_partials(vec even, vec odd)
{
    (void)odd;
    const __m256 upper = _mm512_extractf32x8_ps(even, 1);
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(even), upper);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#include "kernels/attention/attention_body.h"
#endif
