/* session.c - creating sessions, and feeding them tokens. */
#include "serve/session.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/region.h"
#include "model/choices.h"

enum { DEFAULT_CONTEXT = 8192, DEFAULT_CHUNK = 512, MAX_THREADS = 256 };
enum { LOGITS_BYTES = 16 << 20 }; /* of all sampled rows of a step */

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static zmlx_status check_options(const zmlx_session_options *options)
{
    if (options->device != NULL && strcmp(options->device, "cpu") != 0)
        return ZX_FAIL(ZMLX_ERROR_DEVICE, "device '%s' is not in this build; there is: cpu",
                       options->device);
    if (options->threads > MAX_THREADS)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu threads; expected 1 to %d", options->threads,
                       MAX_THREADS);
    if (options->context > (size_t)1 << 30)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "a context of %zu tokens; expected at most %d",
                       options->context, 1 << 30);
    return ZMLX_OK;
}

/* KV dtype: T if it has 16 bits or the precision is f32, else f16. */
static zx_dtype usual_kv(const zmlx_model *model, zx_precision precision)
{
    return model->dtype != ZX_F32 || precision == ZX_PRECISION_F32 ? model->dtype : ZX_F16;
}

zmlx_status zx_session_resolve(const zmlx_model *model, const zmlx_session_options *options,
                               zx_engine_options *resolved, size_t *context)
{
    zx_precision precision;
    zx_dtype kv;
    ZX_TRY(check_options(options));
    ZX_TRY(zx_choose_precision(options->precision, &precision));
    ZX_TRY(zx_choose_dtype(options->kv, "keys and values", usual_kv(model, precision), &kv));
    const size_t usual = at_most(model->config.context_length, DEFAULT_CONTEXT);
    *context = options->context > 0 ? options->context : usual;
    const size_t chunk = at_most(options->chunk > 0 ? options->chunk : DEFAULT_CHUNK, *context);
    const size_t rows = LOGITS_BYTES / sizeof(float) / model->config.vocabulary + 1;
    *resolved = (zx_engine_options){
        .threads =
            options->threads > 0 ? options->threads : at_most(zx_usable_cores(), MAX_THREADS),
        .precision = precision,
        .kv_dtype = kv,
        .no_fuse = options->no_fuse || model->unfused,
        .choice = zx_model_choice(model),
        .pages = (*context + ZX_PAGE_TOKENS - 1) / ZX_PAGE_TOKENS + 1, /* and page 0 */
        .limits = {.tokens = chunk, .sequences = 1, .sampled_rows = at_most(rows, chunk)},
    };
    return ZMLX_OK;
}

/* What is known without planning: all but the activations. */
static zmlx_status known_need(const zmlx_model *model, const zx_engine_options *resolved,
                              size_t context, zmlx_memory *memory)
{
    size_t sequence = 0;
    *memory = (zmlx_memory){.weights = model->weight_bytes,
                            .available = zx_checkpoint_available(model->checkpoint)};
    ZX_TRY(zx_engine_cache_bytes(&model->layers, resolved, &memory->kv));
    ZX_TRY(zx_sequence_bytes(context, &sequence));
    if (zx_add_fits(memory->kv, sequence, &memory->kv)) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "keys and values for %zu tokens exceed the address space",
                   context);
}

zmlx_status zmlx_session_estimate(const zmlx_model *model, const zmlx_session_options *options,
                                  zmlx_memory *memory)
{
    zx_engine_options resolved;
    size_t context = 0;
    ZX_TRY(zx_session_resolve(model, options, &resolved, &context));
    ZX_TRY(known_need(model, &resolved, context, memory));
    return zx_engine_activation_bytes(&model->graph, &model->layers, &resolved,
                                      &memory->activations);
}

/* 'sessions' of them share the weights; 'need' is of all together. */
static zmlx_status check_memory(const zmlx_memory *need, size_t sessions, size_t context)
{
    char each[64] = "";
    size_t total = 0;
    const double mib = 1.0 / (1 << 20);
    if (!zx_add_fits(need->weights, need->kv, &total) ||
        !zx_add_fits(total, need->activations, &total))
        total = SIZE_MAX;
    if (total <= need->available) return ZMLX_OK;
    if (sessions > 1) (void)snprintf(each, sizeof each, " by %zu sessions at once", sessions);
    return ZX_FAIL(ZMLX_ERROR_MEMORY,
                   "%.0f MiB needed%s (weights %.0f, keys and values for %zu tokens %.0f, "
                   "activations %.0f), %.0f MiB available; use a smaller context or model",
                   (double)total * mib, each, (double)need->weights * mib, context,
                   (double)need->kv * mib, (double)need->activations * mib,
                   (double)need->available * mib);
}

zmlx_status zx_session_check_together(const zmlx_model *model, const zmlx_session_options options[],
                                      size_t count)
{
    zmlx_memory all = {0};
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        zx_engine_options resolved;
        zmlx_memory one;
        size_t context = 0;
        ZX_TRY(zx_session_resolve(model, &options[i], &resolved, &context));
        ZX_TRY(zmlx_session_estimate(model, &options[i], &one));
        if (!zx_add_fits(all.kv, one.kv, &all.kv) ||
            !zx_add_fits(all.activations, one.activations, &all.activations))
            return ZX_FAIL(ZMLX_ERROR_MEMORY, "%zu sessions exceed the address space", count);
        if (context > longest) longest = context;
        all.weights = one.weights;
        all.available = one.available;
    }
    return check_memory(&all, count, longest);
}

