/* test_main_test.c - the helpers that other tests lean on. */
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

TEST(harness_random_numbers_are_splitmix64)
{
    if (getenv("ZX_SEED") != NULL) SKIP("ZX_SEED is set; the values are those of seed 1");
    CHECK(zx_test_random() == 0x910a2dec89025cc1u);
    CHECK(zx_test_random() == 0xbeeb8da1658eec67u);
}

TEST(harness_random_numbers_fill_their_range)
{
    bool seen[5] = {false};
    double least = 1, most = 0;
    for (int i = 0; i < 1000; i++) {
        const size_t pick = zx_test_below(5);
        CHECK(pick < 5);
        seen[pick] = true;
        const double value = zx_test_uniform();
        CHECK(value >= 0 && value < 1);
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    CHECK(seen[0] && seen[1] && seen[2] && seen[3] && seen[4]);
    CHECK(least < 0.02 && most > 0.98);
}

TEST(harness_shared_data_is_found_or_null)
{
    const char *const before = getenv("ZX_SHARED");
    char kept[4096] = "";
    if (before != NULL) (void)snprintf(kept, sizeof kept, "%s", before);
    CHECK(setenv("ZX_SHARED", "/dev", 1) == 0);
    const char *const found = zx_test_shared("null"), *const missing = zx_test_shared("no/such");
    if (before != NULL)
        (void)setenv("ZX_SHARED", kept, 1);
    else
        (void)unsetenv("ZX_SHARED");
    CHECK(found != NULL && strcmp(found, "/dev/null") == 0);
    CHECK(missing == NULL);
}

TEST(harness_scratch_paths_differ_and_are_free)
{
    struct stat about;
    const char *const one = zx_test_scratch(), *const two = zx_test_scratch();
    CHECK(strcmp(one, two) != 0);
    CHECK(stat(one, &about) != 0 && stat(two, &about) != 0);
}

TEST(harness_fails_the_chosen_allocation)
{
    void *blocks[3] = {NULL};
    zx_test_fail_allocation(2);
    CHECK(zx_alloc(1, "first", &blocks[0]) == ZMLX_OK);
    CHECK(zx_alloc(1, "second", &blocks[1]) == ZMLX_ERROR_MEMORY);
    CHECK(zx_alloc(1, "third", &blocks[2]) == ZMLX_OK);
    zx_free(blocks[0]);
    zx_free(blocks[2]);
}
