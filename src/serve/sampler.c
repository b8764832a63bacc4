/* sampler.c - drawing a token in time linear in the vocabulary: nothing is sorted.
 *
 * Every filter keeps a prefix of the tokens in descending order (equal logits by id), so all of
 * them together keep one prefix.  Where it ends is found as a radix sort would, without the sort:
 * 'digits' of the logit's bits, the highest first; each time the counts and the probabilities per
 * digit tell in which digit the prefix ends, and only tokens of that digit are looked at again. */
#include "serve/sampler.h"

#include <math.h>

#include "base/fail.h"
#include "base/memory.h"
#include "tensor/dtype.h"

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, KEY_BITS = 32 };

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
    ZX_TRY(zx_alloc_array(vocabulary + 1, sizeof(double), "sampler", &memory));
    sampler->weights = memory;
    zmlx_status status = zx_alloc_array(vocabulary + 1, sizeof(int32_t), "sampler", &memory);
    if (status == ZMLX_OK) {
        sampler->ids = memory;
        status = zx_alloc_array(DIGITS, sizeof(zx_bucket), "sampler", &memory);
    }
    if (status == ZMLX_OK)
        sampler->buckets = memory;
    else
        zx_sampler_fini(sampler);
    return status;
}

void zx_sampler_fini(zx_sampler *sampler)
{
    zx_free(sampler->weights);
    zx_free(sampler->ids);
    zx_free(sampler->buckets);
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

/* The largest number, -inf where there is none; lanes of their own, so that it is vectorized. */
static float largest_of(const float *logits, size_t count)
{
    enum { LANES = 16 };
    float lanes[LANES], largest = -INFINITY;
    for (size_t i = 0; i < LANES; i++) lanes[i] = -INFINITY;
    size_t at = 0;
    for (; at + LANES <= count; at += LANES)
        for (size_t i = 0; i < LANES; i++)
            lanes[i] = logits[at + i] > lanes[i] ? logits[at + i] : lanes[i];
    for (size_t i = 0; i < LANES; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    for (; at < count; at++) largest = logits[at] > largest ? logits[at] : largest;
    return largest;
}

int32_t zx_most_likely(const float *logits, size_t count)
{
    const float largest = largest_of(logits, count);
    for (size_t i = 0; i < count; i++)
        if (logits[i] == largest) return (int32_t)i;
    return 0;
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

/* A number that is larger for a larger logit; the zeros are equal. */
static uint32_t key_of(float logit)
{
    const uint32_t bits = zx_bits_from_float(logit + 0.0F);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/* How far down the order the prefix goes. */
typedef struct prefix {
    size_t left;   /* tokens that top_k still admits */
    double share;  /* of the tokens above, untempered, not normalized */
    double enough; /* from this share on top_p admits no more */
} prefix;

/* True where the prefix may end among these tokens. */
static bool may_end_in(const prefix *at, const zx_bucket *tokens)
{
    return tokens->count >= at->left || at->share + tokens->share >= at->enough;
}

/* The lowest digit, from the highest on, that the prefix reaches; what is above is passed over. */
static size_t find_digit(const zx_bucket *buckets, prefix *at)
{
    size_t digit = DIGITS - 1;
    for (; digit > 0 && !may_end_in(at, &buckets[digit]); digit--) {
        at->left -= buckets[digit].count;
        at->share += buckets[digit].share;
    }
    return digit;
}

/* The smallest key of the prefix, and how many tokens with this very key belong to it.
 * 'ids' are the tokens to choose from, 'weights' their untempered shares of the largest. */
static uint32_t find_end(zx_sampler *sampler, const float *logits, size_t count, prefix at,
                         size_t *ties)
{
    uint32_t high = 0;
    int shift = KEY_BITS;
    while (shift > 0) {
        size_t same = 0;
        shift -= DIGIT_BITS;
        for (size_t i = 0; i < DIGITS; i++) sampler->buckets[i] = (zx_bucket){0};
        for (size_t i = 0; i < count; i++) {
            const int32_t id = sampler->ids[i];
            zx_bucket *bucket = &sampler->buckets[(key_of(logits[id]) >> shift) % DIGITS];
            bucket->count++;
            bucket->share += sampler->weights[id];
        }
        const uint32_t digit = (uint32_t)find_digit(sampler->buckets, &at);
        for (size_t i = 0; i < count; i++) {
            const int32_t id = sampler->ids[i];
            if (((key_of(logits[id]) >> shift) % DIGITS) == digit) sampler->ids[same++] = id;
        }
        count = same;
        high |= digit << shift;
    }
    *ties = 0; /* all that are left have one logit, so one share */
    while (*ties < count && *ties < at.left && at.share < at.enough) {
        at.share += sampler->weights[sampler->ids[0]];
        ++*ties;
    }
    return high;
}

/* Turns the weights, untempered shares of the largest, into 1 for tokens that the filters keep and
 * 0 for the others. */
static void filter(zx_sampler *sampler, const float *logits, int32_t best)
{
    double *weights = sampler->weights;
    const bool cut = (sampler->top_k > 0 && sampler->top_k < sampler->vocabulary) ||
                     (sampler->top_p > 0 && sampler->top_p < 1);
    size_t count = 0, ties = 0;
    double total = 0;
    for (size_t i = 0; i < sampler->vocabulary; i++) {
        total += weights[i];
        if (logits[i] > -INFINITY) sampler->ids[count++] = (int32_t)i; /* and is no NaN */
    }
    uint32_t end = 0;
    if (cut) {
        const bool by_share = sampler->top_p > 0 && sampler->top_p < 1;
        const prefix at = {.left = sampler->top_k > 0 ? sampler->top_k : SIZE_MAX,
                           .enough = by_share ? (double)sampler->top_p * total : (double)INFINITY};
        end = find_end(sampler, logits, count, at, &ties);
    }
    for (size_t i = 0; i < sampler->vocabulary; i++) {
        const uint32_t key = key_of(logits[i]);
        bool kept = logits[i] > -INFINITY && weights[i] >= (double)sampler->min_p;
        if (cut && kept && key == end)
            kept = ties > 0 && ties-- > 0;
        else if (cut)
            kept = kept && key > end;
        weights[i] = kept || i == (size_t)best ? 1 : 0;
    }
}

/* One of the tokens with a weight, in the order of ids. */
static int32_t pick(const zx_sampler *sampler, int32_t best)
{
    double total = 0, sum = 0;
    int32_t last = best;
    for (size_t i = 0; i < sampler->vocabulary; i++) total += sampler->weights[i];
    const double target = draw(sampler->seed, sampler->step) * total;
    for (size_t i = 0; i < sampler->vocabulary; i++) {
        if (!(sampler->weights[i] > 0)) continue;
        last = (int32_t)i;
        sum += sampler->weights[i];
        if (target < sum) break;
    }
    return last; /* also where rounding left the sum below the target */
}

/* exp((logit - largest) / temperature) of every token that still has a weight. */
static void weigh(zx_sampler *sampler, const float *logits, float largest, float temperature)
{
    const double factor = 1.0 / (double)temperature;
    for (size_t i = 0; i < sampler->vocabulary; i++) {
        if (!(sampler->weights[i] > 0)) continue;
        const double off = (double)logits[i] - (double)largest;
        sampler->weights[i] = isnan(logits[i]) ? 0 : exp(off * factor);
    }
}

zmlx_status zx_sampler_next(zx_sampler *sampler, const float *logits, int32_t *id)
{
    const int32_t best = zx_most_likely(logits, sampler->vocabulary);
    const float largest = logits[best];
    const bool filters =
        sampler->top_k > 0 || sampler->min_p > 0 || (sampler->top_p > 0 && sampler->top_p < 1);
    if (!(largest > -INFINITY))
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "no logit after this token is a number above -inf, so there is no next "
                       "token; the weights hold NaN or overflow at this dtype");
    *id = best;
    if (sampler->temperature > 0 && isfinite(largest)) {
        for (size_t i = 0; i < sampler->vocabulary; i++) sampler->weights[i] = 1;
        if (filters) {
            weigh(sampler, logits, largest, 1);
            filter(sampler, logits, best);
        }
        weigh(sampler, logits, largest, sampler->temperature);
        *id = pick(sampler, best);
    }
    sampler->step++;
    return ZMLX_OK;
}
