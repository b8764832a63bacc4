#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "base/region.h"
#include "base/test.h"

TEST_MARKED(a_region_is_zero_and_costs_only_what_is_touched, "no-valgrind")
{
    void *memory = NULL;
    const size_t bytes = (size_t)1 << 36; /* more than this machine has */
    const size_t before = zx_memory_peak();
    CHECK(zx_region_map(bytes, "a large region", &memory) == ZMLX_OK);
    unsigned char *place = (unsigned char *)memory + bytes / 2;
    CHECK(*place == 0);
    *place = 1;
    CHECK(zx_memory_peak() < before + ((size_t)64 << 20));
    zx_region_unmap(memory, bytes);
}

TEST(an_impossible_region_is_refused_by_name)
{
    void *memory = NULL;
    CHECK(zx_region_map(SIZE_MAX / 2, "keys and values", &memory) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "keys and values") != NULL && memory == NULL);
}

TEST_MARKED(a_limit_on_the_address_space_counts_as_memory, "no-valgrind")
{
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    const size_t unlimited = zx_memory_available();
    CHECK(unlimited > (size_t)64 << 20);
    struct rlimit limited = before;
    limited.rlim_cur = (rlim_t)1; /* less than is mapped already */
    CHECK(setrlimit(RLIMIT_AS, &limited) == 0);
    const size_t left = zx_memory_available();
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
    CHECK(left == 0);
}
