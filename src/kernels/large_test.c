/* large_test.c - tables, experts and pages whose last values lie beyond 2^31 values, and so beyond
 * 2^32 bytes: every kernel must compute from there what it computes from a small one.  Of the
 * memory only what a kernel touches exists. */
#include "base/region.h"
#include "kernels/rows_testing.h"

enum { COLUMNS = 1024, OUTPUTS = 16, KV_HEADS = 2, HEAD = 64, TOKENS = 70 };

static const size_t beyond = ((size_t)1 << 31) + COLUMNS; /* values */

/* The same op on large and on small memory; both outputs are fresh. */
typedef struct pair {
    zx_launch large, small;
} pair;

/* Runs a kernel both ways; false where the results differ. */
static bool same_results(const zx_kernel *kernel, const pair *both, zx_operand *large,
                         zx_operand *small)
{
    zx_launch launches[] = {both->large, both->small};
    const zx_operand *const outputs[] = {large, small};
    for (size_t i = 0; i < 2; i++) {
        const zx_operand *y = outputs[i];
        memset(y->data, TESTING_FILL, y->rows * y->stride);
        launches[i].outputs[0] = *y;
        launches[i].scratch = testing_alloc(kernel->scratch(&launches[i]));
        const zmlx_status status = kernel->run(&launches[i]);
        testing_free(launches[i].scratch);
        if (status != ZMLX_OK) return false;
    }
    return testing_same(large, small);
}

/* The first kernel of the op that computes otherwise, or NULL; 'count' is how many ran. */
static const char *first_that_differs(zx_op op, const pair *both, size_t *count)
{
    static const zx_activation_layout none = {0};
    const zx_operand *y = &both->small.outputs[0];
    zx_operand large = testing_operand(y->dtype, none, y->rows, y->columns, 8);
    zx_operand small = testing_operand(y->dtype, none, y->rows, y->columns, 8);
    const char *differs = NULL;
    *count = 0;
    for (size_t i = 0; i < zx_kernel_count && differs == NULL; i++) {
        const zx_kernel *kernel = &zx_kernels[i];
        if (kernel->op != op || !zx_kernel_usable(kernel) || !kernel->applies(&both->small))
            continue;
        ++*count;
        if (!same_results(kernel, both, &large, &small)) differs = kernel->name;
    }
    testing_free(large.data);
    testing_free(small.data);
    return differs;
}

static zx_weight dense(const void *codes, size_t count, size_t rows)
{
    return (zx_weight){.format = ZX_FORMAT_BF16,
                       .dtype = ZX_BF16,
                       .bits = 16,
                       .group = 1,
                       .count = count,
                       .rows = rows,
                       .columns = COLUMNS,
                       .codes = codes,
                       .codes_stride = COLUMNS * sizeof(uint16_t)};
}

static void fill(void *values, size_t count)
{
    for (size_t i = 0; i < count; i++) zx_store(ZX_BF16, values, i, testing_value(2));
}

TEST(embed_reads_rows_beyond_two_to_the_31_values)
{
    const size_t rows = beyond / COLUMNS, bytes = rows * COLUMNS * sizeof(uint16_t);
    void *memory = NULL;
    size_t count = 0;
    uint16_t last[COLUMNS];
    if (zx_region_map(bytes, "a table", &memory) != ZMLX_OK) SKIP("no addresses for a large table");
    fill(last, COLUMNS);
    memcpy((char *)memory + bytes - sizeof last, last, sizeof last);
    const zx_weight table = dense(memory, 1, rows), one = dense(last, 1, 1);
    const int32_t id = (int32_t)rows - 1, zero = 0;
    const zx_batch of_large = {.tokens = 1, .ids = &id}, of_small = {.tokens = 1, .ids = &zero};
    const zx_operand ids = {.rows = 1, .columns = 1, .dtype = ZX_I32};
    const zx_operand y = {.rows = 1, .columns = COLUMNS, .dtype = ZX_F32};
    const pair both = {
        .large = {.inputs = {ids, {.weight = &table}}, .outputs = {y}, .batch = &of_large},
        .small = {.inputs = {ids, {.weight = &one}}, .outputs = {y}, .batch = &of_small}};
    const char *differs = first_that_differs(ZX_OP_EMBED, &both, &count);
    zx_region_unmap(memory, bytes);
    CHECK_ON(differs, differs == NULL && count > 0);
}

TEST(experts_beyond_two_to_the_31_values_are_multiplied)
{
    enum { VALUES = OUTPUTS * COLUMNS };
    const size_t experts = beyond / VALUES + 1, bytes = experts * VALUES * sizeof(uint16_t);
    void *memory = NULL;
    size_t count = 0;
    if (zx_region_map(bytes, "experts", &memory) != ZMLX_OK) SKIP("no addresses for large experts");
    uint8_t *const last = (uint8_t *)memory + (experts - 1) * VALUES * sizeof(uint16_t);
    fill(last, VALUES);
    const zx_weight all = dense(memory, experts, OUTPUTS), one = dense(last, 1, OUTPUTS);
    int32_t chosen = (int32_t)experts - 1, zero = 0;
    zx_operand x = testing_random(ZX_F32, 1, COLUMNS, 2);
    const zx_operand index = {
        .rows = 1, .columns = 1, .stride = sizeof chosen, .dtype = ZX_I32, .data = &chosen};
    zx_operand first = index;
    first.data = &zero;
    const zx_operand y = {.rows = 1, .columns = OUTPUTS, .dtype = ZX_F32};
    const zx_attributes attributes = {0};
    const zx_batch batch = {.tokens = 1};
    const pair both = {.large = {.inputs = {x, index, {.weight = &all, .columns = COLUMNS}},
                                 .outputs = {y},
                                 .attributes = &attributes,
                                 .batch = &batch},
                       .small = {.inputs = {x, first, {.weight = &one, .columns = COLUMNS}},
                                 .outputs = {y},
                                 .attributes = &attributes,
                                 .batch = &batch}};
    const char *differs = first_that_differs(ZX_OP_EXPERT_MATMUL, &both, &count);
    testing_free(x.data);
    zx_region_unmap(memory, bytes);
    CHECK_ON(differs, differs == NULL && count > 0);
}