/* The engine reserves addresses; memory is taken when it is touched, which is after the check. */
static zmlx_status build(zmlx_session *session, const zx_engine_options *options)
{
    const zmlx_model *model = session->model;
    zmlx_memory need;
    ZX_TRY(known_need(model, options, session->context, &need));
    ZX_TRY(check_memory(&need, 1, session->context));
    ZX_TRY(zx_engine_create(&model->graph, &model->layers, options, &session->engine));
    need.activations = zx_engine_activations(session->engine);
    ZX_TRY(check_memory(&need, 1, session->context));
    ZX_TRY(zx_checkpoint_make(model->checkpoint, options->threads));
    return zx_sampler_init(zx_engine_vocabulary(session->engine), &session->sampler);
}

zmlx_status zmlx_session_create(const zmlx_model *model, const zmlx_session_options *options,
                                zmlx_session **session)
{
    static const zmlx_session_options defaults;
    zx_engine_options resolved;
    size_t context = 0;
    void *memory = NULL;
    if (options == NULL) options = &defaults;
    ZX_TRY(zx_session_resolve(model, options, &resolved, &context));
    ZX_TRY(zx_alloc(sizeof(zmlx_session), "session", &memory));
    zmlx_session *fresh = memory;
    fresh->model = model;
    fresh->context = context;
    fresh->context_given = options->context > 0;
    const zmlx_status status = build(fresh, &resolved);
    if (status == ZMLX_OK)
        *session = fresh;
    else
        zmlx_session_destroy(fresh);
    return status;
}

void zmlx_session_destroy(zmlx_session *session)
{
    if (session == NULL) return;
    if (session->engine != NULL)
        zx_sequence_close(zx_engine_cache(session->engine), &session->sequence);
    zx_sampler_fini(&session->sampler);
    zx_engine_destroy(session->engine);
    zx_free(session);
}

zmlx_status zx_session_check_ids(const zmlx_session *session, const int32_t *ids, size_t count)
{
    const size_t vocabulary = session->model->config.vocabulary;
    if (count == 0) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no tokens; expected at least 1");
    if (count > session->context)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                       "%zu tokens do not fit the context of %zu; use a larger context", count,
                       session->context);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocabulary)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                           "token %zu is %d, outside the vocabulary of %zu (0 to %zu)", i, ids[i],
                           vocabulary, vocabulary - 1);
    return ZMLX_OK;
}

zmlx_status zx_session_begin(zmlx_session *session, const int32_t *ids, size_t count, size_t length,
                             bool reuse)
{
    zx_cache *cache = zx_engine_cache(session->engine);
    zx_sequence_close(cache, &session->sequence);
    if (length == 0) length = session->context;
    ZX_TRY(zx_engine_open_sequence(session->engine, session->context, length, &session->sequence));
    if (reuse) zx_sequence_reuse(cache, &session->sequence, ids, count);
    return ZMLX_OK;
}

zmlx_status zx_session_feed(zmlx_session *session, const int32_t *ids, size_t count)
{
    return zx_session_feed_watched(session, ids, count, NULL, NULL);
}

zmlx_status zx_session_feed_watched(zmlx_session *session, const int32_t *ids, size_t count,
                                    zmlx_prompt_fn on_step, void *user)
{
    const size_t most = zx_engine_settings(session->engine)->limits.tokens;
    for (size_t done = 0; done < count;) {
        if (on_step != NULL && !on_step(done, count, user)) return ZMLX_OK;
        const size_t tokens = at_most(most, count - done);
        const zx_feed feed = {&session->sequence, ids + done, tokens,
                              done + tokens == count ? 1 : 0};
        ZX_TRY(zx_engine_step(session->engine, &feed, 1));
        done += tokens;
    }
    return ZMLX_OK;
}

zmlx_status zmlx_session_logits(zmlx_session *session, const int32_t *ids, size_t count,
                                size_t chunk, zmlx_logits_fn on_logits, void *user)
{
    ZX_TRY(zx_session_check_ids(session, ids, count));
    ZX_TRY(zx_session_begin(session, ids, count, count, false));
    const zx_plan_limits *limits = &zx_engine_settings(session->engine)->limits;
    size_t most = at_most(limits->tokens, limits->sampled_rows);
    if (chunk > 0) most = at_most(most, chunk);
    for (size_t done = 0; done < count;) {
        const size_t tokens = at_most(most, count - done);
        const zx_feed feed = {&session->sequence, ids + done, tokens, tokens};
        ZX_TRY(zx_engine_step(session->engine, &feed, 1));
        for (size_t row = 0; row < tokens; row++)
            ZX_TRY(on_logits(done + row, 1, zx_engine_logits(session->engine, row), user));
        done += tokens;
    }
    return ZMLX_OK;
}
