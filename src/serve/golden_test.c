/* golden_test.c - tiny checkpoints must give the logits of the official implementations, for the
 * prompt whole, in chunks and token by token, and so must GGUF files of them; real
 * models, where they are at hand, those of an independent float run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "model/config.h"
#include "model/safetensors.h"
#include "serve/goldens.h"
#include "serve/session.h"

typedef struct bounds {
    double atol, rtol, kl_max;
} bounds;

typedef struct comparison {
    const float *want; /* [tokens, vocabulary] */
    size_t vocabulary;
    bounds within;
    size_t rows;
    char trouble[160];
} comparison;

static double log_sum(const float *logits, size_t count)
{
    double largest = (double)-INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, (double)logits[i]);
    for (size_t i = 0; i < count; i++) sum += exp((double)logits[i] - largest);
    return largest + log(sum);
}

static double divergence(const float *want, const float *got, size_t count)
{
    const double want_sum = log_sum(want, count), got_sum = log_sum(got, count);
    double kl = 0;
    for (size_t i = 0; i < count; i++) {
        const double log_want = (double)want[i] - want_sum;
        kl += exp(log_want) * (log_want - ((double)got[i] - got_sum));
    }
    return kl;
}

static zmlx_status compare_row(size_t first, size_t rows, const float *got, void *user)
{
    comparison *check = user;
    const float *want = check->want + first * check->vocabulary;
    check->rows += rows;
    if (check->trouble[0] != '\0') return ZMLX_OK;
    for (size_t i = 0; i < check->vocabulary; i++) {
        const double off = fabs((double)got[i] - (double)want[i]);
        if (off <= check->within.atol + check->within.rtol * fabs((double)want[i])) continue;
        (void)snprintf(check->trouble, sizeof check->trouble,
                       "token %zu, logit %zu: %.7g, expected %.7g", first, i, (double)got[i],
                       (double)want[i]);
        return ZMLX_OK;
    }
    const double kl = divergence(want, got, check->vocabulary);
    if (!(kl <= check->within.kl_max))
        (void)snprintf(check->trouble, sizeof check->trouble, "token %zu: KL %.3g", first, kl);
    return ZMLX_OK;
}

static bool read_bounds(const char *folder, bounds *within)
{
    char path[256];
    json_t *meta = NULL;
    (void)snprintf(path, sizeof path, "%s/meta.json", folder);
    if (zx_document_open(path, NULL, &meta) != ZMLX_OK) return false;
    const zx_fields fields = {path, NULL, meta};
    const bool ok = zx_fields_number(&fields, "atol", 0, 1, &within->atol) == ZMLX_OK &&
                    zx_fields_number(&fields, "rtol", 0, 1, &within->rtol) == ZMLX_OK &&
                    zx_fields_number(&fields, "kl_max", 0, 1, &within->kl_max) == ZMLX_OK &&
                    within->atol > 0 && within->kl_max > 0;
    json_decref(meta);
    return ok;
}

static bool run_chunks(const zmlx_model *model, const zx_stored_tensor *tokens, comparison *check)
{
    static const size_t chunks[] = {0, 7, 1};
    const zmlx_session_options options = {.precision = ZMLX_PRECISION_F32, .threads = 2};
    zmlx_session *session = NULL;
    if (zmlx_session_create(model, &options, &session) != ZMLX_OK) return false;
    bool ok = check->vocabulary == model->config.vocabulary;
    for (size_t i = 0; ok && i < sizeof chunks / sizeof chunks[0]; i++) {
        check->rows = 0;
        ok = zmlx_session_logits(session, (const int32_t *)(const void *)tokens->data,
                                 tokens->shape[0], chunks[i], compare_row, check) == ZMLX_OK &&
             check->rows == tokens->shape[0] && check->trouble[0] == '\0';
    }
    zmlx_session_destroy(session);
    return ok;
}

/* Whether the model gives the logits that the file 'want' holds, within these bounds. */
static bool agrees(const char *path, const char *want, const bounds *within, char subject[400])
{
    zx_safetensors golden = {0};
    zmlx_model *model = NULL;
    comparison check = {.within = *within};
    bool ok = zx_safetensors_open(want, &golden) == ZMLX_OK &&
              zmlx_model_open(path, NULL, &model) == ZMLX_OK;
    if (ok) {
        const zx_stored_tensor *tokens = zx_stored_find(&golden.stored, "tokens");
        const zx_stored_tensor *logits = zx_stored_find(&golden.stored, "logits");
        ok = tokens != NULL && logits != NULL && logits->shape[0] == tokens->shape[0];
        if (ok) {
            check.want = (const float *)(const void *)logits->data;
            check.vocabulary = logits->shape[1];
            ok = run_chunks(model, tokens, &check);
        }
    }
    (void)snprintf(subject, 400, "%s: %s", path,
                   check.trouble[0] != '\0' ? check.trouble : zmlx_error_message());
    zmlx_model_close(model);
    zx_safetensors_close(&golden);
    return ok;
}

