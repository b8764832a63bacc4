#include "serve/sampler.h"

#include <math.h>

#include "base/fail.h"
#include "base/memory.h"

zmlx_status zx_sampler_check(const zmlx_generate_options *options)
{
    if (!(options->temperature >= 0 && options->temperature <= 1000))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "temperature is %g; expected 0 to 1000",
                       (double)options->temperature);
    if (!(options->top_p >= 0 && options->top_p <= 1))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "top_p is %g; expected 0 to 1", (double)options->top_p);
    if (!(options->min_p >= 0 && options->min_p <= 1))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "min_p is %g; expected 0 to 1", (double)options->min_p);
    return ZMLX_OK;
}

zmlx_status zx_sampler_init(size_t vocabulary, zx_sampler *sampler)
{
    void *memory = NULL;
    *sampler = (zx_sampler){.vocabulary = vocabulary};
    ZX_TRY(zx_alloc_array(vocabulary + 1, sizeof(zx_candidate), "sampler", &memory));
    sampler->candidates = memory;
    return ZMLX_OK;
}

void zx_sampler_fini(zx_sampler *sampler)
{
    zx_free(sampler->candidates);
    *sampler = (zx_sampler){0};
}

void zx_sampler_begin(zx_sampler *sampler, const zmlx_generate_options *options)
{
    sampler->temperature = options->temperature;
    sampler->top_p = options->top_p;
    sampler->min_p = options->min_p;
    sampler->top_k = options->top_k;
    sampler->seed = options->seed;
    sampler->step = 0;
}

int32_t zx_most_likely(const float *logits, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > logits[best] || isnan(logits[best])) best = i;
    return (int32_t)best;
}

/* A number in [0, 1) that depends on seed and step alone (splitmix64's mixing of both). */
static double draw(uint64_t seed, uint64_t step)
{
    uint64_t z = seed + (step + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static int before(zx_candidate a, zx_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void sink(zx_candidate *heap, size_t count, size_t at)
{
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], heap[at])) return;
        const zx_candidate moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* Moves the candidates that pass the filters to the end of the array, best last; returns how many.
 * A heap gives them up one by one, so that the others are never sorted. */
static size_t filter(zx_sampler *sampler, const float *logits, double total, float largest)
{
    zx_candidate *heap = sampler->candidates;
    size_t left = sampler->vocabulary;
    for (size_t i = 0; i < left; i++)
        heap[i] = (zx_candidate){isnan(logits[i]) ? -INFINITY : logits[i], (int32_t)i};
    for (size_t i = left / 2; i-- > 0;) sink(heap, left, i);
    const size_t limit = sampler->top_k > 0 && sampler->top_k < left ? sampler->top_k : left;
    const double top_p = sampler->top_p > 0 ? (double)sampler->top_p : 1.0;
    size_t kept = 0;
    for (double above = 0; kept < limit; kept++) {
        const zx_candidate best = heap[0];
        const double share = exp((double)(best.logit - largest));
        if (kept > 0 && (above >= top_p || share < (double)sampler->min_p)) break;
        above += share / total;
        heap[0] = heap[--left];
        sink(heap, left, 0);
        heap[left] = best;
    }
    return kept;
}

static int32_t pick(const zx_sampler *sampler, const zx_candidate *from, size_t count,
                    float largest)
{
    double total = 0, sum = 0;
    const double factor = 1.0 / (double)sampler->temperature;
    for (size_t i = 0; i < count; i++) total += exp((double)(from[i].logit - largest) * factor);
    const double target = draw(sampler->seed, sampler->step) * total;
    for (size_t i = 0; i + 1 < count; i++) {
        sum += exp((double)(from[i].logit - largest) * factor);
        if (target < sum) return from[i].id;
    }
    return from[count - 1].id;
}

int32_t zx_sampler_next(zx_sampler *sampler, const float *logits)
{
    const int32_t best = zx_most_likely(logits, sampler->vocabulary);
    const float largest = logits[best];
    int32_t chosen = best;
    if (sampler->temperature > 0 && isfinite(largest)) {
        double total = 0;
        for (size_t i = 0; i < sampler->vocabulary; i++)
            total += exp((double)(logits[i] - largest));
        const size_t kept = filter(sampler, logits, total, largest);
        chosen = pick(sampler, sampler->candidates + (sampler->vocabulary - kept), kept, largest);
    }
    sampler->step++;
    return chosen;
}
