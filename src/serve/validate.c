/* validate.c - the same tokens through the fused and the unfused graph, bit by bit. */
#include "base/fail.h"
#include "base/memory.h"
#include "serve/session.h"

enum { DEFAULT_TOKENS = 96, GREEDY_TOKENS = 32 };

typedef struct pair {
    zmlx_session *fused, *unfused;
    size_t vocabulary;
    zmlx_validation *result;
} pair;

/* The first of 'count' logits whose bits differ, or 'count'. */
static size_t first_difference(const float *a, const float *b, size_t count)
{
    size_t index = 0;
    while (index < count && zx_bits_from_float(a[index]) == zx_bits_from_float(b[index])) index++;
    return index;
}

static void compare_row(pair *both, size_t token, size_t row)
{
    const float *fused = zx_engine_logits(both->fused->engine, row);
    const float *unfused = zx_engine_logits(both->unfused->engine, row);
    const size_t index = first_difference(fused, unfused, both->vocabulary);
    zmlx_validation *result = both->result;
    result->checked_tokens++;
    result->checked_logits += both->vocabulary;
    if (!result->equal || index == both->vocabulary) return;
    result->equal = false;
    result->first_token = token;
    result->first_index = index;
    result->fused = fused[index];
    result->unfused = unfused[index];
}

/* Feeds the same ids to both and compares every row. */
static zmlx_status feed_both(pair *both, const int32_t *ids, size_t count)
{
    const zx_plan_limits *limits = &zx_engine_settings(both->fused->engine)->limits;
    const size_t most =
        limits->tokens < limits->sampled_rows ? limits->tokens : limits->sampled_rows;
    for (size_t done = 0; done < count;) {
        const size_t tokens = count - done < most ? count - done : most;
        const size_t at = both->fused->sequence.length;
        const zx_feed fused = {&both->fused->sequence, ids + done, tokens, tokens};
        const zx_feed unfused = {&both->unfused->sequence, ids + done, tokens, tokens};
        ZX_TRY(zx_engine_step(both->fused->engine, &fused, 1));
        ZX_TRY(zx_engine_step(both->unfused->engine, &unfused, 1));
        for (size_t row = 0; row < tokens; row++) compare_row(both, at + row, row);
        done += tokens;
    }
    return ZMLX_OK;
}

static zmlx_status compare(pair *both, const int32_t *ids, size_t count)
{
    ZX_TRY(zx_session_check_ids(both->fused, ids, count));
    ZX_TRY(zx_session_begin(both->fused, ids, count, 0, false));
    ZX_TRY(zx_session_begin(both->unfused, ids, count, 0, false));
    ZX_TRY(feed_both(both, ids, count));
    const size_t context = both->fused->context;
    for (size_t i = 0; i < GREEDY_TOKENS && both->fused->sequence.length < context; i++) {
        const zx_operand *output = zx_plan_output(zx_engine_plan(both->fused->engine));
        const float *row = zx_engine_logits(both->fused->engine, output->rows - 1);
        const int32_t id = zx_most_likely(row, both->vocabulary);
        ZX_TRY(feed_both(both, &id, 1));
    }
    return ZMLX_OK;
}

static zmlx_status make_ids(size_t vocabulary, size_t count, int32_t **ids)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(count, sizeof(int32_t), "tokens to validate with", &memory));
    *ids = memory;
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        (*ids)[i] = (int32_t)((state >> 33) % vocabulary);
    }
    return ZMLX_OK;
}

zmlx_status zmlx_validate(const zmlx_model *model, const zmlx_session_options *options,
                          const int32_t *ids, size_t count, zmlx_validation *result)
{
    zmlx_session_options fused = {0};
    if (options != NULL) fused = *options;
    fused.no_fuse = false;
    if (fused.context == 0) fused.context = (ids != NULL ? count : DEFAULT_TOKENS) + GREEDY_TOKENS;
    zmlx_session_options unfused = fused;
    unfused.no_fuse = true;
    const zmlx_session_options pair_options[] = {fused, unfused};
    int32_t *own = NULL;
    pair both = {.vocabulary = model->config.vocabulary, .result = result};
    *result = (zmlx_validation){.equal = true};
    zmlx_status status = zx_session_check_together(model, pair_options, 2);
    if (status == ZMLX_OK) status = zmlx_session_create(model, &fused, &both.fused);
    if (status == ZMLX_OK) status = zmlx_session_create(model, &unfused, &both.unfused);
    if (status == ZMLX_OK && ids == NULL) {
        count = both.fused->context < DEFAULT_TOKENS ? both.fused->context : DEFAULT_TOKENS;
        status = make_ids(both.vocabulary, count, &own);
        ids = own;
    }
    if (status == ZMLX_OK) status = compare(&both, ids, count);
    zx_free(own);
    zmlx_session_destroy(both.fused);
    zmlx_session_destroy(both.unfused);
    return status;
}