/* Two layers, the second in use; pages 1 and 2, or the last two of so many that their values lie
 * beyond 2^31. */
typedef struct paged {
    zx_kv_layer layers[2];
    zx_kv_pages kv;
    int32_t pages[2];
} paged;

static bool open_paged(size_t count, paged *p)
{
    enum { PART = KV_HEADS * HEAD * ZX_PAGE_TOKENS * (int)sizeof(uint16_t) };
    void *memory = NULL;
    for (size_t i = 0; i < 2; i++)
        p->layers[i] = (zx_kv_layer){.kv_heads = KV_HEADS,
                                     .key_size = HEAD,
                                     .value_size = HEAD,
                                     .keys_offset = 2 * i * PART,
                                     .values_offset = (2 * i + 1) * PART};
    p->kv = (zx_kv_pages){.page_bytes = (size_t)4 * PART,
                          .page_count = count > 0 ? count : beyond * 2 / (4 * PART) + 3,
                          .dtype = ZX_F16,
                          .layer_count = 2,
                          .layers = p->layers};
    for (int32_t i = 0; i < 2; i++) p->pages[i] = (int32_t)p->kv.page_count - 2 + i;
    if (zx_region_map(p->kv.page_bytes * p->kv.page_count, "pages", &memory) != ZMLX_OK)
        return false;
    p->kv.memory = memory;
    return true;
}

static uint8_t *first_page(const paged *p)
{
    return p->kv.memory + (size_t)p->pages[0] * p->kv.page_bytes;
}

static void close_paged(paged *p)
{
    zx_region_unmap(p->kv.memory, p->kv.page_bytes * p->kv.page_count);
}

/* Appends with every kernel, which must leave the same pages; then attends. */
static const char *run_paged(paged *large, paged *small, size_t *count)
{
    static const int32_t token_start[] = {0, TOKENS}, page_start[] = {0, 2};
    int32_t positions[TOKENS];
    for (int32_t i = 0; i < TOKENS; i++) positions[i] = i;
    zx_batch batches[2];
    paged *const both[] = {large, small};
    for (size_t i = 0; i < 2; i++)
        batches[i] = (zx_batch){.tokens = TOKENS,
                                .sequences = 1,
                                .positions = positions,
                                .token_start = token_start,
                                .page_start = page_start,
                                .pages = both[i]->pages};
    const zx_attributes attributes = {
        .layer = 2, .head_size = HEAD, .value_size = HEAD, .scale = 1};
    zx_operand keys = testing_random(ZX_F32, TOKENS, KV_HEADS * HEAD, 1);
    zx_operand values = testing_random(ZX_F32, TOKENS, KV_HEADS * HEAD, 1);
    zx_launch append = {.inputs = {keys, values}, .attributes = &attributes};
    const char *differs = NULL;
    *count = 0;
    for (size_t k = 0; k < zx_kernel_count && differs == NULL; k++) {
        if (zx_kernels[k].op != ZX_OP_KV_APPEND || !zx_kernel_usable(&zx_kernels[k])) continue;
        for (size_t i = 0; i < 2 && differs == NULL; i++) {
            append.kv = &both[i]->kv;
            append.batch = &batches[i];
            memset(first_page(both[i]), TESTING_FILL, 2 * both[i]->kv.page_bytes);
            append.scratch = testing_alloc(zx_kernels[k].scratch(&append));
            if (zx_kernels[k].run(&append) != ZMLX_OK) differs = zx_kernels[k].name;
            testing_free(append.scratch);
        }
        if (memcmp(first_page(large), first_page(small), 2 * small->kv.page_bytes) != 0)
            differs = zx_kernels[k].name;
        ++*count;
    }
    size_t attended = 0;
    const zx_operand y = {.rows = TOKENS, .columns = KV_HEADS * HEAD, .dtype = ZX_F32};
    pair attend;
    attend.large = attend.small = (zx_launch){
        .inputs = {keys}, .outputs = {y}, .attributes = &attributes, .batch = &batches[1]};
    attend.large.batch = &batches[0];
    attend.large.kv = &large->kv;
    attend.small.kv = &small->kv;
    if (differs == NULL) differs = first_that_differs(ZX_OP_ATTENTION, &attend, &attended);
    if (attended == 0) *count = 0;
    testing_free(keys.data);
    testing_free(values.data);
    return differs;
}

TEST(pages_beyond_two_to_the_31_values_are_written_and_read)
{
    paged large, small;
    size_t count = 0;
    if (!open_paged(0, &large)) SKIP("no addresses for many pages");
    if (!open_paged(3, &small)) {
        close_paged(&large);
        SKIP("no memory for three pages");
    }
    const char *differs = run_paged(&large, &small, &count);
    close_paged(&large);
    close_paged(&small);
    CHECK_ON(differs, differs == NULL && count > 0);
}
