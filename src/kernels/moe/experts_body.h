/* experts_body.h - the kernels; included once per instruction set, which names them.
 *
 * Tokens are sorted by expert.  One parallel region then works on items: some rows of one expert's
 * matrix with all tokens that go there.  An item is one matmul of the best kernel there is; so a
 * matrix is read once, whatever the tokens, and every item is independent:
 *
 *   (token, slot)   0,0->e3  0,1->e1  1,0->e1  1,1->e2        order   | 0,1 1,0 | 1,1 | 0,0 |
 *   items           e1 rows 0..  e1 rows 128..  e2 rows 0..   starts  0         2     3     4
 *
 * A lone token is read and written in its place; several are copied one behind the other, which a
 * thread keeps for the next item of the same expert.  There is memory for a pair of every token; an
 * item of more, where tokens name an expert twice, is done in parts. */
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/moe/experts.h"

enum {
    CUT = 32,               /* rows are cut at multiples of this */
    LEAST_ROWS = 2 * CUT,   /* of an item */
    ITEM_VALUES = 64 << 10, /* outputs of an item, unless it has fewer rows than that */
    ITEMS_PER_THREAD = 8,
    MEMORY_LINE = 64,
    SOME = 256, /* values that are converted at a time */
};

struct expert_item;

typedef struct expert_job {
    zx_experts experts;
    void (*run)(const struct expert_item *item, zx_operand x);
    void *memory;     /* the launch's scratch, or what is left of it */
    uint32_t *order;  /* token * slots + slot, by expert, else ascending */
    uint32_t *starts; /* [matrices of a weight + 1]: where an expert's begin in 'order' */
    uint32_t *active; /* experts that have tokens */
    size_t active_count;
    size_t runs; /* items of an expert */
    char *threads;
    size_t thread_bytes, x_bytes, y_bytes; /* of a thread, its copies of x and of its outputs */
} expert_job;

/* A thread's own memory begins with the expert whose rows of x it holds. */
typedef struct expert_thread {
    size_t expert;
} expert_thread;

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* -------- scratch -------- */

static size_t sort_bytes(const zx_experts *experts)
{
    const size_t pairs = experts->x->rows * experts->indices->columns;
    return zx_round_up((pairs + 2 * experts->weights[0]->count + 1) * sizeof(uint32_t),
                       MEMORY_LINE);
}

