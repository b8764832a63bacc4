/* checked_test.c - at the edge of the type. */
#include <stdint.h>

#include "base/checked.h"
#include "base/test.h"

TEST(checked_sums_and_products_do_not_wrap)
{
    size_t result = 0;
    CHECK(zx_add_fits(SIZE_MAX - 1, 1, &result) && result == SIZE_MAX);
    CHECK(!zx_add_fits(SIZE_MAX, 1, &result));
    CHECK(zx_multiply_fits(SIZE_MAX / 3, 3, &result) && result == SIZE_MAX);
    CHECK(!zx_multiply_fits(SIZE_MAX / 2, 3, &result));
    CHECK(zx_multiply_fits(0, SIZE_MAX, &result) && result == 0);
}

TEST(checked_ranges_end_inside)
{
    CHECK(zx_range_fits(0, 0, 0));
    CHECK(zx_range_fits(3, 7, 10));
    CHECK(zx_range_fits(10, 0, 10));
    CHECK(!zx_range_fits(3, 8, 10));
    CHECK(!zx_range_fits(11, 0, 10));
    CHECK(!zx_range_fits(SIZE_MAX, 2, 10));
    CHECK(!zx_range_fits(2, SIZE_MAX, 10));
}
