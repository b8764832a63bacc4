/* bench.c - prompt and decode rates, fused and unfused in turns (of a prompt, of a
 * decoding step), beside the read loop. */
#include "zmlx/bench.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/region.h"
#include "bench/read_loop.h"
#include "serve/session.h"

enum { DEFAULT_PROMPT = 512, DEFAULT_GENERATE = 128, DEFAULT_REPETITIONS = 5 };

typedef struct contender {
    zmlx_session *session;
    zmlx_bench_test *test;
} contender;

typedef struct run {
    const zmlx_model *model;
    size_t prompt, generate, depth, repetitions;
    int32_t *ids;
    contender contenders[2];
    size_t contender_count;
    zx_pool *pool;
    double loops[ZMLX_BENCH_SAMPLES];
    size_t loop_count;
} run;

static size_t value_or(size_t value, size_t fallback)
{
    if (value == SIZE_MAX) return 0;
    return value > 0 ? value : fallback;
}

/* Whose turn it is: the order changes with 'count'. */
static size_t turn_of(const run *job, size_t turn, size_t count)
{
    return job->contender_count == 2 && count % 2 == 1 ? 1 - turn : turn;
}

static zmlx_status time_prompt(const run *job, zmlx_session *session, double *rate)
{
    ZX_TRY(zx_session_begin(session, job->ids, job->depth + job->prompt, 0, false));
    ZX_TRY(zx_session_feed(session, job->ids, job->depth));
    const double start = zx_seconds();
    ZX_TRY(zx_session_feed(session, job->ids + job->depth, job->prompt));
    *rate = (double)job->prompt / (zx_seconds() - start);
    return ZMLX_OK;
}

/* Opens the session with one step taken, so that the time is of steady steps. */
static zmlx_status begin_decode(const run *job, zmlx_session *session)
{
    ZX_TRY(zx_session_begin(session, job->ids, job->depth + 1, 0, false));
    return zx_session_feed(session, job->ids, job->depth + 1);
}

/* A step of each contender in turn, in an order that changes from step to step: what else the
 * machine does hits them alike. */
static zmlx_status time_decode(run *job, size_t repetition, double rates[2])
{
    double seconds[2] = {0};
    for (size_t i = 0; i < job->contender_count; i++)
        ZX_TRY(begin_decode(job, job->contenders[i].session));
    const size_t blocks = zx_allocation_count();
    for (size_t step = 0; step < job->generate; step++)
        for (size_t i = 0; i < job->contender_count; i++) {
            const size_t who = turn_of(job, i, step + repetition);
            const double start = zx_seconds();
            ZX_TRY(
                zx_session_feed(job->contenders[who].session, &job->ids[job->depth + 1 + step], 1));
            seconds[who] += zx_seconds() - start;
        }
    const size_t steps = job->generate * job->contender_count;
    for (size_t i = 0; i < job->contender_count; i++) {
        rates[i] = (double)job->generate / seconds[i];
        job->contenders[i].test->allocs_per_step =
            (double)(zx_allocation_count() - blocks) / (double)steps;
    }
    return ZMLX_OK;
}

static zmlx_status time_prompts(run *job, size_t repetition, double rates[2])
{
    for (size_t i = 0; i < job->contender_count; i++) {
        const size_t who = turn_of(job, i, repetition);
        ZX_TRY(time_prompt(job, job->contenders[who].session, &rates[who]));
    }
    return ZMLX_OK;
}

static zmlx_status time_all(run *job, size_t repetition, bool decode, double rates[2])
{
    return decode ? time_decode(job, repetition, rates) : time_prompts(job, repetition, rates);
}

/* One repetition: each contender once, and the read loop. */
static zmlx_status repeat(run *job, size_t repetition, bool decode)
{
    double rates[2] = {0};
    ZX_TRY(time_all(job, repetition, decode, rates));
    for (size_t i = 0; i < job->contender_count; i++) {
        zmlx_bench_test *test = job->contenders[i].test;
        if (test->samples < ZMLX_BENCH_SAMPLES) test->samples_ts[test->samples++] = rates[i];
    }
    job->loops[job->loop_count++] = zx_read_loop(&job->model->graph, job->pool);
    zx_progress(decode ? "decode" : "prompt", repetition + 1, job->repetitions);
    return ZMLX_OK;
}

static int ascending(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void finish_test(run *job, zmlx_bench_test *test)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < test->samples; i++) sum += test->samples_ts[i];
    test->avg_ts = sum / (double)test->samples;
    for (size_t i = 0; i < test->samples; i++)
        squares += (test->samples_ts[i] - test->avg_ts) * (test->samples_ts[i] - test->avg_ts);
    if (test->samples > 1) test->stddev_ts = sqrt(squares / (double)(test->samples - 1));
    test->read_loop_gbs = job->loops[job->loop_count / 2] / 1e9;
    if (test->n_gen > 0)
        test->read_share =
            test->avg_ts * (double)test->bytes_per_token / (test->read_loop_gbs * 1e9);
}