static size_t inner_bytes(const zx_experts *experts)
{
    size_t most = 0;
    for (size_t i = 0; i < experts->matrices; i++) {
        const zx_weight matrix = zx_weight_matrix(experts->weights[i], 0);
        zx_operand x = zx_experts_slot(experts);
        x.rows = experts->x->rows;
        const zx_launch all = zx_matmul_within(x, &matrix, *experts->y);
        const size_t bytes = zx_kernel_choose(ZX_OP_MATMUL, &all)->scratch(&all);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void measure(expert_job *job)
{
    const zx_experts *experts = &job->experts;
    const size_t tokens = experts->x->rows;
    job->x_bytes = zx_round_up(tokens * zx_experts_slot(experts).stride, MEMORY_LINE);
    job->y_bytes = (ITEM_VALUES + 2 * LEAST_ROWS * tokens) * sizeof(float);
    job->thread_bytes = MEMORY_LINE + job->x_bytes + experts->matrices * job->y_bytes +
                        zx_round_up(inner_bytes(experts), MEMORY_LINE);
}

static size_t job_bytes(expert_job *job)
{
    measure(job);
    return sort_bytes(&job->experts) +
           zx_pool_threads(job->experts.launch->pool) * job->thread_bytes;
}

/* -------- sorting -------- */

static void sort_tokens(expert_job *job)
{
    const zx_experts *experts = &job->experts;
    const size_t tokens = experts->x->rows, slots = experts->indices->columns;
    const size_t count = experts->weights[0]->count;
    memset(job->starts, 0, (count + 1) * sizeof *job->starts);
    for (size_t token = 0; token < tokens; token++)
        for (size_t slot = 0; slot < slots; slot++)
            job->starts[zx_experts_index(experts, token, slot) + 1]++;
    job->active_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (job->starts[i + 1] > 0) job->active[job->active_count++] = (uint32_t)i;
        job->starts[i + 1] += job->starts[i];
    }
    for (size_t token = 0; token < tokens; token++)
        for (size_t slot = 0; slot < slots; slot++)
            job->order[job->starts[zx_experts_index(experts, token, slot)]++] =
                (uint32_t)(token * slots + slot);
    for (size_t i = count; i > 0; i--) job->starts[i] = job->starts[i - 1];
    job->starts[0] = 0;
}

/* Enough items for all threads, and none of more outputs than there is memory for. */
static void cut_rows(expert_job *job)
{
    const size_t rows = job->experts.weights[0]->rows;
    const size_t threads = zx_pool_threads(job->experts.launch->pool);
    size_t largest = 0;
    for (size_t i = 0; i < job->active_count; i++) {
        const size_t tokens = job->starts[job->active[i] + 1] - job->starts[job->active[i]];
        largest = tokens > largest ? tokens : largest;
    }
    const size_t wanted = threads > 1 ? ITEMS_PER_THREAD * threads : 1;
    const size_t for_threads = (wanted + job->active_count - 1) / job->active_count;
    const size_t at_once = least(largest, job->experts.x->rows);
    const size_t for_memory = (rows * at_once + ITEM_VALUES - 1) / ITEM_VALUES;
    const size_t most = rows / LEAST_ROWS > 0 ? rows / LEAST_ROWS : 1;
    job->runs = for_threads > for_memory ? for_threads : for_memory;
    job->runs = job->runs > most ? most : job->runs;
}

/* -------- items -------- */

/* Some rows of an expert's matrices and all its tokens. */
typedef struct expert_item {
    const expert_job *job;
    const uint32_t *pairs;
    size_t expert, tokens, first, rows;
    char *x, *y, *inner; /* of the thread */
} expert_item;

/* Where the outputs of a pair of token and slot go. */
static void *pair_outputs(const expert_item *item, uint32_t pair)
{
    const zx_experts *experts = &item->job->experts;
    const zx_operand *y = experts->y;
    const size_t slots = experts->indices->columns, size = experts->weights[0]->rows;
    return (char *)zx_operand_row(y, pair / slots) +
           (pair % slots * size + item->first) * zx_dtypes[y->dtype].bytes;
}

/* The rows of x of the expert's tokens. */
static zx_operand item_x(const expert_item *item, expert_thread *thread)
{
    const zx_experts *experts = &item->job->experts;
    const size_t slots = experts->indices->columns;
    zx_operand x = zx_experts_slot(experts);
    if (item->tokens == 1) {
        x.data = zx_experts_row(experts, &x, *item->pairs / slots, *item->pairs % slots);
        return x;
    }
    x.rows = item->tokens;
    x.data = item->x;
    if (thread->expert == item->expert) return x;
    for (size_t i = 0; i < item->tokens; i++)
        memcpy(item->x + i * x.stride,
               zx_experts_row(experts, &x, item->pairs[i] / slots, item->pairs[i] % slots),
               x.stride);
    thread->expert = item->expert;
    return x;
}

/* The item's outputs of one matrix, a row a token. */
static void multiply(const expert_item *item, size_t matrix, zx_operand x, zx_operand y)
{
    const zx_weight all = zx_weight_matrix(item->job->experts.weights[matrix], item->expert);
    const zx_weight rows = zx_weight_rows(&all, item->first, item->rows);
    zx_launch launch = zx_matmul_within(x, &rows, y);
    launch.scratch = item->inner;
    const zmlx_status status = zx_kernel_choose(ZX_OP_MATMUL, &launch)->run(&launch);
    (void)status; /* a matmul of operands that fit does not fail */
}

static zx_operand item_outputs(const expert_item *item, char *memory)
{
    const zx_dtype dtype = item->job->experts.y->dtype;
    return (zx_operand){.data = memory,
                        .rows = item->tokens,
                        .columns = item->rows,
                        .stride = item->rows * zx_dtypes[dtype].bytes,
                        .dtype = dtype};
}

static void plain_item(const expert_item *item, zx_operand x)
{
    zx_operand y = item_outputs(item, item->y);
    if (item->tokens == 1) y.data = pair_outputs(item, *item->pairs);
    multiply(item, 0, x, y);
    for (size_t i = 0; item->tokens > 1 && i < item->tokens; i++)
        memcpy(pair_outputs(item, item->pairs[i]), zx_operand_row(&y, i), y.stride);
}

static expert_item item_of(const expert_job *job, size_t index, size_t thread)
{
    expert_item item = {.job = job, .expert = job->active[index / job->runs]};
    item.pairs = job->order + job->starts[item.expert];
    item.tokens = job->starts[item.expert + 1] - job->starts[item.expert];
    size_t end;
    zx_split(job->experts.weights[0]->rows, CUT, index % job->runs, job->runs, &item.first, &end);
    item.rows = end - item.first;
    item.x = job->threads + thread * job->thread_bytes + MEMORY_LINE;
    item.y = item.x + job->x_bytes;
    item.inner = item.y + job->experts.matrices * job->y_bytes;
    return item;
}

static void run_item(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)parts;
    const expert_job *job = context;
    expert_item item = item_of(job, part, thread);
    expert_thread *own = (expert_thread *)(void *)(job->threads + thread * job->thread_bytes);
    const size_t pairs = item.tokens, room = job->experts.x->rows;
    for (size_t left = pairs; left > 0; left -= item.tokens) {
        item.tokens = least(left, room);
        if (pairs > room) own->expert = SIZE_MAX; /* it holds other rows each time */
        job->run(&item, item_x(&item, own));
        item.pairs += item.tokens;
    }
}

