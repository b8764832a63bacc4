/* bench.h - how fast a model runs here, beside what the machine itself can do. */
#ifndef ZMLX_BENCH_H
#define ZMLX_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "zmlx/check.h"
#include "zmlx/model.h"
#include "zmlx/session.h"
#include "zmlx/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zmlx_bench_options { /* zero means the default */
    size_t prompt;      /* tokens of the prompt test; default 512, SIZE_MAX: no such test */
    size_t generate;    /* tokens of the decode test; default 128, SIZE_MAX: no such test */
    size_t depth;       /* tokens already in the cache */
    size_t repetitions; /* default 5 */
    bool compare;       /* fused and unfused, interleaved ABBA */
    zmlx_session_options session;
} zmlx_bench_options;

enum { ZMLX_BENCH_SAMPLES = 64 };

typedef struct zmlx_bench_test {
    size_t n_prompt, n_gen, n_depth; /* as llama-bench names them */
    bool fused;
    size_t samples;
    double samples_ts[ZMLX_BENCH_SAMPLES]; /* tokens per second */
    double avg_ts, stddev_ts;
    size_t bytes_per_token; /* weights and keys/values that one decoded token reads */
    double read_loop_gbs; /* reading the weights alone, same threads, measured beside the test: the
                             faster of plain loads and lines fetched ahead */
    double read_share;    /* decode: avg_ts * bytes_per_token / read_loop; prompt: 0 */
    double allocs_per_step; /* blocks taken from the heap per step after the first */
} zmlx_bench_test;

typedef struct zmlx_bench_report {
    size_t tests;
    zmlx_bench_test test[4];
    size_t threads;
    zmlx_precision precision; /* the one that was meant, never the default */
    const char *cpu_features;
    zmlx_fingerprint fingerprint;
    size_t peak_memory; /* bytes resident at most so far, of this process */
} zmlx_bench_report;

/* At most ZMLX_BENCH_SAMPLES repetitions. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_bench(const zmlx_model *model,
                                                const zmlx_bench_options *options,
                                                zmlx_bench_report *report);

#ifdef __cplusplus
}
#endif
#endif
