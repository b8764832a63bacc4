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
    CHECK(cache.pages.page_bytes == zx_cache_page_bytes(layers, 2, ZX_F16));
    CHECK(cache.pages.page_bytes % 64 == 0);
    zx_cache_destroy(&cache);
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
