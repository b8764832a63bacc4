/* memory.c - the heap behind one struct of two functions.
 *
 * The default allocator is the C library's; a program may put its own in its place before the
 * first call.  Nothing is stored beside a block: the allocator that gave it takes it back, and
 * growing copies, because the two-function contract has no 'realloc'. */
#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

enum {
    ALIGNMENT = 64,
#ifdef ZX_TEST_SMALL
    FIRST_BYTES = 1, /* so that every test of a growing thing sees it grow */
#else
    FIRST_BYTES = 64,
#endif
};

static void *default_alloc(size_t bytes, void *user)
{
    (void)user;
    if (bytes > SIZE_MAX - ALIGNMENT) return NULL;
    return aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static void default_free(void *memory, void *user)
{
    (void)user;
    free(memory);
}

const zmlx_allocator zx_default_allocator = {default_alloc, default_free, NULL};

static zmlx_allocator current = {default_alloc, default_free, NULL};
static atomic_size_t allocations;
static const zx_memory_watch *_Atomic watcher;

void zx_watch_memory(const zx_memory_watch *watch)
{
    atomic_store(&watcher, watch);
}

void zx_memory_taken(const void *memory, size_t bytes, const char *what)
{
    const zx_memory_watch *const told = atomic_load_explicit(&watcher, memory_order_acquire);
    if (told != NULL && memory != NULL) told->taken(memory, bytes, what);
}

void zx_memory_freed(const void *memory)
{
    const zx_memory_watch *const told = atomic_load_explicit(&watcher, memory_order_acquire);
    if (told != NULL && memory != NULL) told->freed(memory);
}

void zmlx_set_allocator(const zmlx_allocator *allocator)
{
    current = allocator != NULL ? *allocator : zx_default_allocator;
}

zmlx_status zx_alloc(size_t bytes, const char *what, void **memory)
{
    assert(what != NULL && memory != NULL);
    const size_t asked = bytes > 0 ? bytes : 1;
    /* No object may be larger than PTRDIFF_MAX: pointers into it could not be subtracted. */
    void *const fresh = asked <= PTRDIFF_MAX ? current.alloc(asked, current.user) : NULL;
    if (fresh == NULL)
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: %zu bytes of memory are not to be had", what, bytes);
    if ((uintptr_t)fresh % ALIGNMENT != 0) {
        current.free(fresh, current.user);
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the allocator gave a block not aligned to %d bytes",
                       (int)ALIGNMENT);
    }
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    zx_memory_taken(fresh, bytes, what);
    *memory = memset(fresh, 0, asked);
    return ZMLX_OK;
}

zmlx_status zx_alloc_array(size_t count, size_t size, const char *what, void **memory)
{
    size_t bytes = 0;
    if (!zx_multiply_fits(count, size, &bytes))
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: %zu items of %zu bytes exceed the address space",
                       what, count, size);
    return zx_alloc(bytes, what, memory);
}

void zx_free(void *memory)
{
    if (memory == NULL) return;
    zx_memory_freed(memory);
    current.free(memory, current.user);
}

zmlx_status zx_grow(void *items, size_t *capacity, size_t needed, size_t size, const char *what)
{
    assert(items != NULL && capacity != NULL && size > 0);
    if (needed <= *capacity) return ZMLX_OK;
    size_t wanted = *capacity > SIZE_MAX / 2 ? needed : *capacity * 2;
    if (wanted < needed) wanted = needed;
    if (wanted < FIRST_BYTES / size) wanted = FIRST_BYTES / size;

    /* 'items' is the address of a pointer of any type; copied, since it may not be read as
     * a 'void *'. */
    void *old = NULL, *fresh = NULL;
    memcpy(&old, items, sizeof old);
    ZX_TRY(zx_alloc_array(wanted, size, what, &fresh));
    if (*capacity > 0) memcpy(fresh, old, *capacity * size);
    zx_free(old);
    memcpy(items, &fresh, sizeof fresh);
    *capacity = wanted;
    return ZMLX_OK;
}

size_t zx_allocation_count(void)
{
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}
