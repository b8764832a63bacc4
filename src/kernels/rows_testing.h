/* rows_testing.h - for tests: operands between guards, and every row of an op against its
 * reference, bit for bit (any NaN counts as equal to any other).
 *
 * Fresh memory is all 0xff: NaN in every float type, so that what a kernel reads without its
 * having been written, or forgets to write, shows. */
#ifndef ZX_KERNELS_ROWS_TESTING_H
#define ZX_KERNELS_ROWS_TESTING_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "kernels/kernels.h"

enum { TESTING_GUARD = 64, TESTING_FILL = 0xff };

/* 'bytes' of memory between two guards.  Not through zx_alloc: kernels take no memory, so a test of
 * failing allocations has nothing to see here. */
static inline void *testing_alloc(size_t bytes)
{
    char *const memory =
        zx_default_allocator.alloc(bytes + 2 * TESTING_GUARD, zx_default_allocator.user);
    if (memory == NULL) abort();
    memset(memory, TESTING_FILL, bytes + 2 * TESTING_GUARD);
    return memory + TESTING_GUARD;
}

static inline void testing_free(void *memory)
{
    if (memory == NULL) return;
    zx_default_allocator.free((char *)memory - TESTING_GUARD, zx_default_allocator.user);
}

static inline bool testing_untouched(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != TESTING_FILL) return false;
    return true;
}

static inline bool testing_guards_hold(const void *memory, size_t bytes)
{
    return testing_untouched((const uint8_t *)memory - TESTING_GUARD, TESTING_GUARD) &&
           testing_untouched((const uint8_t *)memory + bytes, TESTING_GUARD);
}

static inline size_t testing_row_bytes(const zx_operand *x)
{
    return x->dtype == ZX_QUANTIZED ? zx_activation_row_bytes(x->layout, x->columns)
                                    : x->columns * zx_dtypes[x->dtype].bytes;
}

/* Rows with 'gap' bytes between them; layout {0} unless the dtype is ZX_QUANTIZED. */
static inline zx_operand testing_operand(zx_dtype dtype, zx_activation_layout layout, size_t rows,
                                         size_t columns, size_t gap)
{
    zx_operand x = {.rows = rows, .columns = columns, .dtype = dtype, .layout = layout};
    x.stride = testing_row_bytes(&x) + gap;
    x.data = testing_alloc(rows * x.stride);
    return x;
}

/* Uniform in [-scale, scale), now and then 0 or tiny. */
static inline float testing_value(float scale)
{
    const uint64_t random = zx_test_random();
    if (random % 97 == 0) return random % 2 == 0 ? -0.0F : 1e-39F;
    return ((float)(random >> 40) * 0x1p-23F - 1.0F) * scale;
}

static inline void testing_fill(zx_operand *x, float scale)
{
    for (size_t row = 0; row < x->rows; row++)
        for (size_t i = 0; i < x->columns; i++)
            zx_store(x->dtype, (char *)x->data + row * x->stride, i, testing_value(scale));
}

static inline zx_operand testing_random(zx_dtype dtype, size_t rows, size_t columns, float scale)
{
    zx_operand x = testing_operand(dtype, (zx_activation_layout){0}, rows, columns, 24);
    testing_fill(&x, scale);
    return x;
}

/* A vector or matrix of the model over the memory of an operand without gaps. */
static inline zx_weight testing_weight(const zx_operand *x)
{
    static const zx_format formats[] = {
        [ZX_F32] = ZX_FORMAT_F32, [ZX_F16] = ZX_FORMAT_F16, [ZX_BF16] = ZX_FORMAT_BF16};
    return (zx_weight){.format = formats[x->dtype],
                       .dtype = x->dtype,
                       .bits = (uint8_t)(8 * zx_dtypes[x->dtype].bytes),
                       .group = 1,
                       .count = 1,
                       .rows = x->rows,
                       .columns = x->columns,
                       .codes = x->data,
                       .codes_stride = x->stride};
}

static inline bool testing_same_values(zx_dtype dtype, const void *a, const void *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float x = zx_load(dtype, a, i), y = zx_load(dtype, b, i);
        if (isnan(x) && isnan(y)) continue;
        if (zx_bits_from_float(x) != zx_bits_from_float(y)) return false;
    }
    return true;
}

/* A quantized row's scales and sums may be NaN too. */
static inline bool testing_same_slot(const zx_operand *x, size_t columns, const void *a,
                                     const void *b)
{
    const size_t planes = x->layout.planes * zx_activation_plane_bytes(columns);
    const size_t part = zx_activation_part_bytes(x->layout, columns);
    const char *left = a, *right = b;
    return memcmp(a, b, planes) == 0 &&
           testing_same_values(ZX_F32, left + planes, right + planes, 2 * part / sizeof(float)) &&
           memcmp(left + planes + 2 * part, right + planes + 2 * part, part) == 0;
}

