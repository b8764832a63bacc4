/* generate_test.c - how a generation ends, what its caller hears, and what it costs.
 *
 * The tokenizer is made here: token 7 is "t007;", so that any text can be told from the ids. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "base/text.h"
#include "model/make_files.h"
#include "serve/session.h"

enum { PROMPT = 130, TOKENS = 12, TEXT_BYTES = 400 };

typedef struct heard { /* what the callback was told */
    int32_t ids[TOKENS + 1];
    size_t count, calls, stop_after; /* 0: never */
    char text[TEXT_BYTES];
    size_t length;
    size_t blocks_early, blocks_late; /* taken after the 4th token and after the last */
} heard;

static bool listen(int32_t id, const char *text, size_t length, void *user)
{
    heard *all = user;
    all->calls++;
    if (id >= 0 && all->count <= TOKENS) all->ids[all->count++] = id;
    if (all->length + length < TEXT_BYTES) {
        memcpy(all->text + all->length, text, length);
        all->length += length;
        all->text[all->length] = '\0';
    }
    if (all->count == 4 && id >= 0) all->blocks_early = zx_allocation_count();
    if (id >= 0) all->blocks_late = zx_allocation_count();
    return all->stop_after == 0 || all->count < all->stop_after;
}

typedef struct bench {
    zmlx_model *model;
    zmlx_session *session;
    zmlx_tokenizer *tokenizer;
    int32_t prompt[PROMPT];
} bench;

/* A byte-level vocabulary of 'count' tokens, each the number of its id between 't' and 'end'. */
static bool put_tokenizer(const char *folder, size_t count, const char *end)
{
    zx_text text = {0};
    zmlx_status status = zx_text_add_string(
        &text, "{\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
               "\"merges\":[],\"vocab\":{");
    for (size_t i = 0; status == ZMLX_OK && i < count; i++)
        status = zx_text_format(&text, "%s\"t%03zu%s\":%zu", i > 0 ? "," : "", i, end, i);
    if (status == ZMLX_OK) status = zx_text_add_string(&text, "}}}");
    const bool put = status == ZMLX_OK && zx_put_file(folder, "tokenizer.json", text.bytes);
    zx_text_fini(&text);
    return put;
}

static bool open_bench(const char *folder, const char *end, bench *all)
{
    *all = (bench){0};
    const zmlx_session_options options = {.threads = 2, .chunk = 64};
    for (int32_t i = 0; i < PROMPT; i++) all->prompt[i] = i * 5 % 300;
    return zmlx_model_open("tests/golden/llama-4bit-g64", NULL, &all->model) == ZMLX_OK &&
           put_tokenizer(folder, all->model->config.vocabulary, end) &&
           zmlx_tokenizer_open(folder, &all->tokenizer) == ZMLX_OK &&
           zmlx_session_create(all->model, &options, &all->session) == ZMLX_OK;
}

static void close_bench(bench *all)
{
    zmlx_session_destroy(all->session);
    zmlx_tokenizer_close(all->tokenizer);
    zmlx_model_close(all->model);
}

/* Generates and listens; 'options' without the callback. */
static bool generate(const bench *all, zmlx_generate_options options, heard *said,
                     zmlx_generate_result *result)
{
    options.on_token = listen;
    options.user = said;
    if (options.max_tokens == 0) options.max_tokens = TOKENS;
    return zmlx_session_generate(all->session, all->tokenizer, all->prompt, PROMPT, &options,
                                 result) == ZMLX_OK;
}

static void ends_at_the_length(const char *folder)
{
    bench all;
    heard said = {0}, again = {0};
    zmlx_generate_result result = {0}, second = {0};
    char expected[TEXT_BYTES] = "";
    bool ok = open_bench(folder, ";", &all);
    ok = ok && generate(&all, (zmlx_generate_options){.ignore_eos = true}, &said, &result) &&
         generate(&all, (zmlx_generate_options){.ignore_eos = true}, &again, &second);
    close_bench(&all);
    CHECK(ok);
    CHECK(result.finish == ZMLX_FINISH_LENGTH && result.generated_tokens == TOKENS);
    CHECK(result.prompt_tokens == PROMPT && result.cached_tokens == 0);
    CHECK(said.count == TOKENS && said.calls == TOKENS + 1);
    for (size_t i = 0; i < TOKENS; i++)
        (void)snprintf(expected + 5 * i, sizeof expected - 5 * i, "t%03d;", (int)said.ids[i]);
    CHECK(strcmp(said.text, expected) == 0);
    CHECK(said.blocks_late == said.blocks_early);
    /* two pages of 64 are found again, and nothing else changes */
    CHECK(second.cached_tokens == 128 && second.prompt_tokens == PROMPT);
    CHECK(again.count == TOKENS && memcmp(again.ids, said.ids, sizeof said.ids) == 0);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_generation_says_every_token_and_takes_no_memory_for_it)
{
    zx_with_folder(ends_at_the_length);
}

/* The first place from 'from' on where a token comes that did not come before; TOKENS: none. */
static size_t first_new(const heard *said, size_t from)
{
    for (size_t place = from; place < said->count; place++) {
        bool seen = false;
        for (size_t i = 0; i < place; i++) seen = seen || said->ids[i] == said->ids[place];
        if (!seen) return place;
    }
    return TOKENS;
}

