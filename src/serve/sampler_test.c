#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "serve/sampler.h"

enum { VOCABULARY = 6, DRAWS = 20000 };

static const float logits[VOCABULARY] = {0, 2, 1, -1, 2, -3};

static bool count_draws(const zmlx_generate_options *options, double share[VOCABULARY])
{
    zx_sampler sampler;
    size_t counts[VOCABULARY] = {0};
    if (zx_sampler_init(VOCABULARY, &sampler) != ZMLX_OK) return false;
    zx_sampler_begin(&sampler, options);
    int32_t id = 0;
    zmlx_status status = ZMLX_OK;
    for (int i = 0; status == ZMLX_OK && i < DRAWS; i++) {
        status = zx_sampler_next(&sampler, logits, &id);
        counts[id]++;
    }
    for (size_t i = 0; i < VOCABULARY; i++) share[i] = (double)counts[i] / DRAWS;
    zx_sampler_fini(&sampler);
    return status == ZMLX_OK;
}

TEST(temperature_zero_takes_the_first_of_the_largest)
{
    double share[VOCABULARY];
    CHECK(count_draws(&(zmlx_generate_options){0}, share));
    CHECK(share[1] == 1);
}

TEST(draws_follow_the_tempered_distribution)
{
    double share[VOCABULARY], total = 0;
    CHECK(count_draws(&(zmlx_generate_options){.temperature = 2, .seed = 9}, share));
    for (size_t i = 0; i < VOCABULARY; i++) total += exp((double)logits[i] / 2);
    for (size_t i = 0; i < VOCABULARY; i++)
        CHECK(fabs(share[i] - exp((double)logits[i] / 2) / total) < 0.015);
}

TEST(filters_leave_only_the_best_tokens)
{
    double share[VOCABULARY];
    CHECK(count_draws(&(zmlx_generate_options){.temperature = 5, .top_k = 3}, share));
    CHECK(share[1] > 0.2 && share[4] > 0.2 && share[2] > 0.2 &&
          share[0] + share[3] + share[5] == 0);
    /* shares of 1 and 4 together are 0.78 of the untempered distribution */
    CHECK(count_draws(&(zmlx_generate_options){.temperature = 5, .top_p = 0.7F}, share));
    CHECK(share[1] + share[4] == 1);
    /* token 2 has e^-1 = 0.37 of the largest's probability, token 0 e^-2 = 0.14 */
    CHECK(count_draws(&(zmlx_generate_options){.temperature = 5, .min_p = 0.3F}, share));
    CHECK(share[2] > 0.2 && share[0] == 0);
}

static int32_t next(zx_sampler *sampler)
{
    int32_t id = -1;
    return zx_sampler_next(sampler, logits, &id) == ZMLX_OK ? id : -1;
}

TEST(the_same_seed_gives_the_same_tokens_and_another_seed_others)
{
    zx_sampler a, b;
    int differing = 0;
    CHECK(zx_sampler_init(VOCABULARY, &a) == ZMLX_OK && zx_sampler_init(VOCABULARY, &b) == ZMLX_OK);
    const zmlx_generate_options options = {.temperature = 1, .seed = 5};
    const zmlx_generate_options other = {.temperature = 1, .seed = 6};
    zx_sampler_begin(&a, &options);
    zx_sampler_begin(&b, &options);
    for (int i = 0; i < 100; i++) CHECK(next(&a) == next(&b));
    zx_sampler_begin(&a, &options);
    zx_sampler_begin(&b, &other);
    for (int i = 0; i < 100; i++) differing += next(&a) != next(&b);
    CHECK(differing > 20);
    zx_sampler_fini(&a);
    zx_sampler_fini(&b);
}

/* --- against a sort --- */

enum { MANY = 120, MANY_DRAWS = 3000 };

static float many[MANY];

static int descending(const void *a, const void *b)
{
    const int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    if (many[left] != many[right]) return many[left] > many[right] ? -1 : 1;
    return left < right ? -1 : 1;
}

/* The same filters by their definition, on a sorted vocabulary. */
static void keep_by_sorting(const zmlx_generate_options *options, bool kept[MANY])
{
    int32_t order[MANY];
    size_t count = 0;
    double total = 0, above = 0;
    for (int32_t i = 0; i < MANY; i++)
        if (many[i] > -INFINITY) order[count++] = i;
    qsort(order, count, sizeof order[0], descending);
    for (size_t i = 0; i < count; i++)
        total += exp((double)many[order[i]] - (double)many[order[0]]);
    for (size_t i = 0; i < count; i++) {
        const double share = exp((double)many[order[i]] - (double)many[order[0]]);
        kept[order[i]] =
            (i == 0 || share >= (double)options->min_p) &&
            (options->top_k == 0 || i < options->top_k) &&
            (options->top_p <= 0 || options->top_p >= 1 || above < (double)options->top_p * total);
        above += share;
    }
}

