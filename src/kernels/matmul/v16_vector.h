/* v16_vector.h - sixteen floats, or sixteen dwords, as four of the compiler's vectors; see
 * v16_avx512.h. */
#ifndef ZX_KERNELS_MATMUL_V16_VECTOR_H
#define ZX_KERNELS_MATMUL_V16_VECTOR_H

#include "kernels/f4.h"
#include "kernels/matmul/lanes_vector.h"

/* The tile of the blocked loop: as many accumulators as registers allow; and how many rows a pass
 * over few tokens takes. */
#ifdef __aarch64__
enum { TILE_ROWS = 2, TILE_TOKENS = 2 }; /* 32 registers */
#else
enum { TILE_ROWS = 2, TILE_TOKENS = 1 };
#endif
enum { FEW_ROWS = 1, QUARTER = 4 };

typedef uint8_t b16 __attribute__((vector_size(16)));

typedef struct v16 {
    f4 a, b, c, d;
} v16;

typedef struct w16 {
    u4 a, b, c, d;
} w16;

/* -------- four lanes -------- */

INLINE u4 u4_set1(uint32_t value)
{
    return (u4){value, value, value, value};
}

INLINE f4 f4_round(zx_dtype dtype, f4 values)
{
    const u4 bits = (u4)values;
    if (dtype == ZX_F32) return values;
    if (dtype == ZX_F16) {
#ifdef __aarch64__
        return vcvt_f32_f16(vcvt_f16_f32(values));
#else
        return (f4){zx_round_to(ZX_F16, values[0]), zx_round_to(ZX_F16, values[1]),
                    zx_round_to(ZX_F16, values[2]), zx_round_to(ZX_F16, values[3])};
#endif
    }
    const u4 nan = (u4)((bits & 0x7fffffffu) > 0x7f800000u);
    const u4 rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return (f4)(((rounded & ~nan) | ((bits | 0x400000u) & nan)) & 0xffff0000u);
}

/* -------- sixteen -------- */

INLINE v16 v16_set1(float value)
{
    const f4 four = f4_set1(value);
    return (v16){four, four, four, four};
}

INLINE v16 v16_zero(void)
{
    return v16_set1(0);
}

INLINE v16 v16_load(const float *from)
{
    return (v16){f4_from(from), f4_from(from + 4), f4_from(from + 8), f4_from(from + 12)};
}

INLINE void v16_store(float *to, v16 x)
{
    f4_store(to, x.a);
    f4_store(to + 4, x.b);
    f4_store(to + 8, x.c);
    f4_store(to + 12, x.d);
}

/* The first 'count' of an array of that dtype; the others are zero. */
INLINE v16 v16_load_dense(zx_dtype dtype, const uint8_t *from, size_t count)
{
    const size_t step = dtype == ZX_F32 ? 16 : 8;
    if (count == ZX_STRIP)
        return (v16){f4_load(dtype, from), f4_load(dtype, from + step),
                     f4_load(dtype, from + 2 * step), f4_load(dtype, from + 3 * step)};
    float some[ZX_STRIP] = {0};
    for (size_t i = 0; i < count; i++) some[i] = zx_load(dtype, from, i);
    return v16_load(some);
}

/* Element 'index' of an array of that dtype, in every lane. */
INLINE v16 v16_broadcast(zx_dtype dtype, const uint8_t *array, size_t index)
{
    return v16_set1(zx_load(dtype, array, index));
}

INLINE v16 v16_mul(v16 x, v16 y)
{
    return (v16){x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d};
}

INLINE v16 v16_add(v16 x, v16 y)
{
    return (v16){x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d};
}

INLINE v16 v16_fma(v16 x, v16 y, v16 z)
{
    return (v16){f4_fma(x.a, y.a, z.a), f4_fma(x.b, y.b, z.b), f4_fma(x.c, y.c, z.c),
                 f4_fma(x.d, y.d, z.d)};
}