static void ends_at_a_stop_text(const char *folder)
{
    bench all;
    heard said = {0}, stopped = {0};
    zmlx_generate_result result = {0};
    char stop[16] = "";
    const char *stops[] = {"never", stop, NULL};
    size_t place = TOKENS;
    bool ok = open_bench(folder, ";", &all);
    ok = ok && generate(&all, (zmlx_generate_options){.ignore_eos = true}, &said, &result);
    if (ok) { /* the stop text lies across the border of two tokens */
        place = first_new(&said, 2);
        (void)snprintf(stop, sizeof stop, "%.2s%.4s", said.text + 5 * place - 2,
                       said.text + 5 * place);
        ok = generate(&all, (zmlx_generate_options){.ignore_eos = true, .stop = stops}, &stopped,
                      &result);
    }
    close_bench(&all);
    CHECK(ok && place < TOKENS);
    CHECK(result.finish == ZMLX_FINISH_STOP && result.generated_tokens == place + 1);
    CHECK(stopped.count == place + 1 && stopped.length == 5 * place - 2);
    CHECK(memcmp(stopped.text, said.text, stopped.length) == 0);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_stop_text_ends_a_generation_across_tokens)
{
    zx_with_folder(ends_at_a_stop_text);
}

/* Every token ends with the first byte of a character, which comes out, as U+FFFD, only when no
 * further token comes. */
static void ends_at_the_flush(const char *folder)
{
    bench all;
    heard said = {0}, plain = {0}, cancelled = {0};
    zmlx_generate_result result = {0}, without = {0}, cut = {0};
    const char *stops[] = {"\xef\xbf\xbd", NULL};
    zmlx_generate_options options = {.ignore_eos = true, .max_tokens = 1, .stop = stops};
    bool ok = open_bench(folder, "\xc3\xa2", &all) && generate(&all, options, &said, &result);
    cancelled.stop_after = 1;
    ok = ok && generate(&all, options, &cancelled, &cut);
    options.stop = NULL;
    ok = ok && generate(&all, options, &plain, &without);
    close_bench(&all);
    CHECK(ok);
    CHECK(without.finish == ZMLX_FINISH_LENGTH && plain.length == 7);
    CHECK(memcmp(plain.text + 4, "\xef\xbf\xbd", 3) == 0);
    CHECK(result.finish == ZMLX_FINISH_STOP && said.length == 4);
    CHECK(cut.finish == ZMLX_FINISH_CANCELLED && cancelled.length == 4);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_stop_text_that_the_flush_completes_is_why_it_ended)
{
    zx_with_folder(ends_at_the_flush);
}

static void ends_at_an_end_token(const char *folder)
{
    bench all;
    heard said = {0}, ended = {0}, first = {0};
    zmlx_generate_result result = {0}, at_once = {0};
    int32_t ends[2] = {-1, 0};
    size_t place = TOKENS;
    bool ok = open_bench(folder, ";", &all);
    ok = ok && generate(&all, (zmlx_generate_options){.ignore_eos = true}, &said, &result);
    if (ok) {
        place = first_new(&said, 3);
        ends[1] = said.ids[place < TOKENS ? place : 0];
        all.model->end_ids = ends;
        all.model->end_count = 2;
        ok = generate(&all, (zmlx_generate_options){0}, &ended, &result);
        ends[1] = said.ids[0];
        ok = ok && generate(&all, (zmlx_generate_options){0}, &first, &at_once);
    }
    close_bench(&all);
    CHECK(ok && place < TOKENS);
    CHECK(result.finish == ZMLX_FINISH_STOP && result.generated_tokens == place);
    CHECK(ended.count == place && ended.length == 5 * place); /* the end token is not text */
    CHECK(at_once.finish == ZMLX_FINISH_STOP && at_once.generated_tokens == 0);
    CHECK(first.count == 0 && first.calls == 1 && first.length == 0);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(an_end_token_ends_a_generation)
{
    zx_with_folder(ends_at_an_end_token);
}

static void ends_where_the_caller_says(const char *folder)
{
    bench all;
    heard said = {.stop_after = 3}, whole = {0};
    zmlx_generate_result result = {0}, after = {0};
    bool ok = open_bench(folder, ";", &all);
    ok = ok && generate(&all, (zmlx_generate_options){.ignore_eos = true}, &said, &result) &&
         generate(&all, (zmlx_generate_options){.ignore_eos = true}, &whole, &after);
    close_bench(&all);
    CHECK(ok);
    CHECK(result.finish == ZMLX_FINISH_CANCELLED && result.generated_tokens == 3);
    CHECK(said.count == 3 && said.length == 15 && said.calls == 4);
    CHECK(after.finish == ZMLX_FINISH_LENGTH && whole.count == TOKENS);
    CHECK(memcmp(whole.ids, said.ids, 3 * sizeof said.ids[0]) == 0);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_caller_ends_a_generation_and_the_session_lives_on)
{
    zx_with_folder(ends_where_the_caller_says);
}
