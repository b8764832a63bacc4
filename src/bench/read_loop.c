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

enum {
    STEP = 128, /* eight registers of the smallest vectors */
    CACHE_LINE = 64,
    AHEAD = 8192, /* bytes */
};

typedef uint64_t lanes __attribute__((vector_size(STEP / 4), aligned(1), may_alias));

static inline __attribute__((always_inline)) uint64_t read_bytes(const block *at, bool ahead)
{
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + STEP <= at->bytes; i += STEP) {
        const lanes *from = (const lanes *)(const void *)(at->data + i);
        for (size_t line = 0; ahead && line < STEP; line += CACHE_LINE)
            __builtin_prefetch(at->data + i + AHEAD + line, 0, 2);
        a ^= from[0], b ^= from[1], c ^= from[2], d ^= from[3];
    }
    a ^= b ^ c ^ d;
    uint64_t sum = 0;
    for (size_t lane = 0; lane < sizeof a / sizeof a[0]; lane++) sum ^= a[lane];
    return sum;
}

static block part_of(const job *task, size_t part, size_t parts)
{
    size_t first, end;
    zx_split(task->block.bytes, STEP, part, parts, &first, &end);
    return (block){task->block.data + first, end - first};
}

static void read_part(const void *context, size_t part, size_t parts, size_t thread)
{
    const job *task = context;
    const block own = part_of(task, part, parts);
    task->sums[thread * 8] ^= read_bytes(&own, false);
}

static void read_part_ahead(const void *context, size_t part, size_t parts, size_t thread)
{
    const job *task = context;
    const block own = part_of(task, part, parts);
    task->sums[thread * 8] ^= read_bytes(&own, true);
}

/* All matrices where they lie one behind the other, else the index-th. */
static block block_of(const zx_weight *weight, size_t index)
{
    const zx_weight *one = weight->matrices != NULL ? &weight->matrices[index] : weight;
    const size_t rows = one->count * one->rows;
    return (block){one->codes, (rows - 1) * one->codes_stride + zx_weight_row_bytes(one)};
}

static double read_weights(const zx_graph *graph, zx_pool *pool, zx_part_fn read)
{
    uint64_t sums[MAX_THREADS * 8] = {0};
    size_t bytes = 0;
    const double start = zx_seconds();
    for (const zx_node *node = graph->first; node != NULL; node = node->next) {
        if (node->op != ZX_OP_WEIGHT) continue;
        const zx_weight *weight = node->weight;
        const size_t blocks = weight->matrices != NULL ? weight->count : 1;
        for (size_t i = 0; i < blocks; i++) {
            const job task = {block_of(weight, i), sums};
            zx_pool_run(pool, zx_pool_threads(pool), read, &task);
            bytes += task.block.bytes;
        }
    }
    volatile uint64_t sink = sums[0];
    (void)sink;
    const double seconds = zx_seconds() - start;
    return seconds > 0 ? (double)bytes / seconds : 0;
}

double zx_read_loop(const zx_graph *graph, zx_pool *pool)
{
    const double plain = read_weights(graph, pool, read_part);
    const double ahead = read_weights(graph, pool, read_part_ahead);
    return plain > ahead ? plain : ahead;
}