/* At temperature 1000 what is kept is drawn almost evenly. */
static bool keeps_the_same(const zmlx_generate_options *options)
{
    zx_sampler sampler;
    bool kept[MANY] = {false}, drawn[MANY] = {false};
    int32_t id = 0;
    bool same = true;
    zmlx_generate_options even = *options;
    even.temperature = 1000;
    keep_by_sorting(options, kept);
    if (zx_sampler_init(MANY, &sampler) != ZMLX_OK) return false;
    zx_sampler_begin(&sampler, &even);
    for (int i = 0; same && i < MANY_DRAWS; i++) {
        same = zx_sampler_next(&sampler, many, &id) == ZMLX_OK;
        drawn[id] = true;
    }
    zx_sampler_fini(&sampler);
    return same && memcmp(kept, drawn, sizeof kept) == 0;
}

static void fill_many(int kind)
{
    for (size_t i = 0; i < MANY; i++) {
        many[i] = (float)(zx_test_uniform() * 12 - 6);
        if (kind == 1) many[i] = floorf(many[i] / 4); /* many ties, two zeros */
        if (kind == 1 && many[i] == 0 && i % 2 == 0) many[i] = -0.0F;
        if (kind == 2) many[i] += 1e6F;                   /* few different values, all large */
        if (kind == 3) many[i] = (float)(i % 3) * 1e-30F; /* shares that are all one */
        if (kind == 4 && i % 5 == 0) many[i] = i % 2 == 0 ? NAN : -INFINITY;
        if (kind == 5) many[i] = i < 4 ? 0 : -800 - (float)i; /* shares that underflow */
    }
}

TEST(filters_keep_what_they_would_on_a_sorted_vocabulary)
{
    static const zmlx_generate_options rows[] = {
        {.top_k = 1},
        {.top_k = 7},
        {.top_k = 119},
        {.top_k = 54},
        {.top_k = 58},
        {.top_k = 120},
        {.top_k = 5000},
        {.top_p = 0.001F},
        {.top_p = 0.5F},
        {.top_p = 0.95F},
        {.top_p = 0.999F},
        {.top_p = 1},
        {.min_p = 0.02F},
        {.min_p = 1},
        {.top_p = 0.9F, .min_p = 0.05F},
        {.top_k = 40, .top_p = 0.6F},
        {.top_k = 20, .top_p = 0.99F, .min_p = 0.01F},
    };
    char subject[80];
    for (int kind = 0; kind < 6; kind++) {
        fill_many(kind);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            (void)snprintf(subject, sizeof subject, "logits %d, row %zu", kind, i);
            CHECK_ON(subject, keeps_the_same(&rows[i]));
        }
    }
}

TEST(what_is_no_number_is_never_chosen)
{
    static const float odd[VOCABULARY] = {NAN, -INFINITY, NAN, 1, NAN, 0};
    static const float none[VOCABULARY] = {NAN, NAN, NAN, NAN, NAN, NAN};
    static const float lowest[VOCABULARY] = {-INFINITY, NAN,       -INFINITY,
                                             -INFINITY, -INFINITY, -INFINITY};
    static const float infinite[VOCABULARY] = {NAN, 1, INFINITY, 3, INFINITY, 0};
    static const zmlx_generate_options rows[] = {
        {0},
        {.temperature = 1},
        {.temperature = 1, .top_k = 4},
        {.temperature = 1, .top_p = 0.99F},
        {.temperature = 1, .min_p = 0.01F},
    };
    zx_sampler sampler;
    int32_t id = -1;
    CHECK(zx_sampler_init(VOCABULARY, &sampler) == ZMLX_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        zx_sampler_begin(&sampler, &rows[i]);
        for (int k = 0; k < 100; k++) {
            CHECK(zx_sampler_next(&sampler, odd, &id) == ZMLX_OK && (id == 3 || id == 5));
            CHECK(zx_sampler_next(&sampler, infinite, &id) == ZMLX_OK && id == 2);
        }
        CHECK(zx_sampler_next(&sampler, none, &id) == ZMLX_ERROR_FORMAT);
        CHECK(zx_sampler_next(&sampler, lowest, &id) == ZMLX_ERROR_FORMAT);
        CHECK(strstr(zmlx_error_message(), "no logit after this token is a number") != NULL);
    }
    zx_sampler_fini(&sampler);
    CHECK(zx_most_likely(odd, VOCABULARY) == 3);
}

TEST(options_out_of_range_are_refused_by_name)
{
    CHECK(zx_sampler_check(&(zmlx_generate_options){.temperature = -1}) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "temperature is -1") != NULL);
    CHECK(zx_sampler_check(&(zmlx_generate_options){.top_p = 1.5F}) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "top_p") != NULL);
    CHECK(zx_sampler_check(&(zmlx_generate_options){.min_p = NAN}) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "min_p") != NULL);
}