/* The first 'count' lanes; the others keep z. */
INLINE v16 v16_fma_some(v16 x, v16 y, v16 z, size_t count)
{
    float sum[ZX_STRIP], kept[ZX_STRIP];
    v16_store(sum, v16_fma(x, y, z));
    v16_store(kept, z);
    for (size_t i = count; i < ZX_STRIP; i++) sum[i] = kept[i];
    return v16_load(sum);
}

INLINE v16 v16_round(zx_dtype dtype, v16 x)
{
    return (v16){f4_round(dtype, x.a), f4_round(dtype, x.b), f4_round(dtype, x.c),
                 f4_round(dtype, x.d)};
}

INLINE f4 f4_flip(f4 values, u4 bits)
{
    return (f4)((u4)values ^ (bits & 8u) << 28);
}

/* Flips the sign where bit 3 of the dword is set. */
INLINE v16 v16_flip(v16 x, w16 bits)
{
    return (v16){f4_flip(x.a, bits.a), f4_flip(x.b, bits.b), f4_flip(x.c, bits.c),
                 f4_flip(x.d, bits.d)};
}

/* Signed dwords. */
INLINE v16 v16_from_w16(w16 x)
{
    return (v16){__builtin_convertvector((i4)x.a, f4), __builtin_convertvector((i4)x.b, f4),
                 __builtin_convertvector((i4)x.c, f4), __builtin_convertvector((i4)x.d, f4)};
}

#ifdef __aarch64__
INLINE f4 look_up_four(v16 table, u4 index)
{
    const uint8x16x4_t bytes = {
        {(uint8x16_t)table.a, (uint8x16_t)table.b, (uint8x16_t)table.c, (uint8x16_t)table.d}};
    return (f4)vqtbl4q_u8(bytes, (uint8x16_t)((index & 15u) * 0x04040404u + 0x03020100u));
}
#else
INLINE f4 look_up_four(v16 table, u4 index)
{
    float values[ZX_STRIP];
    v16_store(values, table);
    return (f4){values[index[0] & 15u], values[index[1] & 15u], values[index[2] & 15u],
                values[index[3] & 15u]};
}
#endif

/* table[index & 15] of each dword. */
INLINE v16 v16_look_up(v16 table, w16 index)
{
    return (v16){look_up_four(table, index.a), look_up_four(table, index.b),
                 look_up_four(table, index.c), look_up_four(table, index.d)};
}