static inline bool testing_same_row(const zx_operand *x, const void *a, const void *b)
{
    if (x->dtype == ZX_I32) return memcmp(a, b, x->columns * sizeof(int32_t)) == 0;
    if (x->dtype != ZX_QUANTIZED) return testing_same_values(x->dtype, a, b, x->columns);
    const size_t slots = zx_activation_slots(x->layout), columns = x->columns / slots;
    const size_t bytes = zx_activation_slot_bytes(x->layout, columns);
    for (size_t slot = 0; slot < slots; slot++)
        if (!testing_same_slot(x, columns, (const char *)a + slot * bytes,
                               (const char *)b + slot * bytes))
            return false;
    return true;
}

/* Same rows, and nothing written outside them. */
static inline bool testing_same(const zx_operand *a, const zx_operand *b)
{
    const size_t bytes = testing_row_bytes(a);
    for (size_t row = 0; row < a->rows; row++) {
        const uint8_t *left = (const uint8_t *)a->data + row * a->stride;
        const uint8_t *right = (const uint8_t *)b->data + row * b->stride;
        if (!testing_same_row(a, left, right)) return false;
        if (!testing_untouched(left + bytes, a->stride - bytes)) return false;
        if (!testing_untouched(right + bytes, b->stride - bytes)) return false;
    }
    return testing_guards_hold(a->data, a->rows * a->stride) &&
           testing_guards_hold(b->data, b->rows * b->stride);
}

/* Runs a kernel with exactly the scratch it asks for; false when it fails or leaves its scratch. */
static inline bool testing_run(const zx_kernel *kernel, const zx_launch *launch)
{
    zx_launch with_scratch = *launch;
    const size_t bytes = kernel->scratch(launch);
    with_scratch.scratch = testing_alloc(bytes);
    const bool ran = kernel->run(&with_scratch) == ZMLX_OK;
    const bool held = testing_guards_hold(with_scratch.scratch, bytes);
    testing_free(with_scratch.scratch);
    return ran && held;
}

static inline size_t testing_outputs(zx_op op, const zx_launch *launch)
{
    size_t count = 0;
    for (int i = 0; i < zx_ops[op].outputs; i++) count += launch->outputs[i].data != NULL;
    return count;
}

/* Runs one row on fresh outputs and pages and compares with what the launch holds. */
static inline bool testing_row_agrees(const zx_kernel *kernel, const zx_launch *launch,
                                      const uint8_t *pages_before)
{
    zx_launch fresh = *launch;
    zx_kv_pages kv = {0};
    bool same = true;
    const size_t outputs = testing_outputs(kernel->op, launch);
    for (size_t i = 0; i < outputs; i++) {
        const zx_operand *y = &launch->outputs[i];
        fresh.outputs[i] = testing_operand(y->dtype, y->layout, y->rows, y->columns,
                                           y->stride - testing_row_bytes(y));
    }
    size_t page_bytes = 0;
    if (pages_before != NULL) {
        kv = *launch->kv;
        page_bytes = kv.page_bytes * kv.page_count;
        kv.memory = testing_alloc(page_bytes);
        memcpy(kv.memory, pages_before, page_bytes);
        if (kv.states.memory != NULL) /* lies within the pages' memory */
            kv.states.memory = kv.memory + (launch->kv->states.memory - launch->kv->memory);
        fresh.kv = &kv;
    }
    same = testing_run(kernel, &fresh);
    for (size_t i = 0; i < outputs; i++) {
        same = same && testing_same(&fresh.outputs[i], &launch->outputs[i]);
        testing_free(fresh.outputs[i].data);
    }
    if (pages_before != NULL) {
        same = same && memcmp(kv.memory, launch->kv->memory, page_bytes) == 0;
        same = same && testing_guards_hold(kv.memory, page_bytes);
        testing_free(kv.memory);
    }
    return same;
}

/* Runs the reference on the launch, whose outputs keep the result, then every usable row that
 * applies, on one thread and on three.  NULL, or the name of the row that differs. */
static inline const char *testing_rows_differ(zx_op op, const zx_launch *launch)
{
    const zx_kernel *reference = zx_kernel_reference(op);
    uint8_t *before = NULL;
    if (launch->kv != NULL) {
        const size_t bytes = launch->kv->page_bytes * launch->kv->page_count;
        before = testing_alloc(bytes);
        memcpy(before, launch->kv->memory, bytes);
    }
    const char *differs = testing_run(reference, launch) ? NULL : reference->name;
    zx_pool *pool = NULL;
    if (zx_pool_create(3, &pool) != ZMLX_OK) differs = "no pool";
    for (size_t i = 0; i < zx_kernel_count && differs == NULL; i++) {
        const zx_kernel *kernel = &zx_kernels[i];
        if (kernel->op != op || !zx_kernel_usable(kernel) || !kernel->applies(launch)) continue;
        zx_launch threaded = *launch;
        threaded.pool = pool;
        if ((kernel != reference && !testing_row_agrees(kernel, launch, before)) ||
            !testing_row_agrees(kernel, &threaded, before))
            differs = kernel->name;
    }
    zx_pool_destroy(pool);
    testing_free(before);
    return differs;
}

#endif
