/* fidelity_test.c - the promise that logits depend on nothing but model, tokens and precision.
 *
 * One reference run (unfused, whole, one thread, alone, fresh, plain C) is compared bit by bit with
 * every combination of {fused, unfused} x {chunk 1, 7, 64, all} x {threads 1, 2, 3} x {alone,
 * batched with others} x {fresh, prefix hit} x {each instruction set this machine has}.  Three
 * models meet every combination; all the others, and prompts that are longer than a span of keys,
 * every 55th.  A model of dense bf16 weights makes no promise on instruction sets: there each has a
 * reference run. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/test.h"
#include "serve/goldens.h"
#include "serve/session.h"
#include "tensor/dtype.h"

enum { SHORT = 70, SPAN = ZX_SPAN_TILES * ZX_PAGE_TOKENS, LONG = SPAN + 20 };
enum { OTHERS = 1, VOCABULARY_MAX = 512, MAX_STEP = 2 * LONG + OTHERS };

/* Strides have no factor in common with the number of any one's choices (2, 3, 4), so that each
 * choice is still met with each other. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FULL = 7, FEW = 125 };
#else
enum { FULL = 1, FEW = 55 };
#endif

static const char *const full_models[] = {"llama", "llama-4bit-g64", "mixtral-4bit-g64",
                                          "lfm2_moe-bias", "qwen3_next-shared"};
/* some of them, and one whose linear attention has projections apart */
static const char *const long_models[] = {"llama", "llama-4bit-g64", "lfm2", "qwen3_next-shared",
                                          "qwen3_5-text"};
static const zx_precision precisions[] = {ZX_PRECISION_F32, ZX_PRECISION_Q16, ZX_PRECISION_Q8};
static const size_t chunks[] = {1, 7, 64, LONG};

typedef struct variant {
    bool fused, batched, prefix_hit;
    size_t chunk, threads;
    uint32_t isa;
} variant;

static size_t length; /* of each prompt */
static int32_t ids[1 + OTHERS][LONG];
static float expected[LONG][VOCABULARY_MAX], got[LONG][VOCABULARY_MAX];

static void draw_ids(size_t vocabulary)
{
    for (size_t s = 0; s < 1 + OTHERS; s++)
        for (size_t i = 0; i < length; i++) ids[s][i] = (int32_t)zx_test_below(vocabulary);
}

/* Feeds sequence 0 from where it is, with 'others' beside it in the same steps. */
static bool feed(zx_engine *engine, zx_sequence sequences[], const variant *v)
{
    const size_t vocabulary = zx_engine_vocabulary(engine);
    while (sequences[0].length < length) {
        zx_feed feeds[1 + OTHERS];
        size_t count = 0;
        const size_t at = sequences[0].length;
        size_t own_row = 0;
        for (size_t s = 0; s < 1 + OTHERS; s++) {
            const size_t place = v->batched ? OTHERS - s : s; /* the others stand before it */
            const size_t done = sequences[place].length;
            const size_t step = v->chunk + place; /* of other lengths than its own */
            const size_t tokens = length - done < step ? length - done : step;
            if ((place != 0 && !v->batched) || tokens == 0) continue;
            const size_t sampled = place == 0 ? tokens : 1;
            feeds[count++] = (zx_feed){&sequences[place], ids[place] + done, tokens, sampled};
            if (place != 0) own_row++;
        }
        if (zx_engine_step(engine, feeds, count) != ZMLX_OK) return false;
        for (size_t row = 0; at + row < sequences[0].length; row++)
            memcpy(got[at + row], zx_engine_logits(engine, own_row + row),
                   vocabulary * sizeof(float));
    }
    return true;
}

/* Whether all pages and states are back, snapshots included. */
static bool all_is_back(const zx_cache *cache)
{
    return zx_blocks_free_count(cache->blocks) == cache->pages.page_count - 1 &&
           zx_blocks_check(cache->blocks) == ZMLX_OK &&
           (cache->states == NULL ||
            (zx_states_left(cache->states) == cache->pages.states.slot_count - 1 &&
             zx_states_check(cache->states) == ZMLX_OK));
}

