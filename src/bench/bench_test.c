/* bench_test.c - what a benchmark refuses before it runs. */
#include <string.h>

#include "base/test.h"
#include "zmlx/bench.h"

TEST(a_comparison_needs_room_for_both_sessions)
{
    zmlx_model *model = NULL;
    zmlx_memory memory;
    zmlx_bench_report report;
    zmlx_session_options session = {.context = 1 << 20, .threads = 1};
    CHECK(zmlx_model_open("tests/golden/llama-4bit-g64", NULL, &model) == ZMLX_OK);
    CHECK(zmlx_session_estimate(model, &session, &memory) == ZMLX_OK);
    /* one takes 60 % of what is available */
    session.context = (size_t)(0.6 * (double)memory.available / (double)memory.kv * (1 << 20));
    if (session.context > (size_t)1 << 30) {
        zmlx_model_close(model);
        SKIP("this machine has room for any two contexts");
    }
    CHECK(zmlx_session_estimate(model, &session, &memory) == ZMLX_OK);
    CHECK(memory.weights + memory.kv + memory.activations < memory.available);
    const zmlx_bench_options options = {
        .prompt = 4, .generate = 4, .repetitions = 1, .compare = true, .session = session};
    CHECK(zmlx_bench(model, &options, &report) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "MiB needed by 2 sessions at once") != NULL);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_context_shorter_than_the_test_is_refused)
{
    zmlx_model *model = NULL;
    zmlx_bench_report report;
    const zmlx_bench_options options = {
        .prompt = 40, .generate = 4, .session = {.context = 32, .threads = 1}};
    CHECK(zmlx_model_open("tests/golden/llama-4bit-g64", NULL, &model) == ZMLX_OK);
    CHECK(zmlx_bench(model, &options, &report) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "a context of 32 tokens is less than the test's 40"));
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}
