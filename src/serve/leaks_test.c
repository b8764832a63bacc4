/* leaks_test.c - memory that stays the same, tag by tag: over thousands of decoded tokens, over
 * sequences, sessions and models that are opened and closed again, over models that are refused,
 * and whichever allocation fails. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/ledger_testing.h"
#include "base/memory.h"
#include "base/test.h"
#include "model/make_files.h"
#include "serve/goldens.h"
#include "serve/session.h"

enum { PROMPT = 10, STEPS = 100, ROUNDS = 20 };

static zx_ledger before, after;

static const char *difference(bool taken)
{
    zx_ledger_read(&after);
    return zx_ledger_difference(&before, &after, taken);
}

/* Descriptors of this process, with that of the folder itself; 0 where the system does not say. */
static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) return 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count;
}

/* -------- steady steps -------- */

/* A sequence of its own, with a prompt. */
static bool begin(zmlx_session *session, int32_t from)
{
    int32_t ids[PROMPT];
    for (int32_t i = 0; i < PROMPT; i++) ids[i] = (from + i) % 60;
    return zx_session_begin(session, ids, PROMPT, 0, true) == ZMLX_OK &&
           zx_session_feed(session, ids + session->sequence.length,
                           PROMPT - session->sequence.length) == ZMLX_OK;
}

static bool decode(zmlx_session *session, size_t steps)
{
    bool ok = true;
    for (size_t i = 0; ok && i < steps; i++) {
        const int32_t id = zx_most_likely(zx_engine_logits(session->engine, 0), 60);
        ok = zx_session_feed(session, &id, 1) == ZMLX_OK;
    }
    return ok;
}

/* A sequence takes what the one before it gave back; a step takes nothing at all. */
static const char *decode_rounds(zmlx_session *session)
{
    static zx_ledger begun;
    if (!begin(session, 0) || !decode(session, STEPS)) return zmlx_error_message();
    zx_ledger_read(&before);
    for (int32_t round = 0; round < ROUNDS; round++) {
        if (!begin(session, round % 7)) return zmlx_error_message();
        zx_ledger_read(&begun);
        if (!decode(session, STEPS)) return zmlx_error_message();
        const char *trouble = difference(false);
        if (trouble == NULL) trouble = zx_ledger_difference(&begun, &after, true);
        if (trouble != NULL) return trouble;
    }
    return NULL;
}

static const char *hold_steady(const char *path)
{
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    const zmlx_session_options options = {.threads = 2, .context = 112};
    const char *trouble = NULL;
    if (zmlx_model_open(path, NULL, &model) != ZMLX_OK ||
        zmlx_session_create(model, &options, &session) != ZMLX_OK)
        trouble = zmlx_error_message();
    else
        trouble = decode_rounds(session);
    zmlx_session_destroy(session);
    zmlx_model_close(model);
    return trouble;
}

TEST(two_thousand_steps_hold_the_same_memory)
{
    static const char *const models[] = {"llama-4bit-g64", "gpt_oss-4bit-g32", "deepseek_v3-groups",
                                         "gemma4", "llama-dynamic"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char path[200];
        (void)snprintf(path, sizeof path, "tests/golden/%s", models[i]);
        zx_ledger_start();
        const char *trouble = hold_steady(path);
        zx_ledger_stop();
        CHECK_ON(trouble != NULL ? trouble : models[i], trouble == NULL);
    }
}

/* -------- opened and closed -------- */