static void run_experts(expert_job *job)
{
    const zx_experts *experts = &job->experts;
    char *const scratch = job->memory;
    const size_t threads = zx_pool_threads(experts->launch->pool);
    if (experts->x->rows == 0) return;
    measure(job);
    job->starts = (uint32_t *)(void *)scratch;
    job->active = job->starts + experts->weights[0]->count + 1;
    job->order = job->active + experts->weights[0]->count;
    job->threads = scratch + sort_bytes(experts);
    for (size_t i = 0; i < threads; i++)
        ((expert_thread *)(void *)(job->threads + i * job->thread_bytes))->expert = SIZE_MAX;
    sort_tokens(job);
    cut_rows(job);
    zx_pool_run(experts->launch->pool, job->active_count * job->runs, run_item, job);
}

/* -------- gate and up -------- */

/* y = gated product of count values; y may be gate. */
static void gate_values(const zx_launch *launch, zx_dtype dtype, const float *gate, const float *up,
                        size_t count, float *y)
{
    if (launch->attributes->activation != ZX_ACTIVATION_NONE)
        zx_glu_values(dtype, launch->attributes->activation, gate, up, count, y);
    else
        zx_clamped_glu_values(dtype, launch->attributes, gate, up, count, y);
}

static void gate_row(const expert_item *item, const char *gate, const char *up, char *to)
{
    const zx_experts *experts = &item->job->experts;
    const zx_dtype dtype = experts->y->dtype;
    const size_t bytes = zx_dtypes[dtype].bytes;
    float a[SOME], b[SOME];
    for (size_t i = 0; i < item->rows; i += SOME) {
        const size_t left = item->rows - i, count = left < SOME ? left : SOME;
        const float *x = zx_row_load(dtype, gate + i * bytes, count, a);
        const float *y = zx_row_load(dtype, up + i * bytes, count, b);
        gate_values(experts->launch, dtype, x, y, count, a);
        zx_row_store(dtype, to + i * bytes, count, a);
    }
}

