#include "bench/read_loop.h"

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

enum { STEP = 128 }; /* eight registers of the smallest vectors */

typedef uint64_t lanes __attribute__((vector_size(STEP / 4), aligned(1), may_alias));

static uint64_t read_bytes(const uint8_t *data, size_t bytes)
{
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + STEP <= bytes; i += STEP) {
        const lanes *at = (const lanes *)(const void *)(data + i);
        a ^= at[0], b ^= at[1], c ^= at[2], d ^= at[3];
    }
    a ^= b ^ c ^ d;
    uint64_t sum = 0;
    for (size_t lane = 0; lane < sizeof a / sizeof a[0]; lane++) sum ^= a[lane];
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
