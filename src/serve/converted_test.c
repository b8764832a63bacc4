/* converted_test.c - GGUF files of families whose layers keep a state, written as folders, must
 * give the logits that they give themselves. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/make_files.h"
#include "serve/session.h"
#include "zmlx/convert.h"

enum { TOKENS = 9, MOST = 4096 };

typedef struct rows {
    float values[MOST];
    size_t count;
} rows;

static zmlx_status take_rows(size_t first, size_t count, const float *logits, void *user)
{
    rows *all = user;
    (void)first;
    const size_t more = count * 96; /* the goldens' vocabulary */
    if (all->count + more > MOST) return ZMLX_ERROR_MEMORY;
    memcpy(all->values + all->count, logits, more * sizeof(float));
    all->count += more;
    return ZMLX_OK;
}

static zmlx_status run(const char *path, rows *all)
{
    static const int32_t ids[TOKENS] = {1, 17, 5, 80, 5, 33, 2, 64, 9};
    const zmlx_session_options options = {
        .threads = 1, .context = 64, .precision = ZMLX_PRECISION_F32};
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    all->count = 0;
    zmlx_status status = zmlx_model_open(path, NULL, &model);
    if (status == ZMLX_OK && model->config.vocabulary != 96) status = ZMLX_ERROR_SHAPE;
    if (status == ZMLX_OK) status = zmlx_session_create(model, &options, &session);
    if (status == ZMLX_OK) status = zmlx_session_logits(session, ids, TOKENS, 0, take_rows, all);
    zmlx_session_destroy(session);
    zmlx_model_close(model);
    return status;
}

/* Columns of Qwen3.5's out_proj are added in another order; all else has the same bits. */
static bool alike(const rows *a, const rows *b, bool bits)
{
    double most = 0, off = 0;
    if (a->count != b->count || a->count == 0) return false;
    if (bits) return memcmp(a->values, b->values, a->count * sizeof(float)) == 0;
    for (size_t i = 0; i < a->count; i++) {
        most = fmax(most, fabs((double)a->values[i]));
        off = fmax(off, fabs((double)a->values[i] - (double)b->values[i]));
    }
    return off <= 1e-5 * most;
}

static void gives_the_same_logits(const char *folder)
{
    static const struct {
        const char *name;
        bool bits;
    } files[] = {
        {"lfm2", true},
        {"lfm2-q8_0", true},
        {"lfm2-bias", true},
        {"lfm2moe", true},
        {"lfm2moe-plain", true},
        {"qwen3next", true},
        {"qwen3next-sizes", true},
        {"qwen3next-together", true},
        {"qwen35", false},
        {"qwen35-f16", false},
        {"qwen35-nextn", false},
        {"qwen35-vision", false},
        {"qwen35moe", false},
        {"qwen35moe-tiled", false},
        {"qwen35moe-sizes", false},
    };
    static rows before, after;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char source[128], target[1024];
        (void)snprintf(source, sizeof source, "tests/golden/gguf/%s.gguf", files[i].name);
        (void)snprintf(target, sizeof target, "%s", zx_in_folder(folder, "out"));
        const zmlx_convert_options options = {.dtype = ZMLX_DTYPE_F32, .threads = 1};
        zmlx_status status = zmlx_convert(source, target, &options, NULL);
        if (status == ZMLX_OK) status = run(source, &before);
        if (status == ZMLX_OK) status = run(target, &after);
        zx_remove_folder(target);
        if (status == ZMLX_ERROR_MEMORY) return;
        CHECK_ON(files[i].name, status == ZMLX_OK && alike(&before, &after, files[i].bits));
    }
}

TEST(converted_recurrent_models_give_the_same_logits)
{
    zx_with_folder(gives_the_same_logits);
}