static const char *open_and_close(const char *path)
{
    zmlx_model *model = NULL;
    zmlx_session *sessions[2] = {NULL, NULL};
    zmlx_string graph = {0};
    const zmlx_session_options options = {.threads = 2, .context = 64};
    bool ok = zmlx_model_open(path, NULL, &model) == ZMLX_OK &&
              zmlx_model_print_graph(model, &(zmlx_graph_options){0}, &graph) == ZMLX_OK;
    for (size_t i = 0; ok && i < 2; i++)
        ok = zmlx_session_create(model, &options, &sessions[i]) == ZMLX_OK &&
             begin(sessions[i], 0) && decode(sessions[i], 3) && begin(sessions[i], 1) &&
             decode(sessions[i], 3);
    const char *trouble = ok ? NULL : zmlx_error_message();
    zmlx_session_destroy(sessions[0]);
    zmlx_session_destroy(sessions[1]);
    zmlx_string_free(&graph);
    zmlx_model_close(model);
    return trouble != NULL ? trouble : difference(false);
}

TEST(models_that_are_closed_leave_nothing)
{
    zx_goldens goldens;
    CHECK(zx_goldens_list(&goldens));
    const size_t descriptors = count_descriptors();
    for (size_t i = 0; i < goldens.count; i++) {
        char path[200];
        (void)snprintf(path, sizeof path, "tests/golden/%s", goldens.names[i]);
        zx_ledger_start();
        zx_ledger_read(&before);
        const char *trouble = open_and_close(path);
        zx_ledger_stop();
        CHECK_ON(trouble != NULL ? trouble : path, trouble == NULL);
    }
    CHECK(count_descriptors() == descriptors);
}

/* -------- refused -------- */

/* That it is refused, and what is held then. */
static const char *refuse(const char *path)
{
    zmlx_model *model = NULL;
    zmlx_string json = {0};
    zx_ledger_read(&before);
    const zmlx_status status = zmlx_model_open(path, NULL, &model);
    zmlx_model_close(model);
    if (status == ZMLX_OK) return "it is not refused";
    if (zmlx_inspect(path, &json) == ZMLX_OK) zmlx_string_free(&json);
    return difference(false);
}

static const char *refuse_bytes(const char *path, const void *bytes, size_t count)
{
    const bool written = zx_write_text(path, bytes, count);
    zx_ledger_start();
    const char *trouble = written ? refuse(path) : "it cannot be written";
    zx_ledger_stop();
    return trouble;
}

TEST(a_refused_gguf_leaves_nothing)
{
    static const char *const skips[] = {"general.architecture",   "llama.block_count",
                                        "llama.embedding_length", "llama.attention.head_count",
                                        "token_embd.weight",      "blk.0.attn_q.weight",
                                        "blk.0.ffn_down.weight",  "output_norm.weight"};
    zx_gguf_maker maker = {0};
    const char *const path = zx_test_scratch(), *trouble = NULL;
    for (size_t i = 0; trouble == NULL && i < sizeof skips / sizeof skips[0]; i++) {
        trouble = zx_make_llama(&maker, skips[i])
                      ? refuse_bytes(path, maker.file.bytes, maker.file.length)
                      : "no memory";
        zx_gguf_maker_fini(&maker);
    }
    if (trouble == NULL && !zx_make_llama(&maker, NULL)) trouble = "no memory";
    for (size_t cut = 0; trouble == NULL && cut < maker.file.length; cut += 1 + cut / 10)
        trouble = refuse_bytes(path, maker.file.bytes, cut);
    zx_gguf_maker_fini(&maker);
    CHECK_ON(trouble != NULL ? trouble : "", trouble == NULL);
    CHECK(zx_test_live_blocks() == 0);
}

static const char *refuse_config(const char *folder, const char *config)
{
    const bool written = zx_put_file(folder, "config.json", config);
    zx_ledger_start();
    const char *trouble = written ? refuse(folder) : "it cannot be written";
    zx_ledger_stop();
    return trouble;
}

