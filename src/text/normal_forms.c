/* normal_forms.c - NFC, NFD, NFKC and NFKD over utf8proc's tables.
 *
 * utf8proc puts combining marks in order by swapping neighbours, which is quadratic in a long run
 * of marks; here each run is sorted by counting.  Decomposing one character and composing are
 * utf8proc's. */
#include "text/normal_forms.h"

#include <string.h>
#include <utf8proc.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/unicode.h"

enum { LONGEST_DECOMPOSITION = 18, CLASSES = 256, FIRST_FINAL = 0x11A7 };

typedef struct points {
    utf8proc_int32_t *items, *sorted;
    size_t count, capacity, sorted_capacity;
} points;

/* Whether text of such small code points is in the form already. */
static bool is_plain(const zx_normal *normal, uint32_t below)
{
    const char *const bytes = normal->bytes;
    for (size_t at = 0; at < normal->length;) {
        if ((unsigned char)bytes[at] < 0x80) {
            at++;
            continue;
        }
        uint32_t point;
        at += zx_utf8_next(bytes + at, &point);
        if (point >= below) return false;
    }
    return true;
}

static zmlx_status decompose(const zx_normal *normal, bool compatible, points *out, size_t *origin)
{
    const int options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    for (size_t at = 0; at < normal->length;) {
        uint32_t point;
        if (at < normal->origin) *origin = out->count + 1;
        at += zx_utf8_next(normal->bytes + at, &point);
        if (out->capacity - out->count < LONGEST_DECOMPOSITION)
            ZX_TRY(zx_grow(&out->items, &out->capacity, out->count + LONGEST_DECOMPOSITION,
                           sizeof *out->items, "normal form"));
        if (point < 0xA0) {
            out->items[out->count++] = (utf8proc_int32_t)point;
            continue;
        }
        int boundary = 0;
        const utf8proc_ssize_t written =
            utf8proc_decompose_char((utf8proc_int32_t)point, out->items + out->count,
                                    LONGEST_DECOMPOSITION, (utf8proc_option_t)options, &boundary);
        if (written < 0 || written > LONGEST_DECOMPOSITION)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "U+%04X has no normal form", point);
        if (out->count + 1 == *origin) *origin = out->count + (size_t)written;
        out->count += (size_t)written;
    }
    return ZMLX_OK;
}

static unsigned class_of(utf8proc_int32_t point)
{
    if (point < 0x300) return 0;
    return (unsigned)utf8proc_get_property(point)->combining_class & (CLASSES - 1);
}

/* Sorts marks by class, equal ones staying in order. */
static zmlx_status sort_run(points *list, size_t first, size_t count)
{
    size_t places[CLASSES] = {0}, total = 0;
    ZX_TRY(
        zx_grow(&list->sorted, &list->sorted_capacity, count, sizeof *list->sorted, "normal form"));
    for (size_t i = 0; i < count; i++) places[class_of(list->items[first + i])]++;
    for (size_t i = 0; i < CLASSES; i++) {
        const size_t here = places[i];
        places[i] = total;
        total += here;
    }
    for (size_t i = 0; i < count; i++) {
        const utf8proc_int32_t point = list->items[first + i];
        list->sorted[places[class_of(point)]++] = point;
    }
    memcpy(list->items + first, list->sorted, count * sizeof *list->sorted);
    return ZMLX_OK;
}

static zmlx_status sort_marks(points *list)
{
    for (size_t at = 0; at < list->count;) {
        unsigned last = class_of(list->items[at]);
        size_t end = at + 1;
        if (last == 0) {
            at = end;
            continue;
        }
        bool ordered = true;
        for (; end < list->count; end++) {
            const unsigned next = class_of(list->items[end]);
            if (next == 0) break;
            ordered &= next >= last;
            last = next;
        }
        if (!ordered) ZX_TRY(sort_run(list, at, end - at));
        at = end;
    }
    return ZMLX_OK;
}

/* How many of the points stand for what the text's first character was: 'first' of them, or what
 * these compose to. */
static size_t origin_points(const points *list, size_t first, bool compose)
{
    utf8proc_int32_t copy[LONGEST_DECOMPOSITION];
    if (!compose || first == 0 || first > LONGEST_DECOMPOSITION || first > list->count)
        return first;
    memcpy(copy, list->items, first * sizeof *copy);
    const utf8proc_ssize_t left = utf8proc_normalize_utf32(
        copy, (utf8proc_ssize_t)first, (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    return left < 0 ? first : (size_t)left;
}

static zmlx_status write(zx_normal *normal, const points *list, size_t origin)
{
    zx_text *out;
    ZX_TRY(zx_normal_begin(normal, list->count * 4, &out));
    for (size_t i = 0; i < list->count; i++) {
        out->length += zx_utf8_encode((uint32_t)list->items[i], out->bytes + out->length);
        if (i < origin) normal->out_origin = out->length;
    }
    zx_normal_commit(normal);
    return ZMLX_OK;
}

/* Composes what lies between two U+11A7 alone: utf8proc takes that one for a final consonant,
 * which would swallow it, but it composes with nothing. */
static zmlx_status compose_all(points *list)
{
    size_t written = 0;
    for (size_t at = 0; at < list->count;) {
        size_t end = at;
        while (end < list->count && list->items[end] != FIRST_FINAL) end++;
        const utf8proc_ssize_t left =
            utf8proc_normalize_utf32(list->items + at, (utf8proc_ssize_t)(end - at),
                                     (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
        if (left < 0) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the text has no normal form");
        memmove(list->items + written, list->items + at, (size_t)left * sizeof *list->items);
        written += (size_t)left;
        for (; end < list->count && list->items[end] == FIRST_FINAL; end++)
            list->items[written++] = FIRST_FINAL;
        at = end;
    }
    list->count = written;
    return ZMLX_OK;
}

zmlx_status zx_normal_form(zx_normal *normal, bool compatible, bool compose)
{
    if (is_plain(normal, compatible ? 0xA0 : compose ? 0x300 : 0xC0)) return ZMLX_OK;
    points list = {0};
    size_t origin = 0;
    zmlx_status status = decompose(normal, compatible, &list, &origin);
    if (status == ZMLX_OK) status = sort_marks(&list);
    if (status == ZMLX_OK) origin = origin_points(&list, origin, compose);
    if (status == ZMLX_OK && compose) status = compose_all(&list);
    if (status == ZMLX_OK) status = write(normal, &list, origin);
    zx_free(list.items);
    zx_free(list.sorted);
    return status;
}
