/* session_test.c - what a session says it needs, and what it then takes. */
#include <dirent.h>
#include <string.h>

#include "base/test.h"
#include "model/make_files.h"
#include "model/safetensors.h"
#include "serve/session.h"

static const char golden[] = "tests/golden/llama-4bit-g64";

/* Threads of this process; 0 where the system does not say. */
static size_t count_threads(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL) return 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count;
}

/* The allocator of the test, looking at each block how many threads there are. */
static size_t most_threads;

static void *watching_alloc(size_t bytes, void *user)
{
    const zmlx_allocator *inner = user;
    const size_t threads = count_threads();
    if (threads > most_threads) most_threads = threads;
    return inner->alloc(bytes, inner->user);
}

static void inner_free(void *memory, void *user)
{
    const zmlx_allocator *inner = user;
    inner->free(memory, inner->user);
}

TEST(an_estimate_is_what_a_session_takes_and_starts_no_thread)
{
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    zmlx_memory memory = {0};
    const zmlx_session_options options = {.threads = 5, .context = 200, .chunk = 32};
    if (count_threads() == 0) SKIP("/proc/self/task is not there");
    CHECK(zmlx_model_open(golden, NULL, &model) == ZMLX_OK);
    zmlx_allocator inner = zx_test_allocator();
    const zmlx_allocator watching = {watching_alloc, inner_free, &inner};
    const size_t before = count_threads();
    most_threads = 0;
    zmlx_set_allocator(&watching);
    zmlx_status status = zmlx_session_estimate(model, &options, &memory);
    const size_t during = most_threads;
    if (status == ZMLX_OK) status = zmlx_session_create(model, &options, &session);
    zmlx_set_allocator(&inner);
    CHECK(status == ZMLX_OK);
    CHECK(during == before && most_threads > before);
    CHECK(memory.weights == model->weight_bytes);
    CHECK(memory.activations == zx_engine_activations(session->engine));
    const zx_kv_pages *pages = &zx_engine_cache(session->engine)->pages;
    size_t tables = 0, tokens = 0;
    CHECK(zx_blocks_bytes(pages->page_count, &tables) == ZMLX_OK);
    CHECK(zx_sequence_bytes(200, &tokens) == ZMLX_OK);
    CHECK(memory.kv == pages->page_bytes * pages->page_count + tables + tokens +
                           (pages->layer_count + 1) * sizeof(zx_kv_layer));
    zmlx_session_destroy(session);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_session_that_does_not_fit_is_refused_with_the_figures)
{
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    CHECK(zmlx_model_open(golden, NULL, &model) == ZMLX_OK);
    const zmlx_session_options options = {.context = (size_t)1 << 30};
    zmlx_memory memory = {0};
    CHECK(zmlx_session_estimate(model, &options, &memory) == ZMLX_OK);
    if (memory.kv <= memory.available) {
        zmlx_model_close(model);
        SKIP("this machine has room for any context");
    }
    CHECK(zmlx_session_create(model, &options, &session) == ZMLX_ERROR_MEMORY && session == NULL);
    CHECK(strstr(zmlx_error_message(), "keys and values for 1073741824 tokens") != NULL);
    CHECK(strstr(zmlx_error_message(), "MiB available; use a smaller context") != NULL);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

/* A context for which a session takes 60 % of what is available, so that two do not fit. */
static zmlx_status find_large_context(const zmlx_model *model, size_t *context, zmlx_memory *memory)
{
    zmlx_session_options options = {.context = 1 << 20, .threads = 1};
    const zmlx_status status = zmlx_session_estimate(model, &options, memory);
    if (status != ZMLX_OK) return status;
    const double share = 0.6 * (double)memory->available / (double)memory->kv;
    *context = (size_t)(share * (1 << 20));
    options.context = *context;
    return zmlx_session_estimate(model, &options, memory);
}

TEST(sessions_of_one_call_must_fit_together)
{
    zmlx_model *model = NULL;
    zmlx_validation result;
    zmlx_memory memory;
    size_t context = 0;
    CHECK(zmlx_model_open(golden, NULL, &model) == ZMLX_OK);
    CHECK(find_large_context(model, &context, &memory) == ZMLX_OK);
    if (context > (size_t)1 << 30) {
        zmlx_model_close(model);
        SKIP("this machine has room for any two contexts");
    }
    CHECK(memory.weights + memory.kv + memory.activations < memory.available);
    const zmlx_session_options options[] = {{.context = context, .threads = 1},
                                            {.context = context, .threads = 1}};
    CHECK(zx_session_check_together(model, options, 1) == ZMLX_OK);
    CHECK(zx_session_check_together(model, options, 2) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "MiB needed by 2 sessions at once (weights") != NULL);
    CHECK(zmlx_validate(model, options, NULL, 0, &result) == ZMLX_ERROR_MEMORY);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_batch_whose_size_wraps_is_refused)
{
    zmlx_model *model = NULL;
    zx_engine_options options;
    size_t context = 0, bytes = 0;
    CHECK(zmlx_model_open(golden, NULL, &model) == ZMLX_OK);
    CHECK(zx_session_resolve(model, &(zmlx_session_options){.threads = 1}, &options, &context) ==
          ZMLX_OK);
    CHECK(zx_engine_activation_bytes(&model->graph, &model->layers, &options, &bytes) == ZMLX_OK);
    options.pages = SIZE_MAX / 2 + 1; /* times two sequences: 0 */
    options.limits.sequences = 2;
    CHECK(zx_engine_activation_bytes(&model->graph, &model->layers, &options, &bytes) ==
          ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "a batch of 256 tokens, 2 sequences") != NULL);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

