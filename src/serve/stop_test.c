#include <string.h>

#include "base/test.h"
#include "serve/stop.h"

/* Pushes a text in pieces of 'step' bytes; 'certain' is what came out before the stop or the end.
 */
static bool pushed(const char *const *stops, const char *text, size_t step, const char *expected)
{
    zx_stop stop = {.stops = stops};
    zx_text certain = {0};
    bool stopped = false, ok = true;
    const size_t length = strlen(text);
    for (size_t i = 0; ok && !stopped && i < length; i += step) {
        const size_t count = length - i < step ? length - i : step;
        ok = zx_stop_push(&stop, text + i, count, &certain, &stopped) == ZMLX_OK;
        const bool prefix =
            certain.length <= strlen(expected) &&
            memcmp(expected, certain.bytes != NULL ? certain.bytes : "", certain.length) == 0;
        ok = ok && prefix; /* nothing was given out that had to be taken back */
    }
    if (!stopped) ok = ok && zx_stop_finish(&stop, &certain) == ZMLX_OK;
    ok = ok && certain.length == strlen(expected) &&
         memcmp(certain.bytes != NULL ? certain.bytes : "", expected, certain.length) == 0;
    zx_stop_fini(&stop);
    zx_text_fini(&certain);
    return ok;
}

TEST(a_stop_text_ends_the_text_wherever_the_pieces_are_cut)
{
    static const char *const stops[] = {"END", "\n\n", NULL};
    for (size_t step = 1; step < 12; step++) {
        CHECK(pushed(stops, "one ENtwo END three", step, "one ENtwo "));
        CHECK(pushed(stops, "one\ntwo\n\nthree END", step, "one\ntwo"));
        CHECK(pushed(stops, "no stop here E", step, "no stop here E"));
        CHECK(pushed(stops, "EEND", step, "E"));
        CHECK(pushed(stops, "ENDEND", step, ""));
    }
    CHECK(pushed(NULL, "END", 1, "END"));
}