static bool holds(const char *name, char subject[400])
{
    char folder[200], want[256];
    bounds within = {0};
    (void)snprintf(folder, sizeof folder, "tests/golden/%s", name);
    (void)snprintf(want, sizeof want, "%s/golden.safetensors", folder);
    (void)snprintf(subject, 400, "%s: meta.json", name);
    return read_bounds(folder, &within) && agrees(folder, want, &within, subject);
}

static bool gguf_holds(const char *name, char subject[400])
{
    static const bounds within = {1e-4, 1e-4, 1e-6}; /* those of most folders */
    char path[200], want[200];
    (void)snprintf(path, sizeof path, "tests/golden/gguf/%s.gguf", name);
    (void)snprintf(want, sizeof want, "tests/golden/gguf/%s.safetensors", name);
    return agrees(path, want, &within, subject);
}

TEST(tiny_checkpoints_give_the_official_logits)
{
    char subject[400];
    zx_goldens goldens;
    CHECK(zx_goldens_list(&goldens));
    for (size_t i = 0; i < goldens.count; i++) CHECK_ON(subject, holds(goldens.names[i], subject));
}

TEST(tiny_gguf_files_give_the_logits_of_their_folders)
{
    char subject[400];
    zx_goldens goldens;
    CHECK(zx_goldens_gguf(&goldens));
    for (size_t i = 0; i < goldens.count; i++)
        CHECK_ON(subject, gguf_holds(goldens.names[i], subject));
}

/* --- real models against their references: per token the 64 most likely next ones --- */

enum { TOP = 64 };

typedef struct distance {
    const int32_t *top_ids; /* [tokens, TOP] */
    const float *top_logprobs;
    size_t vocabulary, rows;
    double sum;
} distance;

/* KL over the 64 likeliest tokens and one for all the others. */
static zmlx_status add_distance(size_t first, size_t rows, const float *got, void *user)
{
    distance *off = user;
    const double total = log_sum(got, off->vocabulary);
    double kl = 0, want_rest = 1, got_rest = 1;
    for (size_t i = first * TOP; i < (first + 1) * TOP; i++) {
        const double want = (double)off->top_logprobs[i];
        const double is = (double)got[off->top_ids[i]] - total;
        kl += exp(want) * (want - is);
        want_rest -= exp(want);
        got_rest -= exp(is);
    }
    if (want_rest > 1e-9 && got_rest > 1e-9) kl += want_rest * log(want_rest / got_rest);
    off->sum += kl;
    off->rows += rows;
    return ZMLX_OK;
}

static double mean_distance(const zmlx_model *model, const zx_safetensors *reference,
                            zmlx_precision precision)
{
    const zx_stored_tensor *tokens = zx_stored_find(&reference->stored, "tokens");
    const zx_stored_tensor *ids = zx_stored_find(&reference->stored, "top_ids");
    const zx_stored_tensor *logprobs = zx_stored_find(&reference->stored, "top_logprobs");
    const zmlx_session_options options = {.precision = precision, .threads = 2, .context = 512};
    zmlx_session *session = NULL;
    if (tokens == NULL || ids == NULL || logprobs == NULL || ids->shape[1] != TOP)
        return (double)NAN;
    if (zmlx_session_create(model, &options, &session) != ZMLX_OK) return (double)NAN;
    distance off = {.top_ids = (const int32_t *)(const void *)ids->data,
                    .top_logprobs = (const float *)(const void *)logprobs->data,
                    .vocabulary = model->config.vocabulary};
    const zmlx_status status =
        zmlx_session_logits(session, (const int32_t *)(const void *)tokens->data, tokens->shape[0],
                            0, add_distance, &off);
    zmlx_session_destroy(session);
    return status == ZMLX_OK && off.rows == tokens->shape[0] ? off.sum / (double)off.rows
                                                             : (double)NAN;
}

typedef struct distances {
    double f32, q16, q8; /* the mean of a precision */
} distances;

static bool find_distances(const char *path, const char *reference_path, distances *mean)
{
    zx_safetensors reference = {0};
    zmlx_model *model = NULL;
    const bool opened = zx_safetensors_open(reference_path, &reference) == ZMLX_OK &&
                        zmlx_model_open(path, NULL, &model) == ZMLX_OK;
    if (opened)
        *mean = (distances){.f32 = mean_distance(model, &reference, ZMLX_PRECISION_F32),
                            .q16 = mean_distance(model, &reference, ZMLX_PRECISION_Q16),
                            .q8 = mean_distance(model, &reference, ZMLX_PRECISION_Q8)};
    zmlx_model_close(model);
    zx_safetensors_close(&reference);
    return opened;
}

