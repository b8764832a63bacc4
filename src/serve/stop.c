#include "serve/stop.h"

#include <string.h>

#include "base/fail.h"

/* Where the first complete stop text begins in the held bytes, or their length. */
static size_t find_stop(const zx_stop *stop, bool *found)
{
    size_t first = stop->held.length;
    *found = false;
    for (const char *const *text = stop->stops; *text != NULL; text++) {
        const size_t length = strlen(*text);
        const char *at =
            length > 0 ? memmem(stop->held.bytes, stop->held.length, *text, length) : NULL;
        if (at == NULL) continue;
        const size_t place = (size_t)(at - stop->held.bytes);
        if (!*found || place < first) first = place;
        *found = true;
    }
    return first;
}

/* How many bytes at the end may be the beginning of a stop text. */
static size_t possible_start(const zx_stop *stop)
{
    size_t longest = 0;
    for (const char *const *text = stop->stops; *text != NULL; text++) {
        size_t length = strlen(*text);
        if (length > 0) length--;
        if (length > stop->held.length) length = stop->held.length;
        while (length > longest &&
               memcmp(stop->held.bytes + stop->held.length - length, *text, length) != 0)
            length--;
        if (length > longest) longest = length;
    }
    return longest;
}

static zmlx_status release(zx_stop *stop, size_t count, zx_text *certain)
{
    if (count == 0) return ZMLX_OK;
    ZX_TRY(zx_text_add(certain, stop->held.bytes, count));
    stop->held.length -= count;
    memmove(stop->held.bytes, stop->held.bytes + count, stop->held.length);
    return ZMLX_OK;
}

zmlx_status zx_stop_push(zx_stop *stop, const char *bytes, size_t count, zx_text *certain,
                         bool *stopped)
{
    *stopped = false;
    if (stop->stops == NULL) return zx_text_add(certain, bytes, count);
    ZX_TRY(zx_text_add(&stop->held, bytes, count));
    const size_t end = find_stop(stop, stopped);
    if (*stopped) {
        ZX_TRY(release(stop, end, certain));
        stop->held.length = 0;
        return ZMLX_OK;
    }
    return release(stop, stop->held.length - possible_start(stop), certain);
}

zmlx_status zx_stop_finish(zx_stop *stop, zx_text *certain)
{
    return release(stop, stop->held.length, certain);
}

void zx_stop_fini(zx_stop *stop)
{
    zx_text_fini(&stop->held);
}
