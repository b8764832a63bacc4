/* planes_avx512vnni.h - a plane of the activations in the order in which chunks of codes meet it.
 *
 * Only matmul_few_avx512vnni.c includes this. */
#ifndef ZX_KERNELS_MATMUL_PLANES_AVX512VNNI_H
#define ZX_KERNELS_MATMUL_PLANES_AVX512VNNI_H

#include "kernels/matmul/k_avx512vnni.h"
#include "quant/activation.h"

/* In which order a kind's chunks meet the columns of 128. */
typedef enum plane_order {
    ORDER_COLUMNS,
    ORDER_PAIRS, /* every other 8 */
    ORDER_K,     /* every other 32 */
    ORDER_NONE,  /* yet */
} plane_order;

static plane_order order_of(codes_kind kind)
{
    if (is_pairs(kind)) return ORDER_PAIRS;
    return has_other_groups(kind) ? ORDER_K : ORDER_COLUMNS;
}

static void order_plane(plane_order order, const int8_t *plane, size_t columns, int8_t *to)
{
    static const int64_t places[][16] __attribute__((aligned(64))) = {
        [ORDER_COLUMNS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        [ORDER_PAIRS] = {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15},
        [ORDER_K] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15}};
    const size_t padded = zx_activation_plane_bytes(columns);
    const __m512i low = _mm512_load_si512(places[order]);
    const __m512i high = _mm512_load_si512(places[order] + 8);
    for (size_t at = 0; at < padded; at += 2 * CHUNK) {
        const __m512i first = _mm512_loadu_si512(plane + at);
        __m512i second = _mm512_setzero_si512();
        if (at + CHUNK < padded) second = _mm512_loadu_si512(plane + at + CHUNK);
        _mm512_store_si512(to + at, _mm512_permutex2var_epi64(first, low, second));
        _mm512_store_si512(to + at + CHUNK, _mm512_permutex2var_epi64(first, high, second));
    }
}

#endif
