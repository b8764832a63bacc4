/* perplexity.c - how well a model predicts a text. */
#include <math.h>

#include "base/fail.h"
#include "serve/session.h"

typedef struct tally {
    const int32_t *ids;
    size_t count, vocabulary, predicted;
    double nll;
} tally;

/* -log softmax(logits)[id], in double. */
static double surprise(const float *logits, size_t count, int32_t id)
{
    const double largest = (double)logits[zx_most_likely(logits, count)];
    double total = 0;
    for (size_t i = 0; i < count; i++) total += exp((double)logits[i] - largest);
    return largest + log(total) - (double)logits[id];
}

static zmlx_status add_row(size_t first, size_t rows, const float *logits, void *user)
{
    tally *sum = user;
    (void)rows;
    if (first + 1 >= sum->count) return ZMLX_OK;
    sum->nll += surprise(logits, sum->vocabulary, sum->ids[first + 1]);
    sum->predicted++;
    return ZMLX_OK;
}

zmlx_status zmlx_session_perplexity(zmlx_session *session, const int32_t *ids, size_t count,
                                    size_t window, zmlx_perplexity *result)
{
    tally sum = {.vocabulary = zx_engine_vocabulary(session->engine)};
    *result = (zmlx_perplexity){.tokens = count};
    if (count < 2)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu tokens; perplexity needs at least 2", count);
    if (window < 2 || window > session->context)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "a window of %zu tokens; expected 2 to %zu", window,
                       session->context);
    for (size_t done = 0; done < count; done += window) {
        sum.ids = ids + done;
        sum.count = count - done < window ? count - done : window;
        ZX_TRY(zmlx_session_logits(session, sum.ids, sum.count, 0, add_row, &sum));
    }
    result->predicted = sum.predicted;
    result->nll = sum.nll / (double)sum.predicted;
    result->perplexity = exp(result->nll);
    return ZMLX_OK;
}
