/* memory.h - the only door to the heap.
 *
 * Every block the library takes goes through the allocator set with
 * zmlx_set_allocator (malloc by default), so a program can count, limit or fail them.
 * Blocks are 64-byte aligned.  Nothing else in src/ calls malloc (tools/heap.sh checks). */
#ifndef ZX_BASE_MEMORY_H
#define ZX_BASE_MEMORY_H

#include <stddef.h>

#include "zmlx/runtime.h"

/* Fails with ZMLX_ERROR_MEMORY naming 'what'; the block is zeroed.  bytes 0 gives a block. */
ZMLX_MUST_CHECK zmlx_status zx_alloc(size_t bytes, const char *what, void **memory);

/* Same for count * size, with the product checked. */
ZMLX_MUST_CHECK zmlx_status zx_alloc_array(size_t count, size_t size, const char *what,
                                           void **memory);

/* Frees a block from zx_alloc; NULL does nothing. */
void zx_free(void *memory);

/* Grows *items to hold 'needed' items of 'size' bytes, doubling; new items are zeroed.
 * On failure *items and *capacity are unchanged. */
ZMLX_MUST_CHECK zmlx_status zx_grow(void *items, size_t *capacity, size_t needed, size_t size,
                                    const char *what);

/* What is used unless zmlx_set_allocator said otherwise; for allocators that wrap it. */
extern const zmlx_allocator zx_default_allocator;

/* How many blocks were taken since the process began (all threads).  Tests of
 * 'zero allocations per token' read it twice. */
size_t zx_allocation_count(void);

/* Told of every block with its 'what', and of the memory that comes through other doors (regions,
 * mapped files, buffers of the CPU): base/ledger_testing.h looks for leaks so.  'what' may not
 * outlive the call.  Both are called from any thread. */
typedef struct zx_memory_watch {
    void (*taken)(const void *memory, size_t bytes, const char *what);
    void (*freed)(const void *memory); /* before it is */
} zx_memory_watch;

/* NULL: nobody is told, which costs a comparison. */
void zx_watch_memory(const zx_memory_watch *watch);

/* What the other doors say; NULL does nothing. */
void zx_memory_taken(const void *memory, size_t bytes, const char *what);
void zx_memory_freed(const void *memory);

#endif
