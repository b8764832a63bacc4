#include "bench/read_loop.h"

#include <string.h>

#include "base/clock.h"

typedef struct block {
    const uint8_t *data;
    size_t bytes;
} block;

enum { MAX_THREADS = 256 };

typedef struct job {
    block block;
    uint64_t *sums; /* [MAX_THREADS * 8]: written so that the loads cannot be left out */
} job;

enum { STEP = 256 };

static uint64_t read_bytes(const uint8_t *data, size_t bytes)
{
    uint64_t sums[STEP / 8] = {0};
    for (size_t i = 0; i + STEP <= bytes; i += STEP) {
        uint64_t words[STEP / 8];
        memcpy(words, data + i, STEP);
        for (size_t lane = 0; lane < STEP / 8; lane++) sums[lane] ^= words[lane];
    }
    uint64_t sum = 0;
    for (size_t lane = 0; lane < STEP / 8; lane++) sum ^= sums[lane];
    return sum;
}

static void read_part(const void *context, size_t part, size_t parts, size_t thread)
{
    const job *task = context;
    size_t first, end;
    zx_split(task->block.bytes, STEP, part, parts, &first, &end);
    task->sums[thread * 8] ^= read_bytes(task->block.data + first, end - first);
}

double zx_read_loop(const zx_graph *graph, zx_pool *pool)
{
    uint64_t sums[MAX_THREADS * 8] = {0};
    size_t bytes = 0;
    const double start = zx_seconds();
    for (const zx_node *node = graph->first; node != NULL; node = node->next) {
        if (node->op != ZX_OP_WEIGHT) continue;
        const zx_weight *weight = node->weight;
        const job task = {{weight->codes, weight->count * weight->rows * weight->codes_stride},
                          sums};
        zx_pool_run(pool, zx_pool_threads(pool), read_part, &task);
        bytes += task.block.bytes;
    }
    volatile uint64_t sink = sums[0];
    (void)sink;
    const double seconds = zx_seconds() - start;
    return seconds > 0 ? (double)bytes / seconds : 0;
}