/* The golden llama with one matrix as FP8. */
static bool put_foreign(const char *folder)
{
    static const char name[] = "model.layers.0.mlp.gate_proj.weight";
    static const float scale = 0.0078125F;
    uint8_t codes[128 * 64];
    zx_stored_tensor tensors[64];
    zx_checkpoint *from = NULL;
    size_t count = 0;
    bool used = false;
    memset(codes, 0x38, sizeof codes); /* 1 */
    if (zx_checkpoint_open("tests/golden/llama", &from) != ZMLX_OK) return false;
    for (; count < zx_checkpoint_count(from) && count < 63; count++) {
        tensors[count] = *zx_checkpoint_tensor(from, count, &used);
        if (strcmp(tensors[count].name, name) != 0) continue;
        tensors[count].dtype = ZX_F8_E4M3;
        tensors[count].data = codes;
        tensors[count].bytes = sizeof codes;
    }
    tensors[count++] = (zx_stored_tensor){.name = "model.layers.0.mlp.gate_proj.weight_scale",
                                          .name_length = strlen(name) + 6,
                                          .rank = 1,
                                          .shape = {1},
                                          .data = (const uint8_t *)&scale,
                                          .bytes = sizeof scale};
    json_t *config = json_deep_copy(zx_checkpoint_config(from));
    bool good = json_object_set_new(config, "quantization_config",
                                    json_pack("{s:s}", "quant_method", "fp8")) == 0;
    good =
        good && json_dump_file(config, zx_in_folder(folder, "config.json"), 0) == 0 &&
        zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors, count) == ZMLX_OK;
    json_decref(config);
    zx_checkpoint_close(from);
    return good;
}

static void makes_after_the_check(const char *folder)
{
    zmlx_model *model = NULL;
    zmlx_session *first = NULL, *second = NULL;
    zmlx_memory before = {0};
    const zmlx_session_options options = {.context = 64, .threads = 2};
    const zmlx_session_options large = {.context = (size_t)1 << 30};
    if (!put_foreign(folder) || zmlx_model_open(folder, NULL, &model) != ZMLX_OK) return;
    const zmlx_status estimated = zmlx_session_estimate(model, &large, &before);
    const bool fits = before.kv <= before.available;
    const zmlx_status refused =
        fits ? ZMLX_ERROR_MEMORY : zmlx_session_create(model, &large, &first);
    const size_t nothing = zx_checkpoint_made(model->checkpoint);
    const zmlx_status created = zmlx_session_create(model, &options, &first);
    const size_t made = zx_checkpoint_made(model->checkpoint);
    const zmlx_status again = zmlx_session_create(model, &options, &second);
    zmlx_session_destroy(first);
    zmlx_session_destroy(second);
    zmlx_model_close(model);
    CHECK(estimated == ZMLX_OK && refused == ZMLX_ERROR_MEMORY && nothing == 0);
    CHECK(created == ZMLX_ERROR_MEMORY || (created == ZMLX_OK && made == (size_t)2 * 128 * 64));
    CHECK(again == created || again == ZMLX_ERROR_MEMORY);
}

TEST(weights_of_other_quantizers_are_made_after_the_memory_check)
{
    zx_with_folder(makes_after_the_check);
    CHECK(zx_test_live_blocks() == 0);
}
