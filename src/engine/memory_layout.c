#include "engine/memory_layout.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"

enum { ALIGNMENT = 64 };

static int larger_first(const void *a, const void *b)
{
    const zx_span_of_life *const *left = a, *const *right = b;
    if ((*left)->bytes != (*right)->bytes) return (*left)->bytes < (*right)->bytes ? 1 : -1;
    return (*left)->first < (*right)->first ? -1 : (*left)->first > (*right)->first;
}

static bool meet(const zx_span_of_life *a, const zx_span_of_life *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The end of a placed value that stands in the way at this offset, or 0. */
static size_t obstacle(zx_span_of_life *const placed[], size_t count, const zx_span_of_life *value,
                       size_t offset)
{
    for (size_t i = 0; i < count; i++) {
        const size_t end = placed[i]->offset + placed[i]->bytes;
        if (meet(placed[i], value) && offset < end && placed[i]->offset < offset + value->bytes)
            return end;
    }
    return 0;
}

zmlx_status zx_memory_layout(zx_span_of_life values[], size_t count, size_t *total)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(count + 1, sizeof(zx_span_of_life *), "memory layout", &memory));
    zx_span_of_life **order = memory;
    size_t real = 0; /* many values of a graph, such as weights, take no room here */
    for (size_t i = 0; i < count; i++) {
        values[i].bytes = (values[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        values[i].offset = 0;
        if (values[i].bytes > 0) order[real++] = &values[i];
    }
    qsort(order, real, sizeof(zx_span_of_life *), larger_first);
    *total = 0;
    for (size_t i = 0; i < real; i++) {
        size_t offset = 0;
        for (size_t end = 1; end != 0; offset = end != 0 ? end : offset)
            end = obstacle(order, i, order[i], offset);
        order[i]->offset = offset;
        if (offset + order[i]->bytes > *total) *total = offset + order[i]->bytes;
    }
    zx_free(memory);
    return ZMLX_OK;
}
