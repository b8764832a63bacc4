/* memory_test.c - blocks are aligned, zeroed, counted; sizes cannot wrap; failing is clean. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"

TEST(memory_is_aligned_and_zeroed)
{
    for (size_t bytes = 0; bytes < 5000; bytes = bytes * 2 + 1) {
        void *memory = NULL;
        CHECK(zx_alloc(bytes, "block", &memory) == ZMLX_OK);
        CHECK(memory != NULL && (uintptr_t)memory % 64 == 0);
        const unsigned char *const at = memory;
        size_t clean = 0;
        while (clean < bytes && at[clean] == 0) clean++;
        CHECK(clean == bytes);
        memset(memory, 0xff, bytes); /* so that the next block shows whether it was cleared */
        zx_free(memory);
    }
    zx_free(NULL);
}

TEST(memory_counts_allocations_and_gives_all_back)
{
    const size_t before = zx_allocation_count(), live = zx_test_live_blocks();
    void *memory = NULL;
    CHECK(zx_alloc(10, "block", &memory) == ZMLX_OK);
    CHECK(zx_allocation_count() == before + 1);
    CHECK(zx_test_live_blocks() == live + 1);
    zx_free(memory);
    CHECK(zx_allocation_count() == before + 1);
    CHECK(zx_test_live_blocks() == live);
}

TEST(memory_refuses_impossible_sizes)
{
    void *memory = NULL;
    CHECK(zx_alloc(SIZE_MAX, "weights", &memory) == ZMLX_ERROR_MEMORY);
    CHECK(zx_alloc((size_t)PTRDIFF_MAX + 1, "weights", &memory) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "weights") != NULL);
    CHECK(zx_alloc_array(SIZE_MAX / 2, 3, "pages", &memory) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "pages") != NULL);
    CHECK(memory == NULL);
}

TEST(memory_grow_keeps_items_and_zeroes_the_new)
{
    int *items = NULL;
    size_t capacity = 0, fills = 0;
    const size_t live = zx_test_live_blocks();
    for (size_t count = 0; count < 1000; count++) {
        const size_t old = capacity;
        CHECK(zx_grow(&items, &capacity, count + 1, sizeof *items, "items") == ZMLX_OK);
        for (size_t i = old; i < capacity; i++) CHECK(items[i] == 0);
        fills += capacity != old;
        items[count] = (int)count;
        memset(items + count + 1, 0, (capacity - count - 1) * sizeof *items);
    }
    CHECK(fills <= 11); /* it doubles */
    for (int i = 0; i < 1000; i++) CHECK(items[i] == i);
    CHECK(zx_test_live_blocks() == live + 1);
    zx_free(items);
}

TEST(memory_grow_that_fails_changes_nothing)
{
    short *items = NULL;
    size_t capacity = 0;
    CHECK(zx_grow(&items, &capacity, 5, sizeof *items, "items") == ZMLX_OK);
    short *const before = items;
    const size_t had = capacity;
    items[4] = 7;
    zx_test_fail_allocation(1);
    CHECK(zx_grow(&items, &capacity, had + 1, sizeof *items, "items") == ZMLX_ERROR_MEMORY);
    CHECK(zx_grow(&items, &capacity, SIZE_MAX, sizeof *items, "items") == ZMLX_ERROR_MEMORY);
    CHECK(items == before && capacity == had && items[4] == 7);
    CHECK(zx_grow(&items, &capacity, had + 1, sizeof *items, "items") == ZMLX_OK);
    CHECK(capacity > had && items[4] == 7);
    zx_free(items);
}

static void *crooked_alloc(size_t bytes, void *user)
{
    char *const memory = zx_default_allocator.alloc(bytes + 8, NULL);
    *(char **)user = memory;
    return memory + 8;
}

static void crooked_free(void *memory, void *user)
{
    (void)memory;
    zx_default_allocator.free(*(char **)user, NULL);
    *(char **)user = NULL;
}

TEST(memory_refuses_a_misaligned_block)
{
    char *given = NULL;
    void *memory = NULL;
    zmlx_allocator usual = zx_test_allocator();
    zmlx_set_allocator(&(zmlx_allocator){crooked_alloc, crooked_free, &given});
    const zmlx_status status = zx_alloc(10, "block", &memory);
    zmlx_set_allocator(&usual);
    CHECK(status == ZMLX_ERROR_ARGUMENT);
    CHECK(given == NULL && memory == NULL);
}