static void gated_item(const expert_item *item, zx_operand x)
{
    const zx_operand gate = item_outputs(item, item->y);
    const zx_operand up = item_outputs(item, item->y + item->job->y_bytes);
    multiply(item, 0, x, gate);
    multiply(item, 1, x, up);
    for (size_t i = 0; i < item->tokens; i++)
        gate_row(item, zx_operand_row(&gate, i), zx_operand_row(&up, i),
                 pair_outputs(item, item->pairs[i]));
}

/* -------- combined outputs -------- */

/* sum += share * values of T */
static void add_share(zx_dtype dtype, float share, const char *values, size_t count, float *sum)
{
    float buffer[SOME];
    for (size_t i = 0; i < count; i += SOME) {
        const size_t left = count - i, some = left < SOME ? left : SOME;
        const float *x = zx_row_load(dtype, values + i * zx_dtypes[dtype].bytes, some, buffer);
        for (size_t k = 0; k < some; k++) sum[i + k] = fmaf(share, x[k], sum[i + k]);
    }
}

/* Rounds the sums of columns [first, first + count) of a token, adds the residual, stores them. */
static void finish_sums(const zx_experts *experts, size_t token, size_t first, size_t count,
                        float *sum)
{
    const zx_operand *residual = zx_experts_residual(experts), *y = experts->y;
    const size_t bytes = zx_dtypes[y->dtype].bytes;
    float buffer[SOME];
    for (size_t i = 0; residual != NULL && i < count; i += SOME) {
        const size_t left = count - i, some = left < SOME ? left : SOME;
        const char *from = (const char *)zx_operand_row(residual, token) + (first + i) * bytes;
        const float *x = zx_row_load(residual->dtype, from, some, buffer);
        zx_round_values(y->dtype, some, sum + i);
        zx_add_values(y->dtype, sum + i, x, some, sum + i);
    }
    zx_row_store(y->dtype, (char *)zx_operand_row(y, token) + first * bytes, count, sum);
}

/* A lone token: parts are runs of outputs, each of which reads all the token's experts. */
static void combine_run(const void *context, size_t part, size_t parts, size_t thread)
{
    const expert_job *job = context;
    const zx_experts *experts = &job->experts;
    const float *shares = zx_experts_shares(experts, 0);
    expert_item item = {.job = job, .tokens = 1};
    size_t end;
    zx_split(experts->weights[0]->rows, CUT, part, parts, &item.first, &end);
    item.rows = end - item.first;
    item.y = job->threads + thread * job->thread_bytes;
    item.inner = item.y + 2 * job->y_bytes;
    float *const sum = (float *)(void *)(item.y + job->y_bytes);
    const zx_operand y = item_outputs(&item, item.y);
    zx_operand x = zx_experts_slot(experts);
    memset(sum, 0, item.rows * sizeof *sum);
    for (size_t slot = 0; slot < experts->indices->columns; slot++) {
        item.expert = zx_experts_index(experts, 0, slot);
        x.data = zx_experts_row(experts, &x, 0, slot);
        multiply(&item, 0, x, y);
        add_share(y.dtype, shares[slot], y.data, item.rows, sum);
    }
    finish_sums(experts, 0, item.first, item.rows, sum);
}

static size_t combine_thread_bytes(expert_job *job)
{
    job->y_bytes = zx_round_up(job->experts.weights[0]->rows * sizeof(float), MEMORY_LINE);
    job->thread_bytes = 2 * job->y_bytes + zx_round_up(inner_bytes(&job->experts), MEMORY_LINE);
    return job->thread_bytes;
}

static void combine_one(expert_job *job)
{
    const size_t rows = job->experts.weights[0]->rows;
    const size_t threads = zx_pool_threads(job->experts.launch->pool);
    const size_t most = rows / LEAST_ROWS > 0 ? rows / LEAST_ROWS : 1;
    const size_t wanted = threads > 1 ? ITEMS_PER_THREAD * threads : 1;
    (void)combine_thread_bytes(job);
    job->threads = job->memory;
    zx_pool_run(job->experts.launch->pool, wanted < most ? wanted : most, combine_run, job);
}

