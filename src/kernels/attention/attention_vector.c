/* attention_vector.c - vectors of 8, as two of the compiler's, for attention_body.h: for any
 * processor. */
#include "kernels/f4.h"
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_vector

typedef struct vec {
    f4 low, high;
} vec;

enum { LANES = 8 };

/* vectors of columns in a tile of so many rows: 32 registers of four */
static const size_t wide_vectors[] = {0, 8, 4, 4, 2, 2, 2};

/* -------- four lanes -------- */

/* a where the mask is set, else b. */
static inline f4 choose(i4 mask, f4 a, f4 b)
{
    return (f4)(((i4)a & mask) | ((i4)b & ~mask));
}

static inline f4 larger_four(f4 a, f4 b)
{
    return choose(a > b, a, b);
}

/* Lanes [first, end) of x, the others -inf. */
static inline f4 keep_four(f4 x, int32_t first, int32_t end)
{
    const i4 lane = {0, 1, 2, 3};
    return choose((lane >= first) & (lane < end), x, f4_set1(-INFINITY));
}

static inline f4 power_of_two(i4 n)
{
    return (f4)(((u4)n + 127u) << 23);
}

/* The steps of zx_exp. */
static inline f4 exp_four(f4 x)
{
    x = larger_four(f4_set1(-104.0F), x);
    x = choose(x > f4_set1(89.0F), f4_set1(89.0F), x);
    const f4 magic = f4_set1(0x1.8p23F);
    const f4 shifted = f4_fma(x, f4_set1(0x1.715476p+0F), magic);
    const i4 n = (i4)((u4)shifted - (u4)magic);
    const f4 whole = shifted - magic;
    f4 r = f4_fma(whole, f4_set1(-0x1.62e43p-1F), x);
    r = f4_fma(whole, f4_set1(0x1.05c610p-29F), r);
    f4 p = f4_set1(0x1.6a1a5cp-10F);
    p = f4_fma(p, r, f4_set1(0x1.123fc8p-7F));
    p = f4_fma(p, r, f4_set1(0x1.555916p-5F));
    p = f4_fma(p, r, f4_set1(0x1.55548ap-3F));
    p = f4_fma(p, r, f4_set1(0x1.fffffcp-2F));
    p = f4_fma(p, r, f4_set1(1.0F));
    p = f4_fma(p, r, f4_set1(1.0F));
    const i4 half = n >> 1;
    return p * power_of_two(half) * power_of_two((i4)((u4)n - (u4)half));
}

/* -------- eight -------- */

static inline vec vec_set(float x)
{
    return (vec){f4_set1(x), f4_set1(x)};
}

static inline vec vec_load(const float *at)
{
    return (vec){f4_from(at), f4_from(at + 4)};
}

static inline void vec_store(float *at, vec x)
{
    f4_store(at, x.low);
    f4_store(at + 4, x.high);
}

static inline vec vec_load_f16(const uint16_t *at)
{
    return (vec){f4_load(ZX_F16, at), f4_load(ZX_F16, at + 4)};
}

static inline vec vec_load_bf16(const uint16_t *at)
{
    return (vec){f4_load(ZX_BF16, at), f4_load(ZX_BF16, at + 4)};
}

static inline vec vec_add(vec a, vec b)
{
    return (vec){a.low + b.low, a.high + b.high};
}

static inline vec vec_subtract(vec a, vec b)
{
    return (vec){a.low - b.low, a.high - b.high};
}

static inline vec vec_multiply(vec a, vec b)
{
    return (vec){a.low * b.low, a.high * b.high};
}

static inline vec vec_divide(vec a, vec b)
{
    return (vec){a.low / b.low, a.high / b.high};
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return (vec){f4_fma(a.low, b.low, c.low), f4_fma(a.high, b.high, c.high)};
}

static inline vec vec_larger(vec a, vec b)
{
    return (vec){larger_four(a.low, b.low), larger_four(a.high, b.high)};
}

static inline float vec_largest(vec x)
{
    const f4 four = larger_four(x.low, x.high);
    float largest = four[0];
    for (int i = 1; i < 4; i++) largest = four[i] > largest ? four[i] : largest;
    return largest;
}

/* Lanes [first, end) of x, the others -inf. */
static inline vec vec_keep(vec x, size_t first, size_t end)
{
    const int32_t from = (int32_t)first, to = (int32_t)end;
    return (vec){keep_four(x.low, from, to), keep_four(x.high, from - 4, to - 4)};
}

static inline vec vec_exp(vec x)
{
    return (vec){exp_four(x.low), exp_four(x.high)};
}

/* The sixteen partial sums (those of slots 0 to 7 mod 16, and 8 to 15), added at distance 8, 4, 2,
 * 1. */
static inline float vec_sum_partials(vec even, vec odd)
{
    const f4 four = (even.low + odd.low) + (even.high + odd.high);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

#include "kernels/attention/attention_body.h"
