/* log.h - how inner code says something to the program around it (zmlx_set_log,
 * zmlx_set_progress).  The library itself never prints. */
#ifndef ZX_BASE_LOG_H
#define ZX_BASE_LOG_H

#include <stddef.h>

#include "zmlx/runtime.h"

void zx_log(zmlx_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reports 'done' of 'total' units (0: unknown) of the work called 'what'. */
void zx_progress(const char *what, size_t done, size_t total);

#endif