/* Keys and values that one token reads at the middle of the test. */
static size_t cache_bytes(const run *job, const zmlx_session *session)
{
    /* The session holds more tokens than these, so the product fits. */
    const size_t page = zx_engine_cache(session->engine)->pages.page_bytes;
    return page / ZX_PAGE_TOKENS * (job->depth + job->generate / 2);
}

static zmlx_status run_tests(run *job, bool decode, zmlx_bench_report *report)
{
    for (size_t i = 0; i < job->contender_count; i++) {
        contender *who = &job->contenders[i];
        who->test = &report->test[report->tests++];
        *who->test = (zmlx_bench_test){.n_prompt = decode ? 0 : job->prompt,
                                       .n_gen = decode ? job->generate : 0,
                                       .n_depth = job->depth,
                                       .fused = !zx_engine_settings(who->session->engine)->no_fuse,
                                       .bytes_per_token = job->model->bytes_per_token +
                                                          cache_bytes(job, who->session)};
    }
    double warm_up[2];
    ZX_TRY(time_all(job, 0, decode, warm_up));
    job->loop_count = 0;
    for (size_t i = 0; i < job->repetitions; i++) ZX_TRY(repeat(job, i, decode));
    qsort(job->loops, job->loop_count, sizeof *job->loops, ascending);
    for (size_t i = 0; i < job->contender_count; i++) finish_test(job, job->contenders[i].test);
    return ZMLX_OK;
}

static zmlx_status open_contenders(run *job, const zmlx_bench_options *options)
{
    zmlx_session_options settings = options->session, each[2];
    const size_t prompt = job->prompt + job->depth;
    const size_t decode = job->depth + 1 + job->generate;
    if (settings.context == 0) settings.context = prompt > decode ? prompt : decode;
    if (settings.context < prompt || settings.context < decode)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "a context of %zu tokens is less than the test's %zu",
                       settings.context, prompt > decode ? prompt : decode);
    job->contender_count = options->compare ? 2 : 1;
    for (size_t i = 0; i < 2; i++) {
        each[i] = settings;
        if (options->compare) each[i].no_fuse = i == 1;
    }
    ZX_TRY(zx_session_check_together(job->model, each, job->contender_count));
    for (size_t i = 0; i < job->contender_count; i++)
        ZX_TRY(zmlx_session_create(job->model, &each[i], &job->contenders[i].session));
    const size_t threads = zx_engine_settings(job->contenders[0].session->engine)->threads;
    return zx_pool_create(threads, &job->pool);
}

static zmlx_status make_ids(run *job)
{
    void *memory = NULL;
    const size_t count = job->prompt + job->depth + job->generate + 2;
    ZX_TRY(zx_alloc_array(count, sizeof(int32_t), "tokens of a benchmark", &memory));
    job->ids = memory;
    uint64_t state = 42;
    for (size_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        job->ids[i] = (int32_t)((state >> 33) % job->model->config.vocabulary);
    }
    return ZMLX_OK;
}

zmlx_status zmlx_bench(const zmlx_model *model, const zmlx_bench_options *options,
                       zmlx_bench_report *report)
{
    run job = {.model = model,
               .prompt = value_or(options->prompt, DEFAULT_PROMPT),
               .generate = value_or(options->generate, DEFAULT_GENERATE),
               .depth = options->depth,
               .repetitions = value_or(options->repetitions, DEFAULT_REPETITIONS)};
    *report = (zmlx_bench_report){0};
    if (job.repetitions == 0 || job.repetitions > ZMLX_BENCH_SAMPLES)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu repetitions; expected 1 to %d", job.repetitions,
                       ZMLX_BENCH_SAMPLES);
    zmlx_status status = open_contenders(&job, options); /* checks the memory first */
    if (status == ZMLX_OK) status = make_ids(&job);
    if (status == ZMLX_OK && job.prompt > 0) status = run_tests(&job, false, report);
    if (status == ZMLX_OK && job.generate > 0) status = run_tests(&job, true, report);
    if (status == ZMLX_OK) status = zmlx_fingerprint_take(&report->fingerprint);
    if (status == ZMLX_OK) {
        report->threads = zx_pool_threads(job.pool);
        report->precision = options->session.precision != ZMLX_PRECISION_DEFAULT
                                ? options->session.precision
                                : ZMLX_PRECISION_Q16;
        report->cpu_features = zx_cpu_text();
        report->peak_memory = zx_memory_peak();
    }
    for (size_t i = 0; i < 2; i++) zmlx_session_destroy(job.contenders[i].session);
    zx_pool_destroy(job.pool);
    zx_free(job.ids);
    return status;
}
