/* hash_test.c - the hash spreads, the table remembers. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/test.h"

TEST(hash_values_never_change)
{
    /* Stored in caches on disk: another value here makes every one of them stale. */
    const char *const text = "The quick brown fox jumps over the lazy dog, twice if need be.";
    CHECK(zx_hash("", 0, 0) == 0xe1226c05c1edc9ceu);
    CHECK(zx_hash("abc", 3, 0) == 0x0c5a49431a705b0eu);
    CHECK(zx_hash(text, strlen(text), 42) == 0x0db181853b8faad7u);
}

TEST(hash_of_prefixes_and_seeds_differ)
{
    enum { LENGTHS = 200 };
    char zeros[LENGTHS] = {0};
    uint64_t seen[2 * LENGTHS];
    size_t count = 0;
    for (size_t length = 0; length < LENGTHS; length++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            const uint64_t hash = zx_hash(zeros, length, seed);
            for (size_t i = 0; i < count; i++) CHECK(seen[i] != hash);
            seen[count++] = hash;
        }
}

TEST(hash_each_input_bit_moves_half_of_the_output)
{
    for (size_t length = 1; length <= 70; length++) {
        unsigned char bytes[70];
        for (size_t i = 0; i < length; i++) bytes[i] = (unsigned char)zx_test_random();
        const uint64_t hash = zx_hash(bytes, length, 7);
        int moved = 0;
        for (size_t bit = 0; bit < length * 8; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            const uint64_t other = zx_hash(bytes, length, 7);
            CHECK(other != hash);
            moved += __builtin_popcountll(hash ^ other);
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        const double mean = moved / (double)(length * 8);
        CHECK(mean > 27 && mean < 37); /* 32 is perfect; 8 bits of input sway by 1.4 */
    }
}

TEST(hash_low_bits_of_counters_are_spread)
{
    enum { BUCKETS = 1024, PER_BUCKET = 64 };
    int counts[BUCKETS] = {0};
    for (uint32_t i = 0; i < BUCKETS * PER_BUCKET; i++)
        counts[zx_hash(&i, sizeof i, 0) % BUCKETS]++;
    double chi = 0;
    for (int i = 0; i < BUCKETS; i++)
        chi += (counts[i] - PER_BUCKET) * (double)(counts[i] - PER_BUCKET) / PER_BUCKET;
    CHECK(chi > 800 && chi < 1250); /* 1023 +- 45 for random values: five deviations */
}

TEST(hash_seeds_are_not_alike)
{
    const uint64_t first = zx_hash_seed(), second = zx_hash_seed();
    CHECK(first != second);
}

TEST(table_finds_what_was_put_in)
{
    enum { COUNT = 3000 };
    static char keys[COUNT][16];
    zx_table table = {.seed = zx_hash_seed()};
    uint32_t value = 0;
    bool added = false;
    CHECK(!zx_table_find(&table, "x", 1, &value));
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "key %u", i * 7);
        CHECK(zx_table_insert(&table, keys[i], strlen(keys[i]), i, &added) == ZMLX_OK && added);
        CHECK(zx_table_insert(&table, keys[i], strlen(keys[i]), i + 1, &added) == ZMLX_OK);
        CHECK(!added && table.count == i + 1);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK(zx_table_find(&table, keys[i], strlen(keys[i]), &value) && value == i);
        CHECK(!zx_table_find(&table, keys[i], strlen(keys[i]) - 1, &value) || value != i);
    }
    CHECK(!zx_table_find(&table, "key 1", 5, &value));
    zx_table_fini(&table);
    CHECK(table.slots == NULL && !zx_table_find(&table, "key 0", 5, &value));
}

TEST(table_keys_may_be_empty_or_hold_nul)
{
    zx_table table = {0};
    bool added = false;
    uint32_t value = 0;
    CHECK(!zx_table_find(&table, "", 0, &value));
    CHECK(zx_table_insert(&table, "a\0b", 3, 1, &added) == ZMLX_OK && added);
    CHECK(!zx_table_find(&table, "", 0, &value));
    CHECK(zx_table_insert(&table, NULL, 0, 2, &added) == ZMLX_OK && added);
    CHECK(zx_table_insert(&table, "a\0c", 3, 3, &added) == ZMLX_OK && added);
    CHECK(zx_table_insert(&table, "a", 1, 4, &added) == ZMLX_OK && added);
    CHECK(zx_table_find(&table, "a\0b", 3, &value) && value == 1);
    CHECK(zx_table_find(&table, "", 0, &value) && value == 2);
    CHECK(zx_table_find(&table, "a\0c", 3, &value) && value == 3);
    CHECK(zx_table_find(&table, "a", 1, &value) && value == 4);
    zx_table_fini(&table);
}

TEST(table_reserved_room_is_enough)
{
    static char keys[1000][8];
    for (size_t count = 1; count <= 1000; count = count * 3 + 1) {
        zx_table table = {0};
        bool added = false;
        CHECK(zx_table_reserve(&table, count) == ZMLX_OK);
        const size_t before = zx_allocation_count();
        for (uint32_t i = 0; i < count; i++) {
            (void)snprintf(keys[i], sizeof keys[i], "%u", i);
            CHECK(zx_table_insert(&table, keys[i], strlen(keys[i]), i, &added) == ZMLX_OK);
        }
        CHECK(zx_allocation_count() == before);
        zx_table_fini(&table);
    }
    zx_table table = {0};
    CHECK(zx_table_reserve(&table, SIZE_MAX / 4) == ZMLX_ERROR_MEMORY);
    CHECK(table.slots == NULL && table.capacity == 0);
}

TEST(table_that_cannot_grow_keeps_its_keys)
{
    static char keys[100][8];
    zx_table table = {0};
    bool added = false;
    uint32_t put = 0, value = 0;
    zmlx_status status = ZMLX_OK;
    zx_test_fail_allocation(3);
    while (put < 100 && status == ZMLX_OK) {
        (void)snprintf(keys[put], sizeof keys[put], "%u", put);
        status = zx_table_insert(&table, keys[put], strlen(keys[put]), put, &added);
        if (status == ZMLX_OK) put++;
    }
    CHECK(status == ZMLX_ERROR_MEMORY && put > 10 && table.count == put);
    for (uint32_t i = 0; i < put; i++)
        CHECK(zx_table_find(&table, keys[i], strlen(keys[i]), &value) && value == i);
    zx_table_fini(&table);
}
