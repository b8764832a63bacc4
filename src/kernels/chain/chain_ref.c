/* chain_ref.c - a chain of row-wise ops, a few rows at a time.  Normative: its steps in order, each
 * by the formula of its own op; what a step hands on is rounded as its op says.
 *
 * Every step runs the kernel that would run it alone, on one thread; rows are split over the
 * threads.  So there is no other kernel of this op. */
#include <assert.h>

#include "graph/chain.h"
#include "kernels/rows.h"

enum { BLOCK_BYTES = 96 << 10, MOST_ROWS = 16 };

static size_t stride_of(const zx_type *type)
{
    if (type->dtype == ZX_QUANTIZED) return zx_activation_row_bytes(type->layout, type->columns);
    return type->columns * zx_dtypes[type->dtype].bytes;
}

/* Rows that run together, and where things lie in a thread's memory: inner values, then scratch of
 * the kernels. */
typedef struct layout {
    char *memory; /* NULL: only sizes and dtypes of a launch are wanted */
    size_t rows, scratch_at;
    size_t offsets[ZX_CHAIN_STEPS]; /* of the steps' inner values */
} layout;

/* Step 'index' on 'rows' rows from 'first' on. */
static zx_launch launch_of(const zx_launch *whole, size_t index, const layout *l, size_t first,
                           size_t rows)
{
    char *const memory = l->memory;
    const zx_chain *chain = whole->attributes->chain;
    const zx_chain_step *step = &chain->steps[index];
    zx_launch launch = {.attributes = &step->attributes,
                        .scratch = memory != NULL ? memory + l->scratch_at : NULL};
    for (int i = 0; i < zx_ops[step->op].inputs; i++) {
        const int from = step->inputs[i];
        zx_operand *const x = &launch.inputs[i];
        if (from < 0) {
            *x = whole->inputs[~from];
            if (x->weight != NULL) continue;
            x->data = memory != NULL ? (char *)x->data + first * x->stride : NULL;
            x->rows = rows;
            continue;
        }
        const zx_chain_step *maker = &chain->steps[from];
        *x = (zx_operand){memory != NULL ? memory + l->offsets[from] : NULL,
                          rows,
                          maker->type.columns,
                          stride_of(&maker->type),
                          maker->type.dtype,
                          maker->type.layout,
                          NULL};
        if (maker->output < 0) continue;
        const zx_operand *kept = &whole->outputs[maker->output];
        x->stride = kept->stride;
        x->data = memory != NULL ? (char *)kept->data + first * kept->stride : NULL;
    }
    zx_operand *const y = &launch.outputs[0];
    *y = (zx_operand){memory != NULL ? memory + l->offsets[index] : NULL,
                      rows,
                      step->type.columns,
                      stride_of(&step->type),
                      step->type.dtype,
                      step->type.layout,
                      NULL};
    if (step->output < 0) return launch;
    *y = whole->outputs[step->output];
    y->rows = rows;
    y->data = memory != NULL ? (char *)y->data + first * y->stride : NULL;
    return launch;
}

static layout lay_out(const zx_launch *whole)
{
    const zx_chain *chain = whole->attributes->chain;
    size_t row_bytes = 64;
    layout l = {0};
    for (size_t i = 0; i < chain->count; i++) row_bytes += stride_of(&chain->steps[i].type);
    l.rows = BLOCK_BYTES / row_bytes;
    if (l.rows > MOST_ROWS) l.rows = MOST_ROWS;
    if (l.rows == 0) l.rows = 1;
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->steps[i].output >= 0) continue;
        l.offsets[i] = l.scratch_at;
        l.scratch_at += zx_round_up(l.rows * stride_of(&chain->steps[i].type), 64);
    }
    return l;
}

/* The memory of a thread. */
static size_t thread_bytes(const zx_launch *whole, const layout *l)
{
    const zx_chain *chain = whole->attributes->chain;
    size_t most = l->scratch_at;
    for (size_t i = 0; i < chain->count; i++) {
        const zx_launch step = launch_of(whole, i, l, 0, l->rows);
        const zx_kernel *kernel = zx_kernel_choose(chain->steps[i].op, &step);
        const size_t bytes = l->scratch_at + zx_round_up(kernel->scratch(&step), 64);
        if (bytes > most) most = bytes;
    }
    return most;
}

size_t zx_scratch_chain(const zx_launch *launch)
{
    const layout l = lay_out(launch);
    return zx_pool_threads(launch->pool) * thread_bytes(launch, &l);
}

typedef struct chain_job {
    const zx_launch *launch;
    layout at;
    size_t thread_bytes;
    size_t rows; /* of the launch */
} chain_job;

static void run_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const chain_job *job = context;
    const zx_chain *chain = job->launch->attributes->chain;
    layout own = job->at;
    own.memory = (char *)job->launch->scratch + thread * job->thread_bytes;
    size_t row, end;
    zx_split(job->rows, 1, part, parts, &row, &end);
    for (; row < end; row += job->at.rows) {
        const size_t rows = end - row < job->at.rows ? end - row : job->at.rows;
        for (size_t i = 0; i < chain->count; i++) {
            const zx_launch step = launch_of(job->launch, i, &own, row, rows);
            const zmlx_status status = zx_kernel_choose(chain->steps[i].op, &step)->run(&step);
            assert(status ==
                   ZMLX_OK); /* row-wise kernels take what their shape rules let through */
            (void)status;
        }
    }
}

zmlx_status zx_chain_ref(const zx_launch *launch)
{
    const size_t rows = launch->outputs[0].rows, threads = zx_pool_threads(launch->pool);
    chain_job job = {.launch = launch, .at = lay_out(launch), .rows = rows};
    if (rows > 1 && threads > 1) job.thread_bytes = thread_bytes(launch, &job.at);
    if (rows > 0) zx_pool_run(launch->pool, rows < threads ? rows : threads, run_rows, &job);
    return ZMLX_OK;
}