static bool run(const zmlx_model *model, zx_precision precision, const variant *v, size_t *first)
{
    const zx_engine_options options = {.threads = v->threads,
                                       .precision = precision,
                                       .kv_dtype = precision == ZX_PRECISION_F32 ? ZX_F32 : ZX_F16,
                                       .no_fuse = !v->fused,
                                       .pages = 2 * (2 * LONG / ZX_PAGE_TOKENS + 2),
                                       .limits = {MAX_STEP, 1 + OTHERS, LONG + OTHERS}};
    zx_engine *engine = NULL;
    zx_sequence sequences[1 + OTHERS] = {{0}};
    zx_cpu_limit(v->isa);
    bool ok = zx_engine_create(&model->graph, &model->layers, &options, &engine) == ZMLX_OK;
    for (size_t s = 0; ok && s < 1 + OTHERS; s++)
        ok = zx_engine_open_sequence(engine, length, length, &sequences[s]) == ZMLX_OK;
    if (ok && v->prefix_hit) { /* an earlier life of the same tokens leaves its pages */
        ok = feed(engine, sequences, v);
        for (size_t s = 0; ok && s < 1 + OTHERS; s++) {
            zx_sequence_close(zx_engine_cache(engine), &sequences[s]);
            ok = zx_engine_open_sequence(engine, length, length, &sequences[s]) == ZMLX_OK;
        }
        memset(got, 0xff, sizeof got);
        if (ok) zx_sequence_reuse(zx_engine_cache(engine), &sequences[0], ids[0], length);
        ok = ok && sequences[0].length == (length - 1) / ZX_PAGE_TOKENS * ZX_PAGE_TOKENS;
    }
    *first = sequences[0].length;
    ok = ok && feed(engine, sequences, v);
    for (size_t s = 0; engine != NULL && s < 1 + OTHERS; s++)
        zx_sequence_close(zx_engine_cache(engine), &sequences[s]);
    ok = ok && all_is_back(zx_engine_cache(engine));
    zx_engine_destroy(engine);
    zx_cpu_limit(UINT32_MAX);
    return ok;
}

static bool same(size_t first, size_t vocabulary)
{
    for (size_t i = first; i < length; i++)
        if (memcmp(got[i], expected[i], vocabulary * sizeof(float)) != 0) return false;
    return true;
}

static const uint32_t levels[] = {0, ZX_CPU_AVX2, ZX_CPU_AVX2 | ZX_CPU_AVX512, UINT32_MAX};

/* The variant with this number; false past the last. */
static bool nth_variant(size_t n, variant *v)
{
    const size_t radix[] = {2, 2, 2, 4, 3, 4};
    size_t digit[6];
    for (size_t i = 0; i < 6; i++) {
        digit[i] = n % radix[i];
        n /= radix[i];
    }
    *v = (variant){digit[0] == 1,    digit[1] == 1, digit[2] == 1,
                   chunks[digit[3]], digit[4] + 1,  levels[digit[5]]};
    return n == 0;
}

/* Compares every 'stride'-th variant with a reference run of 'isa', or only those of 'isa'. */
static bool variants_hold(const zmlx_model *model, zx_precision precision, uint32_t isa,
                          bool only_isa, size_t stride, char subject[200])
{
    variant v = {.chunk = LONG, .threads = 1, .isa = isa};
    size_t first = 0;
    const size_t vocabulary = model->config.vocabulary;
    if (vocabulary > VOCABULARY_MAX) return false;
    draw_ids(vocabulary);
    bool ok = run(model, precision, &v, &first);
    memcpy(expected, got, sizeof got);
    for (size_t n = 0; ok && nth_variant(n, &v); n += stride) {
        if (only_isa && v.isa != isa) continue;
        memset(got, 0xff, sizeof got);
        ok = run(model, precision, &v, &first) && same(first, vocabulary);
        (void)snprintf(
            subject, 200,
            "%s precision %d tokens %zu fused %d batched %d prefix %d chunk %zu threads %zu isa %x",
            zx_checkpoint_path(model->checkpoint), (int)precision, length, v.fused, v.batched,
            v.prefix_hit, v.chunk, v.threads, v.isa);
    }
    return ok;
}

