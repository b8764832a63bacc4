/* unigram.c - the most likely way to cut a piece into tokens (Viterbi).
 *
 * Going from left to right, each byte that begins a character tries every token that begins there;
 * a character that is no token alone may be the unknown token, at a penalty.  Neighbouring
 * unknown characters become one, and then perhaps bytes. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/model.h"
#include "text/unicode.h"

#define LARGEST_SUM 100000.0

static zmlx_status prepare(zx_model *model, const char *source)
{
    const zx_vocabulary *const vocabulary = &model->vocabulary;
    double lowest = (double)INFINITY;
    for (size_t id = 0; id < vocabulary->size; id++) {
        const zx_string_view *const token = &vocabulary->tokens[id];
        if (token->bytes == NULL || zx_model_reserves(model, (int32_t)id)) continue;
        if (model->scores[id] < lowest) lowest = model->scores[id];
        if (token->length > 0)
            ZX_TRY(zx_trie_add(&model->trie, token->bytes, token->length, (int32_t)id, true));
    }
    if (model->unknown_score == 0) model->unknown_score = lowest - ZX_UNKNOWN_PENALTY;
    if (model->unknown >= (int32_t)vocabulary->size)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: \"unk_id\" %d is not in the vocabulary", source,
                       (int)model->unknown);
    zx_model_find_bytes(model);
    return ZMLX_OK;
}

typedef struct search {
    const zx_model *model;
    zx_step *steps;  /* by byte */
    size_t furthest; /* the last byte that there is a way to */
} search;

/* Whether it is the best way to that place so far. */
static void offer(search *s, size_t from, size_t to, double score, int32_t id)
{
    zx_step *const step = &s->steps[to];
    double total = s->steps[from].score + score;
    if (s->model->single_sums) total = (double)(float)total;
    if (to > s->furthest) s->furthest = to;
    if (step->from == UINT32_MAX || total > step->score)
        *step = (zx_step){total, (uint32_t)from, id};
}

/* SentencePiece's sums are of single precision: before they grow coarse it counts from 0 again. */
static void lower_sums(search *s, size_t at)
{
    const double sum = s->steps[at].score;
    if (!s->model->single_sums || fabs(sum) <= LARGEST_SUM) return;
    for (size_t i = at; i <= s->furthest; i++)
        if (s->steps[i].from != UINT32_MAX)
            s->steps[i].score = (double)(float)(s->steps[i].score - sum);
}

static zmlx_status try_place(search *s, const char *bytes, size_t length, size_t at, size_t step)
{
    const zx_model *const model = s->model;
    uint32_t node = ZX_TRIE_ROOT;
    bool alone = false;
    for (size_t i = at; i < length && model->trie.node_count > 0; i++) {
        node = zx_trie_step(&model->trie, node, (unsigned char)bytes[i]);
        if (node == 0) break;
        const int32_t id = model->trie.values[node];
        if (id < 0) continue;
        offer(s, at, i + 1, model->scores[id], id);
        alone |= i + 1 == at + step;
    }
    if (alone) return ZMLX_OK;
    offer(s, at, at + step, model->unknown_score, model->unknown);
    if (model->unknown >= 0 || s->steps[at + step].id != model->unknown) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "the text holds a character that the vocabulary lacks, and there is no "
                   "\"unk_id\"");
}

/* A run of unknown characters: a token after all, bytes, or the unknown token. */
static zmlx_status add_unknown(const zx_model *model, const char *bytes, size_t length, zx_ids *ids)
{
    const int32_t id =
        model->sentencepiece ? -1 : zx_vocabulary_find(&model->vocabulary, bytes, length);
    if (id >= 0) return zx_ids_add(ids, id);
    bool added;
    ZX_TRY(zx_model_add_bytes(model, bytes, length, ids, &added));
    return added ? ZMLX_OK : zx_ids_add(ids, model->unknown);
}

static zmlx_status encode(const zx_model *model, zx_work *work, const char *bytes, size_t length,
                          zx_ids *ids)
{
    if (length + 1 > work->step_capacity)
        ZX_TRY(zx_grow(&work->steps, &work->step_capacity, length + 1, sizeof *work->steps,
                       "best path"));
    zx_step *const steps = work->steps;
    for (size_t i = 0; i <= length; i++) steps[i] = (zx_step){0, UINT32_MAX, -1};
    search s = {model, steps, 0};
    for (size_t at = 0; at < length;) {
        uint32_t point;
        const size_t step = zx_utf8_next(bytes + at, &point);
        lower_sums(&s, at);
        ZX_TRY(try_place(&s, bytes, length, at, step));
        at += step;
    }
    /* Turn the links around, so that steps[i] tells the token that begins at i and its end. */
    size_t to = length, from = steps[length].from;
    int32_t id = steps[length].id;
    while (to > 0) {
        const zx_step before = steps[from];
        steps[from] = (zx_step){0, (uint32_t)to, id};
        to = from;
        from = before.from;
        id = before.id;
    }
    for (size_t at = 0; at < length;) {
        size_t end = steps[at].from;
        if (steps[at].id != model->unknown) {
            ZX_TRY(zx_ids_add(ids, steps[at].id));
            at = end;
            continue;
        }
        while (end < length && steps[end].id == model->unknown) end = steps[end].from;
        ZX_TRY(add_unknown(model, bytes + at, end - at, ids));
        at = end;
    }
    return ZMLX_OK;
}

const zx_model_row zx_model_unigram = {"Unigram", prepare, encode};
