/* clock.c - seconds that never run backwards; the zero is arbitrary. */
#include "base/clock.h"

#include <time.h>

double zx_seconds(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