/* Several tokens: what the experts give is written, and added up in a second region. */
typedef struct combine_job {
    zx_experts experts;
    zx_operand slots; /* [tokens, k * columns of y] */
} combine_job;

static zx_operand slots_of(const zx_experts *experts, void *memory)
{
    const zx_operand *y = experts->y;
    zx_operand slots = {.data = memory,
                        .rows = y->rows,
                        .columns = experts->indices->columns * experts->weights[0]->rows,
                        .dtype = y->dtype};
    slots.stride = zx_round_up(slots.columns * zx_dtypes[y->dtype].bytes, MEMORY_LINE);
    return slots;
}

static void combine_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const combine_job *job = context;
    const zx_experts *experts = &job->experts;
    const size_t rows = experts->weights[0]->rows, bytes = zx_dtypes[job->slots.dtype].bytes;
    size_t token, end;
    float sum[SOME];
    zx_split(job->slots.rows, 1, part, parts, &token, &end);
    for (; token < end; token++)
        for (size_t first = 0; first < rows; first += SOME) {
            const char *from = (const char *)zx_operand_row(&job->slots, token) + first * bytes;
            const size_t left = rows - first, count = left < SOME ? left : SOME;
            memset(sum, 0, sizeof sum);
            for (size_t slot = 0; slot < experts->indices->columns; slot++)
                add_share(job->slots.dtype, zx_experts_shares(experts, token)[slot],
                          from + slot * rows * bytes, count, sum);
            finish_sums(experts, token, first, count, sum);
        }
}

static void combine_many(expert_job *job)
{
    combine_job combine = {job->experts, slots_of(&job->experts, job->memory)};
    job->experts.y = &combine.slots;
    job->memory = (char *)job->memory + combine.slots.rows * combine.slots.stride;
    run_experts(job);
    zx_pool_run(combine.experts.launch->pool, zx_row_parts(combine.experts.launch), combine_rows,
                &combine);
}

/* -------- rows of the kernel table -------- */

size_t ZX_KERNEL(scratch_experts)(const zx_launch *launch)
{
    expert_job job = {.experts = zx_experts_plain(launch)};
    return job_bytes(&job);
}

zmlx_status ZX_KERNEL(expert_matmul)(const zx_launch *launch)
{
    expert_job job = {
        .experts = zx_experts_plain(launch), .run = plain_item, .memory = launch->scratch};
    run_experts(&job);
    return ZMLX_OK;
}

size_t ZX_KERNEL(scratch_expert_glu)(const zx_launch *launch)
{
    expert_job job = {.experts = zx_experts_gated(launch)};
    return job_bytes(&job);
}

zmlx_status ZX_KERNEL(expert_glu)(const zx_launch *launch)
{
    expert_job job = {
        .experts = zx_experts_gated(launch), .run = gated_item, .memory = launch->scratch};
    run_experts(&job);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(expert_clamped_glu)(const zx_launch *launch)
{
    return ZX_KERNEL(expert_glu)(launch);
}

size_t ZX_KERNEL(scratch_expert_combine)(const zx_launch *launch)
{
    expert_job job = {.experts = zx_experts_plain(launch)};
    const size_t one = zx_pool_threads(launch->pool) * combine_thread_bytes(&job);
    const zx_operand slots = slots_of(&job.experts, NULL);
    const size_t many = slots.rows * slots.stride + job_bytes(&job);
    return one > many ? one : many;
}

zmlx_status ZX_KERNEL(expert_combine)(const zx_launch *launch)
{
    expert_job job = {
        .experts = zx_experts_plain(launch), .run = plain_item, .memory = launch->scratch};
    if (launch->inputs[0].rows == 1)
        combine_one(&job);
    else
        combine_many(&job);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(expert_combine_add)(const zx_launch *launch)
{
    return ZX_KERNEL(expert_combine)(launch);
}
