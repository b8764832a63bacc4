/* log.c - hands lines and progress to the program's callbacks.
 *
 * The callbacks are set once at start-up and only read afterwards.  A line is made on the
 * stack: logging allocates nothing and works when memory has run out. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_BYTES = 1024 };

static zmlx_log_fn log_callback;
static void *log_user;
static zmlx_progress_fn progress_callback;
static void *progress_user;

void zmlx_set_log(zmlx_log_fn log, void *user)
{
    log_callback = log;
    log_user = user;
}

void zmlx_set_progress(zmlx_progress_fn progress, void *user)
{
    progress_callback = progress;
    progress_user = user;
}

void zx_log(zmlx_log_level level, const char *format, ...)
{
    if (log_callback == NULL) return;
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    /* The callback is promised one line. */
    for (char *c = line; *c != 0; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    log_callback(level, line, log_user);
}

void zx_progress(const char *what, size_t done, size_t total)
{
    if (progress_callback != NULL) progress_callback(what, done, total, progress_user);
}
