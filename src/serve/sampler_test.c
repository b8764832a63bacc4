#include <math.h>
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
    for (int i = 0; i < DRAWS; i++) counts[zx_sampler_next(&sampler, logits)]++;
    for (size_t i = 0; i < VOCABULARY; i++) share[i] = (double)counts[i] / DRAWS;
    zx_sampler_fini(&sampler);
    return true;
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

TEST(the_same_seed_gives_the_same_tokens_and_another_seed_others)
{
    zx_sampler a, b;
    int differing = 0;
    CHECK(zx_sampler_init(VOCABULARY, &a) == ZMLX_OK && zx_sampler_init(VOCABULARY, &b) == ZMLX_OK);
    const zmlx_generate_options options = {.temperature = 1, .seed = 5};
    const zmlx_generate_options other = {.temperature = 1, .seed = 6};
    zx_sampler_begin(&a, &options);
    zx_sampler_begin(&b, &options);
    for (int i = 0; i < 100; i++) CHECK(zx_sampler_next(&a, logits) == zx_sampler_next(&b, logits));
    zx_sampler_begin(&a, &options);
    zx_sampler_begin(&b, &other);
    for (int i = 0; i < 100; i++)
        differing += zx_sampler_next(&a, logits) != zx_sampler_next(&b, logits);
    CHECK(differing > 20);
    zx_sampler_fini(&a);
    zx_sampler_fini(&b);
}

TEST(logits_that_are_not_numbers_still_give_a_token)
{
    const float odd[VOCABULARY] = {NAN, -INFINITY, NAN, 1, NAN, -INFINITY};
    const float none[VOCABULARY] = {NAN, NAN, NAN, NAN, NAN, NAN};
    zx_sampler sampler;
    CHECK(zx_sampler_init(VOCABULARY, &sampler) == ZMLX_OK);
    zx_sampler_begin(&sampler, &(zmlx_generate_options){.temperature = 1});
    const int32_t id = zx_sampler_next(&sampler, none);
    CHECK(id >= 0 && id < VOCABULARY);
    CHECK(zx_most_likely(odd, VOCABULARY) == 3);
    zx_sampler_fini(&sampler);
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
