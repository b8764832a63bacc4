/* cache_test.c - sequences: reserving, sharing prefixes, running out of pages. */
#include <string.h>

#include "base/test.h"
#include "kv/cache.h"

enum { TOKENS = 3 * ZX_PAGE_TOKENS + 5 };

static const zx_kv_layer layers[] = {{.kv_heads = 2, .key_size = 16, .value_size = 8},
                                     {.kv_heads = 1, .key_size = 4, .value_size = 4}};
static const zx_cache_layers attending = {.kv = layers, .kv_count = 2};

static zmlx_status create(size_t pages, zx_cache *cache)
{
    return zx_cache_create(&attending, ZX_F32, &(zx_cache_size){.pages = pages}, cache);
}

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
    const zx_cache_size size = {.pages = 4};
    CHECK(zx_cache_create(&attending, ZX_F16, &size, &cache) == ZMLX_OK);
    const size_t keys = 2 * 16 * ZX_PAGE_TOKENS * 2;
    CHECK(cache.pages.layers[0].values_offset == keys);
    CHECK(cache.pages.layers[1].keys_offset == keys + keys / 2);
    zx_kv_pages pages;
    CHECK(zx_cache_measure(&attending, ZX_F16, &size, &pages) == ZMLX_OK);
    CHECK(cache.pages.page_bytes == pages.page_bytes);
    CHECK(cache.pages.page_bytes % 64 == 0);
    CHECK(cache.states == NULL && cache.pages.states.memory == NULL);
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

static const zx_state_layer state_layers[] = {{.values = 5}, {.values = 32}};
static const zx_cache_layers recurrent = {layers, 2, state_layers, 2};

static bool takes_what_it_says(const zx_cache_layers *model, const zx_cache_size *size)
{
    zx_cache cache = {0};
    zx_sequence sequence = {0};
    zx_kv_pages pages;
    size_t cache_bytes = 0, sequence_bytes = 0;
    if (zx_cache_measure(model, ZX_F16, size, &pages) != ZMLX_OK ||
        zx_cache_bytes(model, ZX_F16, size, &cache_bytes) != ZMLX_OK ||
        zx_sequence_bytes(TOKENS, &sequence_bytes) != ZMLX_OK)
        return false;
    zmlx_allocator inner = zx_test_allocator();
    const zmlx_allocator adding = {adding_alloc, inner_free, &inner};
    zmlx_set_allocator(&adding);
    asked = 0;
    zmlx_status status = zx_cache_create(model, ZX_F16, size, &cache);
    /* pages and slots are mapped */
    const size_t slots = model->state_count > 0 ? size->slots - 1 : 0;
    const size_t of_cache = asked + size->pages * pages.page_bytes + slots * (64 + 128);
    asked = 0;
    if (status == ZMLX_OK) status = zx_sequence_open(TOKENS, 0, &sequence);
    const size_t of_sequence = asked;
    if (status == ZMLX_OK) zx_sequence_close(&cache, &sequence);
    zx_cache_destroy(&cache);
    zmlx_set_allocator(&inner);
    return status == ZMLX_OK && of_cache == cache_bytes && of_sequence == sequence_bytes;
}

TEST(the_figures_of_memory_are_what_is_taken)
{
    CHECK(takes_what_it_says(&attending, &(zx_cache_size){300, 7}));
    CHECK(takes_what_it_says(&recurrent, &(zx_cache_size){300, 7}));
}

static zmlx_status bytes_of_page(const zx_kv_layer *kv, size_t count, zx_dtype dtype)
{
    zx_kv_pages pages;
    const zx_cache_layers model = {.kv = kv, .kv_count = count};
    return zx_cache_measure(&model, dtype, &(zx_cache_size){.pages = 1}, &pages);
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
    CHECK(bytes_of_page(zero, 1, ZX_F16) == ZMLX_ERROR_MEMORY);
    CHECK(bytes_of_page(wide, 1, ZX_F16) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "keys of a page exceed the address space") != NULL);
    CHECK(bytes_of_page(two, 1, ZX_F32) == ZMLX_OK);
    CHECK(bytes_of_page(two, 2, ZX_F32) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "values of a page exceed the address space") != NULL);
    const zx_cache_layers of_two = {.kv = two, .kv_count = 1},
                          of_wide = {.kv = wide, .kv_count = 1};
    const zx_cache_size four = {.pages = 4, .slots = 4};
    CHECK(zx_cache_bytes(&of_two, ZX_F32, &four, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_cache_create(&of_two, ZX_F32, &four, &cache) == ZMLX_ERROR_MEMORY);
    CHECK(zx_cache_create(&of_wide, ZX_F16, &four, &cache) == ZMLX_ERROR_MEMORY);
    static const zx_state_layer large[] = {{.values = SIZE_MAX / 4}, {.values = SIZE_MAX / 32}};
    const zx_cache_layers one_state = {layers, 2, large + 1, 1}, two_states = {layers, 2, large, 2};
    CHECK(zx_cache_bytes(&two_states, ZX_F32, &four, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_cache_bytes(&one_state, ZX_F32, &four, &bytes) == ZMLX_OK);
    CHECK(zx_cache_bytes(&one_state, ZX_F32, &(zx_cache_size){4, 9}, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_states_bytes(SIZE_MAX / 8, 4, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_blocks_bytes(SIZE_MAX / 300, &bytes) == ZMLX_ERROR_MEMORY);
    CHECK(zx_sequence_bytes(SIZE_MAX / 4, &bytes) == ZMLX_ERROR_MEMORY);
}

TEST(a_sequence_starts_with_the_full_pages_it_shares_with_an_earlier_one)
{
    zx_cache cache;
    zx_sequence first, second;
    int32_t ids[TOKENS];
    fill(ids, TOKENS);
    CHECK(create(12, &cache) == ZMLX_OK);
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
    CHECK(create(12, &cache) == ZMLX_OK);
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
    CHECK(create(16, &cache) == ZMLX_OK);
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
    CHECK(create(3, &cache) == ZMLX_OK);
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
