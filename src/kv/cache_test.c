/* cache_test.c - sequences: reserving, sharing prefixes, running out of pages. */
#include <string.h>

#include "base/test.h"
#include "kv/cache.h"

enum { TOKENS = 3 * ZX_PAGE_TOKENS + 5 };

static const zx_kv_layer layers[] = {{.kv_heads = 2, .key_size = 16, .value_size = 8},
                                     {.kv_heads = 1, .key_size = 4, .value_size = 4}};

static void fill(int32_t ids[TOKENS], int32_t change_at)
{
    for (int32_t i = 0; i < TOKENS; i++) ids[i] = i < change_at ? i : -i;
}

static bool compute(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count)
{
    if (zx_sequence_reserve(cache, sequence, count) != ZMLX_OK) return false;
    zx_sequence_commit(cache, sequence, ids, count);
    return zx_blocks_check(cache->blocks) == ZMLX_OK;
}

TEST(a_page_holds_each_layer_at_an_aligned_place)
{
    zx_cache cache;
    CHECK(zx_cache_create(layers, 2, ZX_F16, 4, &cache) == ZMLX_OK);
    const size_t keys = 2 * 16 * ZX_PAGE_TOKENS * 2;
    CHECK(cache.pages.layers[0].values_offset == keys);
    CHECK(cache.pages.layers[1].keys_offset == keys + keys / 2);
    size_t page_bytes = 0;
    CHECK(zx_cache_page_bytes(layers, 2, ZX_F16, &page_bytes) == ZMLX_OK);
    CHECK(cache.pages.page_bytes == page_bytes);
    CHECK(cache.pages.page_bytes % 64 == 0);
    zx_cache_destroy(&cache);
}

/* The allocator of the test, adding up what it is asked for. */
static size_t asked;

static void *adding_alloc(size_t bytes, void *user)
{
    const zmlx_allocator *inner = user;
    asked += bytes;
    return inner->alloc(bytes, inner->user);
}

static void inner_free(void *memory, void *user)
{
    const zmlx_allocator *inner = user;
    inner->free(memory, inner->user);
}

TEST(the_figures_of_memory_are_what_is_taken)
{
    zx_cache cache = {0};
    zx_sequence sequence = {0};
    size_t cache_bytes = 0, page_bytes = 0, sequence_bytes = 0;
    CHECK(zx_cache_page_bytes(layers, 2, ZX_F16, &page_bytes) == ZMLX_OK);
    CHECK(zx_cache_bytes(layers, 2, ZX_F16, 300, &cache_bytes) == ZMLX_OK);
    CHECK(zx_sequence_bytes(TOKENS, &sequence_bytes) == ZMLX_OK);
    zmlx_allocator inner = zx_test_allocator();
    const zmlx_allocator adding = {adding_alloc, inner_free, &inner};
    zmlx_set_allocator(&adding);
    asked = 0;
    zmlx_status status = zx_cache_create(layers, 2, ZX_F16, 300, &cache);
    const size_t of_cache = asked + 300 * page_bytes; /* the pages are mapped */
    asked = 0;
    if (status == ZMLX_OK) status = zx_sequence_open(TOKENS, 0, &sequence);
    const size_t of_sequence = asked;
    if (status == ZMLX_OK) zx_sequence_close(&cache, &sequence);
    zx_cache_destroy(&cache);
    zmlx_set_allocator(&inner);
    CHECK(status == ZMLX_OK);
    CHECK(of_cache == cache_bytes && of_sequence == sequence_bytes);
}