/* The log-probabilities are stored as f32: a divergence of about 1e-8 is what they can show. */
TEST_MARKED(smollm2_stays_near_an_independent_float_run, "slow")
{
    const char *path = getenv("ZX_MODEL");
    distances mean;
    if (path == NULL) SKIP("ZX_MODEL does not name SmolLM2-135M-Instruct.Q4_1.gguf");
    CHECK(find_distances(path, "tests/golden/real/smollm2.safetensors", &mean));
    CHECK(mean.f32 > -1e-8 && mean.f32 <= 1e-8);
    CHECK(mean.q16 > 0 && mean.q16 <= 1e-6);
    CHECK(mean.q8 > mean.q16 &&
          mean.q8 <= 1.3 * 3.07e-3); /* llama.cpp 0.3.36's own is 3.07e-3 (tools/peer_quality.py) */
}

/* Blocks of Q5_0, Q4_K, Q6_K and Q8_0, and a vocabulary of 262,144. */
TEST_MARKED(gemma3_270m_stays_near_an_independent_float_run, "slow")
{
    const char *path = getenv("ZX_GEMMA");
    distances mean;
    if (path == NULL) SKIP("ZX_GEMMA does not name gemma-3-270m-q4_k_m.gguf");
    CHECK(find_distances(path, "tests/golden/real/gemma3_270m.safetensors", &mean));
    CHECK(mean.f32 > -1e-8 && mean.f32 <= 1e-8);
    CHECK(mean.q16 > 0 && mean.q16 <= 1e-6);
    CHECK(mean.q8 > mean.q16 && mean.q8 <= 4.90e-3); /* llama.cpp 0.3.36's own */
}

static bool until_half(size_t done, size_t count, void *user)
{
    size_t *const calls = user;
    ++*calls;
    return done < count / 2;
}

TEST(a_stopped_prompt_says_so_and_harms_no_later_one)
{
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    zmlx_generate_result stopped, whole;
    size_t calls = 0;
    int32_t ids[128];
    for (int32_t i = 0; i < 128; i++) ids[i] = (i * 7) % 300;
    const zmlx_session_options how = {.threads = 1, .chunk = 16};
    const zmlx_generate_options half = {
        .max_tokens = 4, .ignore_eos = true, .on_prompt = until_half, .user = &calls};
    const zmlx_generate_options all = {.max_tokens = 4, .ignore_eos = true};
    CHECK(zmlx_model_open("tests/golden/llama", NULL, &model) == ZMLX_OK);
    CHECK(zmlx_session_create(model, &how, &session) == ZMLX_OK);
    CHECK(zmlx_session_generate(session, NULL, ids, 128, &half, &stopped) == ZMLX_OK);
    CHECK(stopped.finish == ZMLX_FINISH_CANCELLED && stopped.generated_tokens == 0);
    CHECK(stopped.prompt_tokens == 64 && calls == 5);
    CHECK(zmlx_session_generate(session, NULL, ids, 128, &all, &whole) == ZMLX_OK);
    CHECK(whole.finish == ZMLX_FINISH_LENGTH && whole.generated_tokens == 4);
    CHECK(whole.prompt_tokens == 128);
    zmlx_session_destroy(session);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

static void decode_steadily(const char *folder)
{
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    int32_t ids[200];
    for (int32_t i = 0; i < 200; i++) ids[i] = i % 300;
    CHECK_ON(folder, zmlx_model_open(folder, NULL, &model) == ZMLX_OK);
    CHECK(zmlx_session_create(model, &(zmlx_session_options){.threads = 2}, &session) == ZMLX_OK);
    CHECK(zx_session_begin(session, ids, 200, 0, false) == ZMLX_OK);
    CHECK(zx_session_feed(session, ids, 10) == ZMLX_OK);
    const size_t before = zx_allocation_count();
    for (size_t i = 10; i < 200; i++) CHECK(zx_session_feed(session, &ids[i], 1) == ZMLX_OK);
    CHECK_ON(folder, zx_allocation_count() == before);
    zmlx_session_destroy(session);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

/* Over the ends of pages, where recurrent layers leave snapshots. */
TEST(steady_decoding_allocates_nothing)
{
    decode_steadily("tests/golden/llama-4bit-g64");
    decode_steadily("tests/golden/lfm2");
    decode_steadily("tests/golden/qwen3_next");
}
