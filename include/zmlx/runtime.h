/* runtime.h - what concerns the whole process: version, allocator, log.
 *
 * Set the allocator before any other call; both setters are for one thread at start-up. */
#ifndef ZMLX_RUNTIME_H
#define ZMLX_RUNTIME_H

#include <stddef.h>

#include "zmlx/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library, such as "0.1.0"; never NULL. */
ZMLX_API const char *zmlx_version(void);

/* Where the library takes its memory.  'alloc' returns bytes aligned to 64 or NULL; 'free'
 * takes back what 'alloc' gave.  Both may be called from any thread. */
typedef struct zmlx_allocator {
    void *(*alloc)(size_t bytes, void *user);
    void (*free)(void *memory, void *user);
    void *user;
} zmlx_allocator;

/* Replaces the allocator; NULL restores the default.  The struct is copied. */
ZMLX_API void zmlx_set_allocator(const zmlx_allocator *allocator);

typedef enum zmlx_log_level {
    ZMLX_LOG_ERROR = 0,
    ZMLX_LOG_WARNING,
    ZMLX_LOG_INFO,
    ZMLX_LOG_DEBUG,
} zmlx_log_level;

/* Receives one line without a newline; may be called from any thread. */
typedef void (*zmlx_log_fn)(zmlx_log_level level, const char *line, void *user);

/* Replaces the log callback; NULL (the default) drops every line. */
ZMLX_API void zmlx_set_log(zmlx_log_fn log, void *user);

/* Receives the progress of long work: 'done' of 'total' units (0: unknown) of 'what'. */
typedef void (*zmlx_progress_fn)(const char *what, size_t done, size_t total, void *user);

/* Replaces the progress callback; NULL (the default) drops every report. */
ZMLX_API void zmlx_set_progress(zmlx_progress_fn progress, void *user);

#ifdef __cplusplus
}
#endif
#endif