INLINE b16 b16_load(const uint8_t *from)
{
    b16 bytes;
    memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

/* Eight bytes, then four. */
INLINE b16 b16_join(const uint8_t *eight, int32_t four)
{
    b16 bytes = {0};
    memcpy(&bytes, eight, 8);
    memcpy((uint8_t *)&bytes + 8, &four, sizeof four);
    return bytes;
}

/* The high nibble of each byte in its low one; what stands above it has no meaning. */
INLINE b16 b16_high_nibbles(b16 bytes)
{
    return bytes >> 4;
}

INLINE w16 w16_from_u8(b16 bytes)
{
    typedef uint8_t u8x4 __attribute__((vector_size(4)));
    const u8x4 a = {bytes[0], bytes[1], bytes[2], bytes[3]};
    const u8x4 b = {bytes[4], bytes[5], bytes[6], bytes[7]};
    const u8x4 c = {bytes[8], bytes[9], bytes[10], bytes[11]};
    const u8x4 d = {bytes[12], bytes[13], bytes[14], bytes[15]};
    return (w16){__builtin_convertvector(a, u4), __builtin_convertvector(b, u4),
                 __builtin_convertvector(c, u4), __builtin_convertvector(d, u4)};
}

INLINE u4 sign_extended(u4 bytes)
{
    return (u4)((i4)(bytes << 24) >> 24);
}

INLINE w16 w16_from_i8(b16 bytes)
{
    const w16 x = w16_from_u8(bytes);
    return (w16){sign_extended(x.a), sign_extended(x.b), sign_extended(x.c), sign_extended(x.d)};
}

/* Lane i of dwords shifted right by shifts[i]. */
INLINE w16 shifted_by(w16 x, const uint32_t shifts[16])
{
    return (w16){x.a >> (u4)f4_from(shifts), x.b >> (u4)f4_from(shifts + 4),
                 x.c >> (u4)f4_from(shifts + 8), x.d >> (u4)f4_from(shifts + 12)};
}

/* The dword at 'low' for the first eight lanes, at 'high' for the others, lane i shifted right by
 * shifts[i]. */
INLINE w16 w16_shifted(const uint8_t *low, const uint8_t *high, const uint32_t shifts[16])
{
    uint32_t first, second;
    memcpy(&first, low, sizeof first);
    memcpy(&second, high, sizeof second);
    const u4 f = u4_set1(first), s = u4_set1(second);
    return shifted_by((w16){f, f, s, s}, shifts);
}

/* Lane i: the four bytes from byte places[4 i] on, shifted right by shifts[i]. */
INLINE w16 w16_gathered(b16 bytes, const uint8_t places[64], const uint32_t shifts[16])
{
    uint8_t from[sizeof bytes];
    uint32_t dwords[ZX_STRIP];
    w16 x;
    memcpy(from, &bytes, sizeof from);
    for (size_t i = 0; i < ZX_STRIP; i++) memcpy(&dwords[i], from + places[QUARTER * i], 4);
    memcpy(&x, dwords, sizeof x);
    return shifted_by(x, shifts);
}

INLINE w16 w16_and(w16 x, uint32_t mask)
{
    return (w16){x.a & mask, x.b & mask, x.c & mask, x.d & mask};
}

INLINE w16 w16_or(w16 x, w16 y)
{
    return (w16){x.a | y.a, x.b | y.b, x.c | y.c, x.d | y.d};
}

INLINE w16 w16_add(w16 x, int32_t number)
{
    const u4 each = u4_set1((uint32_t)number);
    return (w16){x.a + each, x.b + each, x.c + each, x.d + each};
}

INLINE w16 w16_shift_left(w16 x, unsigned count)
{
    return (w16){x.a << count, x.b << count, x.c << count, x.d << count};
}

INLINE w16 w16_shift_right(w16 x, unsigned count)
{
    return (w16){x.a >> count, x.b >> count, x.c >> count, x.d >> count};
}

/* f16 bits in each dword. */
INLINE v16 v16_from_f16(w16 x)
{
    return (v16){f4_from_f16(__builtin_convertvector(x.a, h4)),
                 f4_from_f16(__builtin_convertvector(x.b, h4)),
                 f4_from_f16(__builtin_convertvector(x.c, h4)),
                 f4_from_f16(__builtin_convertvector(x.d, h4))};
}

/* zx_add_partials of each of four rows' partial sums. */
INLINE f4 sums_of_four(const v16 rows[4])
{
    f4 r[QUARTER];
#pragma GCC unroll 4
    for (size_t i = 0; i < QUARTER; i++) r[i] = (rows[i].a + rows[i].c) + (rows[i].b + rows[i].d);
    const f4 ab =
        (f4){r[0][0], r[0][1], r[1][0], r[1][1]} + (f4){r[0][2], r[0][3], r[1][2], r[1][3]};
    const f4 cd =
        (f4){r[2][0], r[2][1], r[3][0], r[3][1]} + (f4){r[2][2], r[2][3], r[3][2], r[3][3]};
    return (f4){ab[0], ab[2], cd[0], cd[2]} + (f4){ab[1], ab[3], cd[1], cd[3]};
}

/* Of 16 rows. */
INLINE v16 v16_sums(const v16 rows[16])
{
    return (v16){sums_of_four(rows), sums_of_four(rows + 4), sums_of_four(rows + 8),
                 sums_of_four(rows + 12)};
}

/* Stores a strip's outputs of one token. */
INLINE void v16_finish(const zx_matmul *matmul, zx_strip strip, size_t token, v16 sums, v16 up_sums)
{
    float values[ZX_STRIP], up[ZX_STRIP];
    v16_store(values, sums);
    v16_store(up, up_sums);
    zx_finish_strip(matmul, strip, token, values, up);
}

#endif