TEST(sizes_that_wrap_are_refused)
{
    static const zx_kv_layer wide[] = {{.kv_heads = SIZE_MAX / 64, .key_size = 2, .value_size = 2}};
    static const zx_kv_layer two[] = {{.kv_heads = 1, .key_size = SIZE_MAX / 512, .value_size = 1},
                                      {.kv_heads = 1, .key_size = 1, .value_size = SIZE_MAX / 300}};
    static const zx_kv_layer zero[] = {
        {.kv_heads = SIZE_MAX / 2 + 1, .key_size = 2, .value_size = 2}}; /* a product of 0 */
    size_t bytes = 0;
    zx_cache cache;
    CHECK(zx_cache_page_bytes(zero, 1, ZX_F16, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_cache_page_bytes(wide, 1, ZX_F16, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "keys of a page exceed the address space") != NULL);
    CHECK(zx_cache_page_bytes(two, 1, ZX_F32, &bytes) == ZMLX_OK);
    CHECK(zx_cache_page_bytes(two, 2, ZX_F32, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "values of a page exceed the address space") != NULL);
    CHECK(zx_cache_bytes(two, 1, ZX_F32, 4, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_cache_create(two, 1, ZX_F32, 4, &cache) == ZMLX_ERROR_MEMORY);
    CHECK(zx_cache_create(wide, 1, ZX_F16, 4, &cache) == ZMLX_ERROR_MEMORY);
    CHECK(zx_blocks_bytes(SIZE_MAX / 300, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_sequence_bytes(SIZE_MAX / 4, &bytes) == ZMLX_ERROR_MEMORY);
}

TEST(a_sequence_starts_with_the_full_pages_it_shares_with_an_earlier_one)
{
    zx_cache cache;
    zx_sequence first, second;
    int32_t ids[TOKENS];
    fill(ids, TOKENS);
    CHECK(zx_cache_create(layers, 2, ZX_F32, 12, &cache) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &first) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &second) == ZMLX_OK);
    CHECK(compute(&cache, &first, ids, TOKENS));
    fill(ids, 2 * ZX_PAGE_TOKENS + 1); /* differs inside the third page */
    zx_sequence_reuse(&cache, &second, ids, TOKENS);
    CHECK(second.length == 2 * ZX_PAGE_TOKENS && second.page_count == 2);
    CHECK(second.table[0] == first.table[0] && second.table[1] == first.table[1]);
    CHECK(compute(&cache, &second, ids + second.length, TOKENS - second.length));
    CHECK(second.table[2] != first.table[2]);
    zx_sequence_close(&cache, &first);
    zx_sequence_close(&cache, &second);
    CHECK(zx_blocks_free_count(cache.blocks) == 11);
    zx_cache_destroy(&cache);
}

TEST(at_least_one_token_is_left_to_compute)
{
    zx_cache cache;
    zx_sequence first, second;
    int32_t ids[TOKENS];
    fill(ids, TOKENS);
    CHECK(zx_cache_create(layers, 2, ZX_F32, 12, &cache) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &first) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &second) == ZMLX_OK);
    CHECK(compute(&cache, &first, ids, TOKENS));
    zx_sequence_reuse(&cache, &second, ids, 2 * ZX_PAGE_TOKENS);
    CHECK(second.length == ZX_PAGE_TOKENS);
    zx_sequence_close(&cache, &first);
    zx_sequence_close(&cache, &second);
    zx_cache_destroy(&cache);
}

/* Two sequences compute the same pages side by side: the second's pages stay unknown, and what
 * follows them is still found under the first's. */
TEST(equal_pages_computed_twice_are_known_once)
{
    zx_cache cache;
    zx_sequence first, second, third;
    int32_t ids[TOKENS];
    fill(ids, TOKENS);
    CHECK(zx_cache_create(layers, 2, ZX_F32, 16, &cache) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &first) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &second) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &third) == ZMLX_OK);
    CHECK(compute(&cache, &first, ids, ZX_PAGE_TOKENS));
    CHECK(compute(&cache, &second, ids, TOKENS));
    zx_sequence_reuse(&cache, &third, ids, TOKENS);
    CHECK(third.length == 3 * ZX_PAGE_TOKENS);
    CHECK(third.table[0] == first.table[0] && third.table[1] == second.table[1]);
    zx_sequence_close(&cache, &third);
    zx_sequence_close(&cache, &second);
    zx_sequence_close(&cache, &first);
    CHECK(zx_blocks_check(cache.blocks) == ZMLX_OK);
    zx_cache_destroy(&cache);
}

TEST(running_out_of_pages_changes_nothing)
{
    zx_cache cache;
    zx_sequence sequence;
    int32_t ids[TOKENS];
    fill(ids, TOKENS);
    CHECK(zx_cache_create(layers, 2, ZX_F32, 3, &cache) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 0, &sequence) == ZMLX_OK);
    CHECK(compute(&cache, &sequence, ids, 10));
    CHECK(zx_sequence_reserve(&cache, &sequence, TOKENS - 10) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "pages") != NULL);
    CHECK(sequence.page_count == 1 && zx_blocks_free_count(cache.blocks) == 1);
    CHECK(zx_sequence_reserve(&cache, &sequence, TOKENS) == ZMLX_ERROR_ARGUMENT);
    CHECK(zx_sequence_reserve(&cache, &sequence, ZX_PAGE_TOKENS) == ZMLX_OK);
    CHECK(sequence.page_count == 2);
    zx_sequence_trim(&cache, &sequence);
    CHECK(sequence.page_count == 1);
    zx_sequence_close(&cache, &sequence);
    zx_cache_destroy(&cache);
}