/* Dense f32 weights have no integer form: their precisions are one. */
static bool model_holds(const char *name, size_t tokens, size_t stride, char subject[200])
{
    char path[100];
    zmlx_model *model = NULL;
    length = tokens;
    (void)snprintf(path, sizeof path, "tests/golden/%s", name);
    bool ok = zmlx_model_open(path, NULL, &model) == ZMLX_OK;
    (void)snprintf(subject, 200, "%s: %.80s", path, ok ? "" : zmlx_error_message());
    const bool dense =
        ok && json_object_get(zx_checkpoint_config(model->checkpoint), "quantization") == NULL;
    const size_t count = dense ? 1 : sizeof precisions / sizeof precisions[0];
    for (size_t p = 0; ok && p < count; p++)
        ok = variants_hold(model, precisions[p], 0, false, stride, subject);
    zmlx_model_close(model);
    return ok;
}

static bool is_full(const char *name)
{
    for (size_t i = 0; i < sizeof full_models / sizeof full_models[0]; i++)
        if (strcmp(full_models[i], name) == 0) return true;
    return false;
}

TEST_MARKED(logits_depend_on_nothing_but_model_tokens_and_precision, "numbers")
{
    char subject[200];
    zx_goldens goldens;
    size_t full = 0;
    CHECK(zx_goldens_list(&goldens));
    for (size_t i = 0; i < goldens.count; i++) {
        const char *name = goldens.names[i];
        full += is_full(name);
        CHECK_ON(subject, model_holds(name, SHORT, is_full(name) ? FULL : FEW, subject));
    }
    CHECK(full == sizeof full_models / sizeof full_models[0]);
}

/* Spans of keys are folded each for itself and then merged. */
TEST_MARKED(logits_behind_the_border_of_two_spans_depend_on_nothing_else_either, "slow")
{
    char subject[200];
    for (size_t i = 0; i < sizeof long_models / sizeof long_models[0]; i++)
        CHECK_ON(subject, model_holds(long_models[i], LONG, FEW, subject));
}

/* Makes the f32 matrices of a graph bf16. */
static bool narrow_weights(zx_graph *graph)
{
    for (zx_node *node = graph->first; node != NULL; node = node->next) {
        if (node->op != ZX_OP_WEIGHT || node->weight->rows == 1) continue;
        const size_t row = node->weight->columns, count = node->weight->rows * row;
        void *weight = NULL, *values = NULL;
        if (zx_arena_alloc(&graph->arena, sizeof *node->weight, &weight) != ZMLX_OK ||
            zx_arena_alloc(&graph->arena, count * sizeof(uint16_t), &values) != ZMLX_OK)
            return false;
        for (size_t i = 0; i < count; i++) {
            const uint8_t *from = node->weight->codes + i / row * node->weight->codes_stride;
            zx_store(ZX_BF16, values, i, zx_load(ZX_F32, from, i % row));
        }
        zx_weight *narrow = weight;
        *narrow = *node->weight;
        narrow->format = ZX_FORMAT_BF16;
        narrow->dtype = ZX_BF16;
        narrow->bits = 16;
        narrow->codes = values;
        narrow->codes_stride = row * sizeof(uint16_t);
        node->weight = narrow;
    }
    return true;
}

TEST_MARKED(logits_of_dense_bf16_models_depend_on_the_instruction_set_at_most, "numbers")
{
    const zmlx_model_options options = {.dtype = ZMLX_DTYPE_BF16};
    char subject[200] = "";
    zmlx_model *model = NULL;
    CHECK(zmlx_model_open("tests/golden/llama", &options, &model) == ZMLX_OK);
    length = SHORT;
    bool ok = narrow_weights(&model->graph);
    for (size_t i = 0; ok && i < sizeof levels / sizeof levels[0]; i++)
        ok = variants_hold(model, ZX_PRECISION_F32, levels[i], true, FULL, subject);
    zmlx_model_close(model);
    CHECK_ON(subject, ok);
}
