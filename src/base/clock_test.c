/* clock_test.c - time goes on and never back. */
#include <time.h>

#include "base/clock.h"
#include "base/test.h"

TEST(clock_goes_on_as_fast_as_the_wall_clock)
{
    const double begin = zx_seconds();
    double last = begin;
    for (int i = 0; i < 1000; i++) {
        const double now = zx_seconds();
        CHECK(now >= last);
        last = now;
    }
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
    const double slept = zx_seconds() - last;
    CHECK(slept >= 0.0199 && slept < 20);
    struct timespec now = {0};
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    const double apart = (double)now.tv_sec - zx_seconds(); /* whole seconds count, too */
    CHECK(apart > -20 && apart < 20);
}
