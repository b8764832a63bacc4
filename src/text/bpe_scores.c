/* bpe_scores.c - merges for vocabularies that have none: SentencePiece's (a score for each token)
 * and tiktoken's (a rank for each).
 *
 * There the two neighbours whose joined text is the best token merge first.  So every way to cut a
 * token into two tokens is a merge, and its rank is the place of the token's score; equal
 * scores share a rank, so that the leftmost goes first. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/model.h"
#include "text/unicode.h"

enum { BATCH = 32 };

static const double most_work = 4e9; /* bytes that the look-ups may hash: more is no vocabulary */

typedef struct scored {
    double score;
    int32_t id;
} scored;

static int best_first(const void *left, const void *right)
{
    const scored *const a = left, *const b = right;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* The cuts of tokens that wait for their look-ups. */
typedef struct cuts {
    const zx_model *model;
    zx_merge_fn visit;
    void *user;
    zx_string_view texts[2 * BATCH];
    int32_t ids[BATCH];
    uint32_t ranks[BATCH];
    size_t count;
} cuts;

static zmlx_status flush(cuts *list)
{
    int32_t found[2 * BATCH];
    zx_vocabulary_find_many(&list->model->vocabulary, list->texts, 2 * list->count, found);
    for (size_t i = 0; i < list->count; i++) {
        const int32_t left = found[2 * i], right = found[2 * i + 1];
        if (left < 0 || right < 0 || zx_model_reserves(list->model, left) ||
            zx_model_reserves(list->model, right))
            continue;
        ZX_TRY(list->visit(left, right, list->ranks[i], list->ids[i], list->user));
    }
    list->count = 0;
    return ZMLX_OK;
}

static zmlx_status add_cuts(cuts *list, int32_t id, uint32_t rank)
{
    const zx_string_view token = list->model->vocabulary.tokens[id];
    for (size_t at = 0; at < token.length;) {
        uint32_t point;
        at += zx_utf8_next(token.bytes + at, &point);
        if (at == token.length) break;
        list->texts[2 * list->count] = (zx_string_view){token.bytes, at};
        list->texts[2 * list->count + 1] = (zx_string_view){token.bytes + at, token.length - at};
        list->ids[list->count] = id;
        list->ranks[list->count] = rank;
        if (++list->count == BATCH) ZX_TRY(flush(list));
    }
    return ZMLX_OK;
}

static zmlx_status add_all(cuts *list, const scored *order, size_t count)
{
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && order[i].score < order[i - 1].score) rank++;
        ZX_TRY(add_cuts(list, order[i].id, rank));
    }
    return flush(list);
}

zmlx_status zx_bpe_each_scored_merge(const zx_model *model, const char *source, zx_merge_fn visit,
                                     void *user)
{
    const zx_vocabulary *const vocabulary = &model->vocabulary;
    double work = 0;
    size_t count = 0;
    void *memory;
    ZX_TRY(zx_alloc_array(vocabulary->size, sizeof(scored), "merges", &memory));
    scored *const order = memory;
    for (size_t id = 0; id < vocabulary->size; id++) {
        const zx_string_view token = vocabulary->tokens[id];
        if (token.bytes == NULL || token.length < 2 || zx_model_reserves(model, (int32_t)id))
            continue;
        order[count++] = (scored){model->scores[id], (int32_t)id};
        work += (double)token.length * (double)token.length;
    }
    zmlx_status status = ZMLX_OK;
    if (work > most_work)
        status = ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the vocabulary's tokens are too long", source);
    cuts list = {.model = model, .visit = visit, .user = user};
    if (status == ZMLX_OK) {
        qsort(order, count, sizeof *order, best_first);
        status = add_all(&list, order, count);
    }
    zx_free(order);
    return status;
}

static zmlx_status put(int32_t left, int32_t right, uint32_t rank, int32_t merged, void *user)
{
    return zx_bpe_put_merge(user, left, right, rank, merged);
}

zmlx_status zx_bpe_add_scored_merges(zx_model *model, const char *source)
{
    ZX_TRY(zx_bpe_expect_merges(model, 2 * model->vocabulary.size));
    return zx_bpe_each_scored_merge(model, source, put, model);
}
