/* version.c - the one place that states the version. */
#include "zmlx/runtime.h"

const char *zmlx_version(void)
{
    return "0.1.0";
}
