/* stop.h - ends a text at the first of several stop texts, wherever they fall on token borders.
 *
 * What could still become the beginning of a stop text is held back. */
#ifndef ZX_SERVE_STOP_H
#define ZX_SERVE_STOP_H

#include <stdbool.h>

#include "base/text.h"

typedef struct zx_stop {
    const char *const *stops; /* NULL at the end, or NULL */
    zx_text held;
} zx_stop;

/* Adds 'count' bytes and moves what is certain to the end of 'certain'.  True where a stop text is
 * complete: 'certain' then ends before it. */
ZMLX_MUST_CHECK zmlx_status zx_stop_push(zx_stop *stop, const char *bytes, size_t count,
                                         zx_text *certain, bool *stopped);
/* Moves what is still held back. */
ZMLX_MUST_CHECK zmlx_status zx_stop_finish(zx_stop *stop, zx_text *certain);
void zx_stop_fini(zx_stop *stop);

#endif