static void refuse_folder(const char *folder)
{
    static const char header[] =
        "{\"model.embed_tokens.weight\":{\"dtype\":\"F32\",\"shape\":[4,8],\"data_offsets\":[0,128]"
        "},"
        "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[128,160]}}";
    static const char *const configs[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"architectures\":[\"Unheard\"]}",
        "{\"architectures\":[\"LlamaForCausalLM\"]}",
        "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,\"intermediate_size\":8,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"vocab_size\":4,\"rms_norm_eps\":1e-5}",
        "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,\"intermediate_size\":8,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"vocab_size\":4,\"rms_norm_eps\":1e-5,"
        "\"rope_scaling\":{\"rope_type\":\"longrope\",\"short_factor\":[1],\"long_factor\":3}}",
        "{\"architectures\":[\"Gemma3ForCausalLM\"],\"quantization\":{\"bits\":9}}"};
    zx_text file = {0};
    const bool made =
        zx_make_safetensors(&file, header, 160) &&
        zx_write_text(zx_in_folder(folder, "model.safetensors"), file.bytes, file.length);
    zx_text_fini(&file);
    CHECK(made);
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        const char *trouble = refuse_config(folder, configs[i]);
        CHECK_ON(trouble != NULL ? trouble : configs[i], trouble == NULL);
    }
}

TEST(a_refused_folder_leaves_nothing)
{
    zx_with_folder(refuse_folder);
    CHECK(zx_test_live_blocks() == 0);
}

/* -------- failing -------- */

static bool generate(const zmlx_model *model, const zmlx_tokenizer *tokenizer,
                     const zmlx_session_options *options)
{
    static const char *const stops[] = {"bbb", NULL};
    const zmlx_generate_options how = {
        .max_tokens = 8, .ignore_eos = true, .temperature = 1, .top_p = 0.9F, .stop = stops};
    zmlx_session *session = NULL;
    zmlx_generate_result result;
    zmlx_ids ids = {0};
    bool ok = zmlx_tokenizer_encode(tokenizer, "abba", 4, true, &ids) == ZMLX_OK &&
              zmlx_session_create(model, options, &session) == ZMLX_OK;
    for (size_t i = 0; ok && i < 2; i++)
        ok = zmlx_session_generate(session, tokenizer, ids.items, ids.count, &how, &result) ==
             ZMLX_OK;
    zmlx_session_destroy(session);
    zmlx_ids_free(&ids);
    return ok;
}

static bool use_all(const char *path)
{
    zmlx_model *model = NULL;
    zmlx_tokenizer *tokenizer = NULL;
    const bool ok = zmlx_model_open(path, NULL, &model) == ZMLX_OK &&
                    zmlx_tokenizer_open(path, &tokenizer) == ZMLX_OK &&
                    generate(model, tokenizer, &(zmlx_session_options){.threads = 2});
    zmlx_tokenizer_close(tokenizer);
    zmlx_model_close(model);
    return ok;
}

/* Fails the 1st, 2nd, ... allocation, until there is none to fail. */
static const char *fail_each(const char *path, size_t *failed)
{
    for (*failed = 0; *failed < 20000; ++*failed) {
        zx_ledger_read(&before);
        const size_t count = zx_allocation_count();
        zx_test_fail_allocation(*failed + 1);
        const bool ok = use_all(path);
        zx_test_fail_allocation(0);
        const char *trouble = difference(false);
        if (trouble != NULL) return trouble;
        if (ok && zx_allocation_count() - count <= *failed) return NULL;
    }
    return "it never succeeds";
}

TEST_MARKED(whichever_allocation_fails_nothing_is_left, "slow")
{
    zx_gguf_maker maker = {0};
    const char *const path = zx_test_scratch();
    size_t failed = 0;
    const bool written =
        zx_make_llama(&maker, NULL) && zx_write_text(path, maker.file.bytes, maker.file.length);
    zx_gguf_maker_fini(&maker);
    CHECK(written);
    zx_ledger_start();
    const char *trouble = fail_each(path, &failed);
    zx_ledger_stop();
    char subject[300];
    (void)snprintf(subject, sizeof subject, "allocation %zu: %s", failed + 1,
                   trouble != NULL ? trouble : "");
    CHECK_ON(subject, trouble == NULL);
    CHECK(failed > 100);
}
