/* wrap.c - breaking a line: into chunks (words, the parts of hyphenated words, dashes, spaces),
 * and chunks into lines as wide as fit. */
#include "jinja/wrap.h"

#include <string.h>

#include "jinja/run.h"
#include "jinja/unicode.h"

/* --- chunks --- */

static bool is_blank(uint32_t point)
{
    return point == ' ' || (point >= '\t' && point <= '\r');
}

static bool is_letter(uint32_t point)
{
    return zx_unicode_is_word(point) && !zx_unicode_is_decimal(point);
}

/* What may stand before a dash: a word character or punctuation that ends a word. */
static bool is_word_end(uint32_t point)
{
    return zx_unicode_is_word(point) ||
           (point < 0x80 && point > 0 && strchr("!\"'&.,?", (int)point));
}

/* The code point at 'at', or 0 beyond the end; 'next' is where the one behind it begins. */
static uint32_t point_at(const zx_jstring *text, size_t at, size_t *next)
{
    size_t bytes = 0;
    *next = at;
    if (at >= text->length) return 0;
    const uint32_t point = zx_jstring_at(text, at, &bytes);
    *next = at + bytes;
    return point;
}

static uint32_t point_before(const zx_jstring *text, size_t at, size_t *previous)
{
    size_t bytes = 0;
    *previous = at;
    if (at == 0) return 0;
    const uint32_t point = zx_jstring_before(text, at, &bytes);
    *previous = at - bytes;
    return point;
}

/* Whether a word may be broken behind the hyphen at 'at': "ab-cd", "a-b-c". */
static bool breaks_behind(const zx_jstring *text, size_t at)
{
    size_t one = 0, two = 0, next = 0, after = 0;
    const uint32_t b = point_before(text, at, &one), a = point_before(text, one, &two);
    size_t three = 0;
    const bool letters = is_letter(a) && is_letter(b);
    const bool dashed = is_word_end(b) && a == '-' && is_letter(point_before(text, two, &three));
    if (!letters && !dashed) return false;
    if (!is_letter(point_at(text, at + 1, &next))) return false;
    uint32_t follower = point_at(text, next, &after);
    if (follower == '-') follower = point_at(text, after, &after);
    return is_letter(follower);
}

/* How many hyphens begin here. */
static size_t count_dashes(const zx_jstring *text, size_t at)
{
    size_t count = 0;
    while (at + count < text->length && text->bytes[at + count] == '-') count++;
    return count;
}

/* Whether a dash of two hyphens or more between words begins at 'at'. */
static bool is_dash(const zx_jstring *text, size_t at)
{
    size_t other = 0;
    const size_t dashes = count_dashes(text, at);
    return dashes >= 2 && is_word_end(point_before(text, at, &other)) &&
           zx_unicode_is_word(point_at(text, at + dashes, &other));
}

static size_t end_of_blanks(const zx_jstring *text, size_t at)
{
    while (at < text->length && is_blank((unsigned char)text->bytes[at])) at++;
    return at;
}

static size_t end_of_chunk(const zx_jstring *text, size_t start, bool hyphens)
{
    size_t at = start;
    if (is_blank((unsigned char)text->bytes[start])) return end_of_blanks(text, start);
    if (hyphens && is_dash(text, start)) return start + count_dashes(text, start);
    while (at < text->length) {
        size_t next = 0;
        const uint32_t point = point_at(text, at, &next);
        if (is_blank(point)) return at;
        if (hyphens && at > start && is_dash(text, at)) return at;
        at = next;
        if (hyphens && point == '-' && at - 1 > start && breaks_behind(text, at - 1)) return at;
    }
    return at;
}

/* --- lines --- */

typedef struct wrapper {
    zx_jrun *run;
    const zx_jstring *text;
    const zx_jwrap_style *style;
    size_t line_start, line_end; /* the present line */
    int64_t points;              /* in it */
    size_t lines;                /* written */
    zx_jbuilder *builder;
} wrapper;

static int64_t points_of(const zx_jstring *text, size_t start, size_t end)
{
    zx_jstring part = {.bytes = text->bytes + start, .length = end - start};
    return (int64_t)zx_jstring_points(&part);
}

/* Writes the present line without the blanks at its end, and begins one at 'at'. */
static zmlx_status end_line(wrapper *all, size_t at)
{
    size_t end = all->line_end;
    while (end > all->line_start && zx_unicode_is_space((unsigned char)all->text->bytes[end - 1]))
        end--;
    if (end > all->line_start) {
        if (all->lines++ > 0)
            ZX_TRY(zx_jbuilder_string(all->run, all->builder, all->style->separator));
        ZX_TRY(zx_jbuilder_add(all->run, all->builder, all->text->bytes + all->line_start,
                               end - all->line_start));
    }
    all->line_start = all->line_end = at;
    all->points = 0;
    return ZMLX_OK;
}

/* A chunk wider than a line: as much of it as fits, again and again. */
static zmlx_status add_long(wrapper *all, size_t *start, size_t end)
{
    const zx_jstring *const text = all->text;
    while (points_of(text, *start, end) > all->style->width) {
        const int64_t room = all->style->width - all->points;
        if (!all->style->break_long_words) {
            if (all->points > 0) ZX_TRY(end_line(all, *start));
            return ZMLX_OK; /* a line of its own, too wide */
        }
        zx_jstring part = {.bytes = text->bytes + *start, .length = end - *start};
        size_t cut = zx_jstring_offset(&part, room > 0 ? (size_t)room : 1);
        if (all->style->break_on_hyphens && cut < part.length) {
            const char *const hyphen = memrchr(part.bytes, '-', cut);
            const size_t at = hyphen != NULL ? (size_t)(hyphen - part.bytes) : 0;
            size_t dashes = 0;
            while (dashes < at && part.bytes[dashes] == '-') dashes++;
            if (at > 0 && dashes < at) cut = at + 1;
        }
        all->line_end = *start + cut;
        *start += cut;
        ZX_TRY(zx_jrun_pay(all->run, 1));
        ZX_TRY(end_line(all, *start));
    }
    return ZMLX_OK;
}

static zmlx_status add_chunk(wrapper *all, size_t start, size_t end)
{
    const bool blank = is_blank((unsigned char)all->text->bytes[start]);
    const int64_t points = points_of(all->text, start, end);
    if (blank && all->points == 0 && all->lines > 0) { /* dropped where a line begins */
        all->line_start = all->line_end = end;
        return ZMLX_OK;
    }
    if (all->points + points > all->style->width) {
        if (points > all->style->width)
            ZX_TRY(add_long(all, &start, end));
        else
            ZX_TRY(end_line(all, blank ? end : start));
        if (blank && all->lines > 0) {
            all->line_start = all->line_end = end;
            return ZMLX_OK;
        }
    }
    all->line_end = end;
    all->points += points_of(all->text, start, end);
    return ZMLX_OK;
}

zmlx_status zx_jwrap_line(zx_jrun *run, const zx_jstring *line, const zx_jwrap_style *style,
                          zx_jbuilder *builder)
{
    wrapper all = {.run = run, .text = line, .style = style, .builder = builder};
    ZX_TRY(zx_jrun_pay_bytes(run, line->length * 4));
    for (size_t at = 0; at < line->length;) {
        const size_t end = end_of_chunk(line, at, style->break_on_hyphens);
        ZX_TRY(add_chunk(&all, at, end));
        at = end;
    }
    return end_line(&all, line->length);
}
