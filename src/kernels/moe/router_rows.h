/* router_rows.h - what the ops of a router do to one row; fused kernels are built from it too, so
 * that they keep its bits.  Include it only from kernel bodies.  The formulas stand in
 * router_ref.c. */
#ifndef ZX_KERNELS_MOE_ROUTER_ROWS_H
#define ZX_KERNELS_MOE_ROUTER_ROWS_H

#include "kernels/rows.h"
#include "kernels/vmath.h"

/* sum_i x_i in the row-sum order. */
static inline float zx_row_sum(const float *x, size_t count)
{
    float partial[ZX_PARTIALS] = {0};
    size_t i = 0;
    for (; i + ZX_PARTIALS <= count; i += ZX_PARTIALS)
        for (size_t lane = 0; lane < ZX_PARTIALS; lane++) partial[lane] += x[i + lane];
    for (size_t lane = 0; i + lane < count; lane++) partial[lane] += x[i + lane];
    return zx_add_partials(partial);
}

/* y may be x. */
static inline void zx_softmax_row(const float *x, size_t count, float *y)
{
    float largest = -INFINITY;
    for (size_t i = 0; i < count; i++) largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < count; i++) y[i] = zx_exp(x[i] - largest);
    const float sum = zx_row_sum(y, count);
    for (size_t i = 0; i < count; i++) y[i] = y[i] / sum;
}

static inline void zx_sigmoid_row(const float *x, size_t count, float *y)
{
    for (size_t i = 0; i < count; i++) y[i] = zx_sigmoid(x[i]);
}

static inline void zx_normalize_row(float epsilon, const float *x, size_t count, float *y)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++) sum += x[i];
    sum += epsilon;
    for (size_t i = 0; i < count; i++) y[i] = x[i] / sum;
}

/* Whether a comes behind b: NaN behind everything. */
static inline bool zx_score_less(float a, float b)
{
    return a < b || (a != a && b == b);
}

/* The places of the 'top_k' largest of 'count' values, in descending order; of equal ones the
 * first.
 */
static inline void zx_topk_row(const float *x, size_t count, size_t top_k, int32_t *indices)
{
    size_t held = 0;
    for (size_t i = 0; i < count; i++) {
        if (held == top_k && !zx_score_less(x[indices[held - 1]], x[i])) continue;
        size_t at = held < top_k ? held++ : held - 1;
        for (; at > 0 && zx_score_less(x[indices[at - 1]], x[i]); at--)
            indices[at] = indices[at - 1];
        indices[at] = (int32_t)i;
    }
}

/* The sum of the two largest of a group; of a group of one, its value. */
static inline float zx_group_score(const float *x, size_t size)
{
    float first = x[0], second = -INFINITY;
    for (size_t i = 1; i < size; i++) {
        if (zx_score_less(first, x[i])) {
            second = first;
            first = x[i];
        } else if (zx_score_less(second, x[i])) {
            second = x[i];
        }
    }
    return size > 1 ? first + second : first;
}

static inline void zx_group_limit_row(const zx_attributes *attributes, const float *x, size_t count,
                                      float *y)
{
    const size_t groups = attributes->groups, size = count / groups;
    for (size_t group = 0; group < groups; group++) {
        const float score = zx_group_score(x + group * size, size);
        size_t better = 0;
        for (size_t other = 0; other < groups; other++) {
            const float its = zx_group_score(x + other * size, size);
            better += zx_score_less(score, its) || (other < group && !zx_score_less(its, score));
        }
        for (size_t i = group * size; i < (group + 1) * size; i++)
            y[i] = better < attributes->top_groups ? x[i] : -INFINITY;
    }
}

#endif
