/* rope_length_test.c - models whose rope depends on the length (dynamic, longrope): the official
 * logits for prompts on both sides of the length before extension, in one session and in one step,
 * and prefixes shared only where the rope is the same. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/safetensors.h"
#include "serve/session.h"

static const char *const names[] = {"llama-dynamic", "llama-longrope"};

enum { VOCABULARY = 96, LONG = 130, SHORT = 70 }; /* tests/golden/make/rope_by_length.py */

typedef struct opened {
    zx_safetensors golden;
    zmlx_model *model;
    zmlx_session *session;
    const int32_t *ids; /* [LONG]; the first SHORT are the short prompt */
    const float *long_logits, *short_logits;
} opened;

static const void *tensor(const zx_safetensors *file, const char *name, size_t rows)
{
    const zx_stored_tensor *found = zx_stored_find(&file->stored, name);
    return found != NULL && found->shape[0] == rows ? found->data : NULL;
}

static bool open_named(const char *name, const zmlx_session_options *options, opened *it)
{
    char folder[100], path[150];
    *it = (opened){0};
    (void)snprintf(folder, sizeof folder, "tests/golden/%s", name);
    (void)snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    if (zx_safetensors_open(path, &it->golden) != ZMLX_OK ||
        zmlx_model_open(folder, NULL, &it->model) != ZMLX_OK ||
        zmlx_session_create(it->model, options, &it->session) != ZMLX_OK)
        return false;
    it->ids = tensor(&it->golden, "tokens", LONG);
    it->long_logits = tensor(&it->golden, "logits", LONG);
    it->short_logits = tensor(&it->golden, "logits_short", SHORT);
    return it->ids != NULL && it->long_logits != NULL && it->short_logits != NULL &&
           it->model->config.vocabulary == VOCABULARY;
}

static void close_it(opened *it)
{
    zmlx_session_destroy(it->session);
    zmlx_model_close(it->model);
    zx_safetensors_close(&it->golden);
}

static bool near(const float *got, const float *want)
{
    for (size_t i = 0; i < VOCABULARY; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= 1e-4 + 1e-4 * fabs((double)want[i])))
            return false;
    return true;
}

typedef struct comparison {
    const float *want;
    size_t rows, wrong;
} comparison;

static zmlx_status compare(size_t first, size_t rows, const float *got, void *user)
{
    comparison *check = user;
    for (size_t i = 0; i < rows; i++, check->rows++)
        check->wrong += near(got + i * VOCABULARY, check->want + (first + i) * VOCABULARY) ? 0 : 1;
    return ZMLX_OK;
}

static bool gives(zmlx_session *session, const int32_t *ids, size_t count, size_t chunk,
                  const float *want)
{
    comparison check = {.want = want};
    return zmlx_session_logits(session, ids, count, chunk, compare, &check) == ZMLX_OK &&
           check.rows == count && check.wrong == 0;
}

/* All ids of a call are its length, whatever the chunk and whatever came before. */
TEST(rope_by_length_gives_the_official_logits_on_both_sides)
{
    static const size_t chunks[] = {0, 7, 1};
    const zmlx_session_options options = {.precision = ZMLX_PRECISION_F32, .threads = 2};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        opened it;
        CHECK_ON(names[i], open_named(names[i], &options, &it));
        CHECK_ON(names[i], it.session->context >= LONG);
        for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
            CHECK_ON(names[i], gives(it.session, it.ids, LONG, chunks[k], it.long_logits));
            CHECK_ON(names[i], gives(it.session, it.ids, SHORT, chunks[k], it.short_logits));
        }
        close_it(&it);
    }
    CHECK(zx_test_live_blocks() == 0);
}

/* One step, two sequences, each with its own rope. */
TEST(rope_by_length_is_each_sequences_own)
{
    const zmlx_session_options options = {.precision = ZMLX_PRECISION_F32, .threads = 1};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        opened it;
        zx_engine *engine = NULL;
        zx_sequence both[2] = {{0}};
        CHECK_ON(names[i], open_named(names[i], &options, &it));
        zx_engine_options two = *zx_engine_settings(it.session->engine);
        two.threads = 3;
        two.limits = (zx_plan_limits){.tokens = LONG + SHORT, .sequences = 2, .sampled_rows = 2};
        CHECK_ON(names[i],
                 zx_engine_create(&it.model->graph, &it.model->layers, &two, &engine) == ZMLX_OK);
        CHECK(zx_engine_open_sequence(engine, LONG, SHORT, &both[0]) == ZMLX_OK);
        CHECK(zx_engine_open_sequence(engine, LONG, LONG, &both[1]) == ZMLX_OK);
        const zx_feed feeds[2] = {{&both[0], it.ids, SHORT, 1}, {&both[1], it.ids, LONG, 1}};
        CHECK(zx_engine_step(engine, feeds, 2) == ZMLX_OK);
        const float *want[2] = {it.short_logits + (SHORT - 1) * VOCABULARY,
                                it.long_logits + (LONG - 1) * VOCABULARY};
        for (size_t s = 0; s < 2; s++) {
            CHECK_ON(names[i], near(zx_engine_logits(engine, s), want[s]));
            zx_sequence_close(zx_engine_cache(engine), &both[s]);
        }
        zx_engine_destroy(engine);
        close_it(&it);
    }
    CHECK(zx_test_live_blocks() == 0);
}

/* How many tokens of a prompt of 65 are found again, for an answer of 'more' tokens. */
static size_t found(const opened *it, size_t more)
{
    const zmlx_generate_options options = {.max_tokens = more, .ignore_eos = true};
    zmlx_generate_result result;
    if (zmlx_session_generate(it->session, NULL, it->ids, 65, &options, &result) != ZMLX_OK)
        return SIZE_MAX;
    return result.cached_tokens;
}

/* Keys of another rope are of no use; longrope has two ropes, dynamic one for every length. */
TEST(rope_by_length_is_part_of_the_prefix)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        opened it;
        CHECK_ON(names[i], open_named(names[i], &(zmlx_session_options){.threads = 1}, &it));
        CHECK_ON(names[i], found(&it, 2) == 0);
        CHECK_ON(names[i], found(&it, 4) == 64); /* both short */
        CHECK_ON(names[i], found(&it, 40) == 0); /* 105 tokens: extended */
        CHECK_ON(names[i], found(&it, 40) == 64);
        CHECK_ON(names[i], found(&it, 41) == (i == 0 ? 0 : 64));
        CHECK_ON(names[i], found(&it, 3) == 64);
        close_it(&it);
    }
    CHECK(zx_test_live_blocks() == 0);
}

/* A context that is asked for is the length: what chat shares from turn to turn. */
TEST(rope_by_length_follows_a_context_that_was_given)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        opened it;
        const zmlx_session_options options = {.threads = 1, .context = 200};
        CHECK_ON(names[i], open_named(names[i], &options, &it));
        CHECK_ON(names[i], found(&it, 2) == 0);
        CHECK_ON(names[i], found(&it, 40) == 64);
        CHECK_ON(names[i], it.session->sequence.rope_length == (i == 0 ? 200 : 81));
        close_it(&it);
    }
    CHECK(zx_test_live_blocks() == 0);
}
