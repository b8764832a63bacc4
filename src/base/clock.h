/* clock.h - monotonic time. */
#ifndef ZX_BASE_CLOCK_H
#define ZX_BASE_CLOCK_H

double zx_seconds(void);

#endif
