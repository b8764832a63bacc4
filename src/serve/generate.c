/* generate.c - the loop of generation: feed, sample, say. */
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "serve/session.h"
#include "serve/stop.h"

enum { DEFAULT_MAX_TOKENS = 128 };

typedef struct speaker {      /* turns ids into text for the caller */
    zx_decode_stream *decode; /* NULL: no tokenizer, no text */
    zx_stop stop;
    zx_text piece, certain;
    zmlx_token_fn on_token;
    void *user;
} speaker;

static zmlx_status open_speaker(const zmlx_tokenizer *tokenizer,
                                const zmlx_generate_options *options, speaker *voice)
{
    voice->stop.stops = options->stop;
    if (tokenizer == NULL) return ZMLX_OK;
    return zx_decode_stream_create(zx_tokenizer_of(tokenizer), true, &voice->decode);
}

static void close_speaker(speaker *voice)
{
    zx_decode_stream_destroy(voice->decode);
    zx_stop_fini(&voice->stop);
    zx_text_fini(&voice->piece);
    zx_text_fini(&voice->certain);
}

static bool say(const speaker *voice, int32_t id)
{
    const char *bytes = voice->certain.bytes != NULL ? voice->certain.bytes : "";
    return voice->on_token == NULL ||
           voice->on_token(id, bytes, voice->certain.length, voice->user);
}

/* Hands out what is certain with this id; *finish says whether and why to end. */
static zmlx_status speak(speaker *voice, int32_t id, bool *ended, zmlx_finish *finish)
{
    bool stopped = false;
    zx_text_clear(&voice->piece);
    zx_text_clear(&voice->certain);
    if (voice->decode != NULL) ZX_TRY(zx_decode_stream_push(voice->decode, id, &voice->piece));
    if (voice->piece.length > 0)
        ZX_TRY(zx_stop_push(&voice->stop, voice->piece.bytes, voice->piece.length, &voice->certain,
                            &stopped));
    if (stopped) *finish = ZMLX_FINISH_STOP;
    *ended = stopped;
    if (say(voice, id)) return ZMLX_OK;
    *ended = true;
    *finish = ZMLX_FINISH_CANCELLED;
    return ZMLX_OK;
}

/* What was held back, with id -1.  A stop text may become complete only here. */
static zmlx_status speak_last(speaker *voice, bool stopped_by_text, zmlx_finish *finish)
{
    bool stopped = stopped_by_text;
    zx_text_clear(&voice->piece);
    zx_text_clear(&voice->certain);
    if (!stopped && voice->decode != NULL)
        ZX_TRY(zx_decode_stream_finish(voice->decode, &voice->piece));
    if (!stopped && voice->piece.length > 0)
        ZX_TRY(zx_stop_push(&voice->stop, voice->piece.bytes, voice->piece.length, &voice->certain,
                            &stopped));
    if (!stopped) ZX_TRY(zx_stop_finish(&voice->stop, &voice->certain));
    if (stopped && *finish == ZMLX_FINISH_LENGTH) *finish = ZMLX_FINISH_STOP;
    (void)say(voice, -1);
    return ZMLX_OK;
}

static bool ends_answer(const zmlx_model *model, int32_t id)
{
    for (size_t i = 0; i < model->end_count; i++)
        if (model->end_ids[i] == id) return true;
    return false;
}

static size_t wanted_tokens(const zmlx_generate_options *options)
{
    return options->max_tokens > 0 ? options->max_tokens : DEFAULT_MAX_TOKENS;
}

/* Samples and feeds until something ends it. */
static zmlx_status decode(zmlx_session *session, const zmlx_generate_options *options,
                          speaker *voice, zmlx_generate_result *result)
{
    const size_t wanted = wanted_tokens(options);
    bool ended = false;
    const double start = zx_seconds();
    result->finish = ZMLX_FINISH_LENGTH;
    while (!ended && result->generated_tokens < wanted) {
        int32_t id = -1;
        ZX_TRY(zx_sampler_next(&session->sampler, zx_engine_logits(session->engine, 0), &id));
        if (!options->ignore_eos && ends_answer(session->model, id)) {
            result->finish = ZMLX_FINISH_STOP;
            break;
        }
        result->generated_tokens++;
        ZX_TRY(speak(voice, id, &ended, &result->finish));
        if (ended || result->generated_tokens == wanted) break;
        if (session->sequence.length == session->context) break;
        ZX_TRY(zx_session_feed(session, &id, 1));
    }
    result->decode_seconds = zx_seconds() - start;
    const bool by_text = ended && result->finish == ZMLX_FINISH_STOP;
    return speak_last(voice, by_text, &result->finish);
}

/* What the sequence may grow to: of that length its rope is. */
static size_t final_length(const zmlx_session *session, size_t count,
                           const zmlx_generate_options *options)
{
    const size_t room = session->context - count;
    if (session->context_given) return session->context;
    return count + (wanted_tokens(options) < room ? wanted_tokens(options) : room);
}

/* Where the caller stops it, the result says so and there are no logits to decode from. */
static zmlx_status prefill(zmlx_session *session, const int32_t *prompt, size_t count,
                           const zmlx_generate_options *options, zmlx_generate_result *result)
{
    const double start = zx_seconds();
    ZX_TRY(zx_session_begin(session, prompt, count, final_length(session, count, options), true));
    result->cached_tokens = session->sequence.length;
    ZX_TRY(zx_session_feed_watched(session, prompt + result->cached_tokens,
                                   count - result->cached_tokens, options->on_prompt,
                                   options->user));
    result->prompt_tokens = session->sequence.length;
    if (result->prompt_tokens < count) result->finish = ZMLX_FINISH_CANCELLED;
    result->prefill_seconds = zx_seconds() - start;
    return ZMLX_OK;
}

zmlx_status zmlx_session_generate(zmlx_session *session, const zmlx_tokenizer *tokenizer,
                                  const int32_t *prompt, size_t count,
                                  const zmlx_generate_options *options,
                                  zmlx_generate_result *result)
{
    static const zmlx_generate_options defaults;
    if (options == NULL) options = &defaults;
    speaker voice = {.on_token = options->on_token, .user = options->user};
    *result = (zmlx_generate_result){.prompt_tokens = count};
    ZX_TRY(zx_sampler_check(options));
    ZX_TRY(zx_session_check_ids(session, prompt, count));
    zx_sampler_begin(&session->sampler, options);
    zmlx_status status = open_speaker(tokenizer, options, &voice);
    if (status == ZMLX_OK) status = prefill(session, prompt, count, options, result);
    if (status == ZMLX_OK && result->finish != ZMLX_FINISH_CANCELLED)
        status = decode(session, options, &voice, result);
    close_speaker(&voice);
    return status;
}
