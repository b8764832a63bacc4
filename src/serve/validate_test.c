/* validate_test.c - validation and perplexity against what their definitions give by hand. */
#include <math.h>
#include <string.h>

#include "base/test.h"
#include "serve/session.h"

enum { TOKENS = 25, VOCABULARY = 512 };

static const int32_t ids[TOKENS] = {5,  250, 17, 3,  99, 120, 64, 2,  2,  31, 200, 7,  45,
                                    11, 290, 1,  80, 81, 82,  83, 12, 77, 6,  9,   150};

static zmlx_status keep_row(size_t first, size_t rows, const float *logits, void *user)
{
    float(*all)[VOCABULARY] = user;
    (void)rows;
    memcpy(all[first], logits, 320 * sizeof(float));
    return ZMLX_OK;
}

static bool logits_of(const zmlx_model *model, bool no_fuse, float all[TOKENS][VOCABULARY])
{
    const zmlx_session_options options = {.threads = 1, .context = TOKENS, .no_fuse = no_fuse};
    zmlx_session *session = NULL;
    bool ok = model->config.vocabulary == 320 &&
              zmlx_session_create(model, &options, &session) == ZMLX_OK;
    ok = ok && zmlx_session_logits(session, ids, TOKENS, 0, keep_row, all) == ZMLX_OK;
    zmlx_session_destroy(session);
    return ok;
}

static float with[TOKENS][VOCABULARY], without[TOKENS][VOCABULARY];

/* A router's softmax gets an attribute that it does not read, but the fused router does: the
 * weights are then larger, by so little that only some logits differ. */
static bool plant(const zmlx_model *model, float scale)
{
    for (zx_node *node = model->graph.first; node != NULL; node = node->next) {
        if (node->op != ZX_OP_SOFTMAX) continue;
        node->attributes.scale = scale;
        return true;
    }
    return false;
}

TEST(validation_finds_a_planted_difference_where_it_is)
{
    zmlx_model *model = NULL;
    zmlx_validation same, other;
    const zmlx_session_options options = {.threads = 1};
    CHECK(zmlx_model_open("tests/golden/mixtral", NULL, &model) == ZMLX_OK);
    CHECK(zmlx_validate(model, &options, ids, TOKENS, &same) == ZMLX_OK);
    CHECK(same.equal && same.checked_tokens == TOKENS + 32);
    CHECK(same.checked_logits == same.checked_tokens * 320);
    CHECK(plant(model, 1.0000001F));
    CHECK(logits_of(model, false, with) && logits_of(model, true, without));
    size_t token = 0, index = 0;
    while (token < TOKENS && memcmp(with[token], without[token], sizeof with[token]) == 0) token++;
    CHECK(token < TOKENS);
    while (memcmp(&with[token][index], &without[token][index], sizeof(float)) == 0) index++;
    CHECK(zmlx_validate(model, &options, ids, TOKENS, &other) == ZMLX_OK);
    CHECK(!other.equal && other.first_token == token && other.first_index == index);
    CHECK(other.fused == with[token][index] && other.unfused == without[token][index]);
    CHECK(other.checked_logits == same.checked_logits);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

/* -log softmax(logits)[id], written down plainly. */
static double surprise(const float *logits, int32_t id)
{
    double total = 0;
    for (size_t i = 0; i < 320; i++) total += exp((double)logits[i]);
    return log(total) - (double)logits[id];
}

/* The mean over windows of 'window' tokens, each from an empty cache. */
static bool perplexity_by_hand(zmlx_session *session, size_t window, double *nll, size_t *predicted)
{
    *nll = 0;
    *predicted = 0;
    for (size_t first = 0; first < TOKENS; first += window) {
        const size_t count = TOKENS - first < window ? TOKENS - first : window;
        if (zmlx_session_logits(session, ids + first, count, 3, keep_row, with) != ZMLX_OK)
            return false;
        for (size_t i = 0; i + 1 < count; i++) *nll += surprise(with[i], ids[first + i + 1]);
        *predicted += count - 1;
    }
    *nll /= (double)*predicted;
    return true;
}

TEST(perplexity_is_the_mean_surprise_of_the_predicted_tokens)
{
    static const size_t windows[] = {2, 6, 10, TOKENS};
    static const size_t predicted[] = {12, 20, 22, 24}; /* 25 = 4 * 6 + 1: the last predicts none */
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    zmlx_perplexity result;
    double nll = 0;
    size_t count = 0;
    CHECK(zmlx_model_open("tests/golden/llama", NULL, &model) == ZMLX_OK);
    CHECK(zmlx_session_create(model, &(zmlx_session_options){.threads = 1, .context = TOKENS},
                              &session) == ZMLX_OK);
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        CHECK(zmlx_session_perplexity(session, ids, TOKENS, windows[i], &result) == ZMLX_OK);
        CHECK(perplexity_by_hand(session, windows[i], &nll, &count));
        CHECK(result.tokens == TOKENS && result.predicted == predicted[i] && count == predicted[i]);
        CHECK(fabs(result.nll - nll) < 1e-12 * fabs(nll));
        CHECK(fabs(result.perplexity - exp(nll)) < 1e-10 * exp(nll));
    }
    CHECK(zmlx_session_perplexity(session, ids, 1, 2, &result) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "1 tokens; perplexity needs at least 2") != NULL);
    CHECK(zmlx_session_perplexity(session, ids, 4, 26, &result) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "a window of 26 tokens; expected 2 to 25") != NULL);
    zmlx_session_destroy(session);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}
