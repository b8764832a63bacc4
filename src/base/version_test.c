/* version_test.c - the version has three numbers. */
#include <stdio.h>

#include "base/test.h"
#include "zmlx/runtime.h"

TEST(version_has_three_numbers)
{
    int major = -1, minor = -1, patch = -1, length = 0;
    const char *const version = zmlx_version();
    CHECK(sscanf(version, "%d.%d.%d%n", &major, &minor, &patch, &length) == 3);
    CHECK(version[length] == 0);
    CHECK(major >= 0 && minor >= 0 && patch >= 0);
}
