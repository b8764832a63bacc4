/* scan.c - scanners for patterns that group digits from behind.
 *
 * Where a run of digits ends is found once, when it is entered; a regular expression would look
 * there from each digit.  A scanner gives what the pattern gives, in linear time. */
#include <string.h>

#include "text/regex.h"
#include "text/unicode.h"

/* Goes to the next digit and counts the run that begins there; false where there is none. */
static bool enter_run(zx_matches *matches, size_t *run_end)
{
    uint32_t point;
    while (matches->at < matches->length) {
        const size_t step = zx_utf8_next(matches->bytes + matches->at, &point);
        if (zx_is_digit(point)) break;
        matches->at += step;
    }
    matches->digits = 0;
    for (*run_end = matches->at; *run_end < matches->length; matches->digits++) {
        const size_t step = zx_utf8_next(matches->bytes + *run_end, &point);
        if (!zx_is_digit(point)) break;
        *run_end += step;
    }
    return matches->digits > 0;
}

/* What \b takes for a part of a word, as in onig.c: no joiners, but some numbers of Latin-1. */
static bool joins_word(uint32_t point)
{
    if (point == 0xB2 || point == 0xB3 || point == 0xB9 || (point >= 0xBC && point <= 0xBE))
        return true;
    return zx_is_word(point) && point != 0x200C && point != 0x200D;
}

static void pass_digits(zx_matches *matches, size_t count)
{
    uint32_t point;
    for (size_t i = 0; i < count; i++)
        matches->at += zx_utf8_next(matches->bytes + matches->at, &point);
    matches->digits -= count;
}

/* \d{1,3}(?=(?:\d{3})*\b): groups of three from behind, the first one shorter; none where a letter
 * follows the run. */
static bool scan_groups(zx_matches *matches, size_t *start, size_t *end)
{
    while (matches->digits == 0) {
        size_t run_end;
        uint32_t point = ' ';
        if (!enter_run(matches, &run_end)) return false;
        if (run_end < matches->length) zx_utf8_next(matches->bytes + run_end, &point);
        if (!joins_word(point)) break;
        matches->at = run_end;
        matches->digits = 0;
    }
    *start = matches->at;
    pass_digits(matches, matches->digits % 3 == 0 ? 3 : matches->digits % 3);
    *end = matches->last_end = matches->at;
    return true;
}

/* \p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd})): the same whatever follows the run. */
static bool scan_all_groups(zx_matches *matches, size_t *start, size_t *end)
{
    size_t run_end;
    if (matches->digits == 0 && !enter_run(matches, &run_end)) return false;
    *start = matches->at;
    pass_digits(matches, matches->digits % 3 == 0 ? 3 : matches->digits % 3);
    *end = matches->last_end = matches->at;
    return true;
}

/* (?=(\d{3})+(?!\d)): the places before groups of three, counted from behind. */
static bool scan_places(zx_matches *matches, size_t *start, size_t *end)
{
    for (;;) {
        size_t run_end;
        if (matches->digits == 0 && !enter_run(matches, &run_end)) return false;
        pass_digits(matches, matches->digits % 3);
        if (matches->digits > 0 && matches->at == matches->last_end) pass_digits(matches, 3);
        if (matches->digits == 0) continue;
        *start = *end = matches->last_end = matches->at;
        return true;
    }
}

static const struct {
    const char *pattern;
    bool (*scan)(zx_matches *matches, size_t *start, size_t *end);
} rows[] = {
    {"\\d{1,3}(?=(?:\\d{3})*\\b)", scan_groups},
    {"\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*(?!\\p{Nd}))", scan_all_groups},
    {"(?=(\\d{3})+(?!\\d))", scan_places},
};

bool (*zx_scan_find(const char *pattern, size_t length))(zx_matches *matches, size_t *start,
                                                         size_t *end)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].pattern) == length && memcmp(rows[i].pattern, pattern, length) == 0)
            return rows[i].scan;
    return NULL;
}
